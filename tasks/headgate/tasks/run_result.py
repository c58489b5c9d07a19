"""What came of a run, for whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headgate.store.entities import Run, RunStatus
from headgate.store.errors import RunNotActive

if TYPE_CHECKING:
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run; small, and all that crosses a task's boundary.

    Args:
        metrics: the latest value of each.
        params: as recorded, secrets masked.
        model_ids: LoggedModels that the run made and that are READY, the oldest first.
    """

    run_id: str
    status: RunStatus
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    model_ids: tuple[str, ...] = ()
    artifact_uri: str = ""


def models_of_run(store: Store, run: Run) -> tuple[str, ...]:
    """Return the ids of the READY LoggedModels that a run made, the oldest first; external ones are among them."""
    return store.runs.made_models(run.info.run_id)


def earlier_result(store: Store, run: Run) -> RunResult:
    """Return the result of an attempt that was made before.

    Raises:
        RunNotActive: it did not go well, and a run that has ended does not begin again.
    """
    if run.info.status is RunStatus.FINISHED:
        return result_of(store, run)
    raise RunNotActive(
        f"Attempt {run.info.context.attempt} of this work has ended: run {run.info.run_id} is {run.info.status}.",
        remedy="Leave the attempt out to make a new one.",
        run_id=run.info.run_id,
    )


def result_of(store: Store, run: Run) -> RunResult:
    return RunResult(
        run_id=run.info.run_id,
        status=run.info.status,
        metrics={key: metric.value for key, metric in run.metrics.items()},
        params=dict(run.params),
        model_ids=models_of_run(store, run),
        artifact_uri=run.info.artifact_uri,
    )
