"""The body of a pipeline's flow: steps submitted as tasks, the promotion behind them, and how it ended, on record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.prefect.pipeline.joining import Joining, joining_of
from headgate.prefect.pipeline.tasks import approve_task, champion_task, choose_task, gate_task, promote_task, step_task
from headgate.store.entities import RunStatus
from headgate.store.errors import HeadgateError

if TYPE_CHECKING:
    from prefect.futures import PrefectFuture, PrefectFutureList

    from headgate.flows.piecewise import PiecewiseRun
    from headgate.prefect.pipeline.source import PipelineSource
    from headgate.store.entities import Promotion, Verdict

    Future = PrefectFuture[Any] | PrefectFutureList[Any]


@dataclass(frozen=True, slots=True)
class PipelineOutcome:
    """What a flow run of a pipeline came to; the store knows the rest.

    Args:
        run_id: the pipeline's own run, the parent of the steps' runs.
        runs: step → id of the run that it hands on; steps whose sweep has no choice hand on none.
        outcome: what the gate said: ``pass``, ``hold`` or ``reject``; None without a promotion.
        version: of the model that was promoted; None when nothing was.
    """

    pipeline: str
    pipeline_run_id: str
    run_id: str
    experiment_id: str
    runs: Mapping[str, str]
    verdict_id: str | None = None
    outcome: str | None = None
    promotion_id: str | None = None
    version: int | None = None


def conduct(source: PipelineSource, given: Mapping[str, Any]) -> PipelineOutcome:
    """Run a pipeline as the flow run that goes on here, and return what came of it.

    A step that fails keeps what depends on it from running; everything else goes on, and then the flow run fails with
    the first failed step's error.

    Args:
        given: values for the pipeline's parameters.

    Raises:
        HeadgateError: of a step, or of the promotion; a no of the gate too, which is no failure of the pipeline's run.
    """
    joining = joining_of(source, given)
    with _until_the_end(joining) as run:
        steps = _submit(joining)
        try:
            verdict, promotion = _promotion(joining, steps)
        except HeadgateError:
            _wait(steps)
            _raise_first(steps)  # what failed comes before what was answered
            raise
        _wait(steps)
        _raise_first(steps)
        return _outcome(run, steps, verdict, promotion)


@dataclass(frozen=True, slots=True)
class _Submitted:
    """The task runs of a step, and the future of what it hands on."""

    task_runs: tuple[PrefectFuture[Any], ...]
    handed_on: Future

    @property
    def finished(self) -> bool:
        return all(future.state.is_completed() for future in self.task_runs)


def _submit(joining: Joining) -> dict[str, _Submitted]:
    """Submit every step, each waiting for those before it."""
    from prefect import unmapped

    made: dict[str, _Submitted] = {}
    for step in joining.source.plan.steps:
        before = [made[name].handed_on for name in step.needs]
        if not step.members:
            future = step_task(joining, step).submit(map_index=-1, before=before)
            made[step.name] = _Submitted((future,), future)
            continue
        members = step_task(joining, step).map(map_index=range(len(step.members)), before=unmapped(before))
        if step.choose is None:
            made[step.name] = _Submitted(tuple(members), members)
        else:
            chosen = choose_task(joining, step).submit(before=members)
            made[step.name] = _Submitted((*members, chosen), chosen)
    return made


def _promotion(joining: Joining, steps: Mapping[str, _Submitted]) -> tuple[Verdict | None, Promotion | None]:
    """Decide and promote, when everything that the promotion waits for has finished."""
    planned = joining.source.plan.promotion
    if planned is None:
        return None, None
    needed = {name: steps[name] for name in planned.needs}
    _wait(needed)
    if not all(step.finished for step in needed.values()):
        return None, None
    if planned.evaluate is not None:
        champion_task(joining, joining.source.plan.step(planned.evaluate))()
    verdict = gate_task(joining)()
    approval_id: str | None = None
    if joining.source.approval is not None:
        _wait(steps)  # a pause is one of the whole flow run
        asked = {"store": joining.source.store, **joining.source.approval}
        approval_id = approve_task(joining)(verdict, **asked).approval_id
    return verdict, promote_task(joining)(verdict.verdict_id, approval_id)


def _wait(steps: Mapping[str, _Submitted]) -> None:
    for step in steps.values():
        for future in step.task_runs:
            future.wait()


def _raise_first(steps: Mapping[str, _Submitted]) -> None:
    """Raise the error of the first step that failed; those that waited for it have none."""
    for step in steps.values():
        for future in step.task_runs:
            if future.state.is_failed() or future.state.is_crashed() or future.state.is_cancelled():
                future.result()


def _outcome(
    run: PiecewiseRun, steps: Mapping[str, _Submitted], verdict: Verdict | None, promotion: Promotion | None
) -> PipelineOutcome:
    handed_on = {name: step.handed_on.result() for name, step in steps.items()}
    return PipelineOutcome(
        pipeline=run.plan.pipeline.name,
        pipeline_run_id=str(run.parent.context.pipeline_run_id),
        run_id=run.parent.run_id,
        experiment_id=run.parent.experiment_id,
        runs={name: ended.run_id for name, ended in handed_on.items() if not isinstance(ended, list)},
        verdict_id=None if verdict is None else verdict.verdict_id,
        outcome=None if verdict is None else str(verdict.outcome),
        promotion_id=None if promotion is None else promotion.promotion_id,
        version=None if promotion is None else promotion.to_version,
    )


@contextmanager
def _until_the_end(joining: Joining) -> Iterator[PiecewiseRun]:
    """Join the pipeline's run for as long as the flow run goes on here, and record how it ends.

    A flow run that is suspended goes on later: its run stays RUNNING.
    """
    from prefect.exceptions import Pause

    try:
        with joining.whole() as run:
            try:
                yield run
                run.finish()
            except Pause:
                joining.suspend()
                raise
            except BaseException as error:
                joining.leave()
                _close(run, error)
                raise
    finally:
        joining.leave()


def _close(run: PiecewiseRun, error: BaseException) -> None:
    """Record that the flow run did not get to its end; what keeps that from being recorded is added to ``error``."""
    try:
        if isinstance(error, Exception) and not isinstance(error, TimeoutError):
            run.finish()
        else:
            reason = error.message if isinstance(error, HeadgateError) else f"{type(error).__name__} ended the flow run"
            run.store.runs.finish(run.parent.run_id, RunStatus.KILLED, end_time=run.host.clock(), message=reason)
    except HeadgateError as problem:
        error.add_note(f"The end of run {run.parent.run_id} could not be recorded: {problem}")
