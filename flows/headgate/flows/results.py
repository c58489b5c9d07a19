"""What a run of a pipeline came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headgate.flows.model import OnReject
from headgate.store.entities import Promotion, RunStatus, Verdict
from headgate.store.errors import GateHeld, GateRejected, HeadgateError, NotApproved, OlderThanChampion

_NO = (GateRejected, GateHeld, NotApproved, OlderThanChampion)
"""What says no. A verdict without usable evidence is no answer, and never passed over."""


class StepStatus(StrEnum):
    """How a step ended; UPSTREAM_FAILED (Airflow's word) is a step that never ran because one before it failed."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"


@dataclass(frozen=True, slots=True)
class StepRun:
    """One run of a step: its only one, or one member of its sweep; the last attempt where there were retries.

    Args:
        map_index: -1 outside a sweep.
        run_id: empty when the run could not even be opened.
        reused: an earlier try of this pipeline run had finished it.
        error: why it did not finish.
    """

    map_index: int
    status: StepStatus
    run_id: str = ""
    artifact_uri: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    model_ids: tuple[str, ...] = ()
    reused: bool = False
    error: HeadgateError | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step came to.

    Args:
        runs: in the order of their map indexes; empty when the step never ran.
        chosen: the run that goes on: the only one, or the best of a sweep; None when nothing goes on.
        error: the first thing that kept it from finishing.
    """

    name: str
    status: StepStatus
    runs: tuple[StepRun, ...] = ()
    chosen: StepRun | None = None
    error: HeadgateError | None = None

    @property
    def reused(self) -> bool:
        return bool(self.runs) and all(run.reused for run in self.runs)


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What a run of a pipeline came to. A gate that says no is a result like any other: the run itself FINISHED.

    Args:
        run_id: the pipeline's own run, the parent of the steps' runs.
        steps: in the order of the plan.
        verdict: None without a promotion block, and where no verdict was reached.
        promotion: None unless the verdict passed and the store promoted.
        promotion_error: why there is no verdict, or why the store refused to promote.
        on_reject: how the pipeline ends when the answer is no, as its file says.
        watched: whether the pipeline names a watch for what it promotes.
    """

    pipeline: str
    pipeline_run_id: str
    run_id: str
    experiment_id: str
    status: RunStatus
    steps: Mapping[str, StepResult]
    verdict: Verdict | None = None
    promotion: Promotion | None = None
    promotion_error: HeadgateError | None = None
    on_reject: str = OnReject.FAIL
    watched: bool = False

    @property
    def failures(self) -> tuple[StepResult, ...]:
        """The steps that failed or were killed, not those that waited for them."""
        return tuple(step for step in self.steps.values() if step.error is not None)

    @property
    def error(self) -> HeadgateError | None:
        """What kept the pipeline from doing all it was asked to; None when it did. A verdict is no error."""
        return next((step.error for step in self.failures), self.promotion_error)

    def raise_for_status(self) -> PipelineResult:
        """Return the result, or raise what stands in the way: of a failed step, of the promotion, or of the verdict.

        What says no is not raised where ``on_reject`` is ``skip`` or ``succeed``.

        Raises:
            HeadgateError: the first failed step's error, or why the promotion was refused.
            GateRejected: the verdict says reject.
            GateHeld: the verdict says hold.
            GateErrored: the evidence is missing or unusable.
        """
        from headgate.tasks.promote import gate_error

        said = self.error or (None if self.verdict is None else gate_error(self.verdict))
        passed_over = self.on_reject != OnReject.FAIL and not self.failures and isinstance(said, _NO)
        if said is not None and not passed_over:
            raise said
        return self
