"""The tasks of a pipeline: each joins the run of its pipeline, does its piece, and leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headgate.prefect.tasks.base import headgate_task
from headgate.tasks.task_names import CHAMPION_SUFFIX, CHOOSE_SUFFIX, PROMOTION

if TYPE_CHECKING:
    from headgate.flows.piecewise import PiecewiseRun
    from headgate.flows.planned import PlannedStep
    from headgate.flows.results import StepRun
    from headgate.prefect.pipeline.joining import Joining
    from headgate.store.entities import Promotion, Verdict

# A task: of one that returns Any, Prefect's types say that it returns a coroutine.
AnyTask = Any


def step_task(joining: Joining, step: PlannedStep) -> AnyTask:
    """Return the task of a step: called once, or mapped over the members of its sweep; returns the run.

    What an earlier try of the flow run has finished is not run again, unless something before it was.
    """
    name = step.name

    def run(map_index: int, before: Sequence[StepRun]) -> StepRun:
        may_reuse = all(earlier.reused for earlier in _flat(before))
        with joining.piece() as piece:
            with joining.slot(piece.host.stop):
                ran = piece.run_step(name, map_index, may_reuse=may_reuse)
            _show(piece, ran)
            return ran

    return _task(run, name, joining.source.step_options.get(name, {}), run_name=_member_name(step), **_retries(step))


def choose_task(joining: Joining, step: PlannedStep) -> AnyTask:
    """Return the task that chooses from a step's sweep; returns the run that goes on."""
    from dataclasses import replace

    name = step.name

    def choose(before: Sequence[StepRun]) -> StepRun:
        with joining.piece() as piece:
            return replace(piece.choose(name), reused=all(member.reused for member in before))

    return _task(choose, f"{name}{CHOOSE_SUFFIX}", {})


def champion_task(joining: Joining, step: PlannedStep) -> AnyTask:
    """Return the task that measures the champion, where the gate lacks figures of it; returns the run, or nothing."""

    def measure_champion() -> StepRun | None:
        with joining.piece() as piece:
            with joining.slot(piece.host.stop):
                ran = piece.measure_champion()
            if ran is not None:
                _show(piece, ran)
            return ran

    options = joining.source.step_options.get(step.name, {})
    return _task(measure_champion, f"{step.name}{CHAMPION_SUFFIX}", options, **_retries(step))


def gate_task(joining: Joining) -> AnyTask:
    """Return the task in which the gate decides; returns the verdict, or raises when it does not pass."""
    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.verdict import publish_verdict
    from headgate.prefect.channel import delivery_claim, tell_rejection
    from headgate.tasks.promote import gate_error

    def decide() -> Verdict:
        with joining.piece() as piece:
            verdict = piece.decide(may_reuse=True, claim=delivery_claim())
            show(lambda: publish_verdict(verdict))
            tell_rejection(piece.store, verdict)
        if (error := gate_error(verdict)) is not None:
            raise error
        return verdict

    return _task(decide, f"{PROMOTION}.gate", {})


def approve_task(joining: Joining) -> AnyTask:
    """Return the task that asks a person about a verdict; returns the approval, or raises when it is a no."""
    from headgate.prefect.tasks.approve_promotion import approve_promotion

    name = f"{PROMOTION}.approve"
    return approve_promotion.with_options(name=name, task_run_name=name)


def promote_task(joining: Joining) -> AnyTask:
    """Return the task that promotes by a verdict, and tells Prefect; returns the promotion."""
    from headgate.prefect.channel import delivery_claim, tell_promotion

    def promote(verdict_id: str, approval_id: str | None) -> Promotion:
        with joining.piece() as piece:
            promotion = piece.promote(
                verdict_id,
                approval_id=approval_id,
                require_approval=approval_id is not None,
                claim=delivery_claim(),
            )
            tell_promotion(piece.store, promotion.promotion_id)
            return promotion

    return _task(promote, f"{PROMOTION}.promote", {})


def _show(piece: PiecewiseRun, ran: StepRun) -> None:
    """Publish the run of a step, unless an earlier try of the flow run did."""
    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.run import publish_run

    if not ran.reused:
        show(lambda: publish_run(piece.store, ran.run_id))


def _task(
    function: Callable[..., Any],
    name: str,
    said: Mapping[str, Any],
    *,
    run_name: str | Callable[..., str] | None = None,
    **options: Any,
) -> AnyTask:
    # Prefect asks its server for a slot per tag and task run: these have no tags but those that somebody gives them.
    defaults: dict[str, Any] = {"name": name, "task_run_name": run_name or name, "tags": [], "persist_result": False}
    return headgate_task(**{**defaults, **options, **said})(function)


def _retries(step: PlannedStep) -> dict[str, Any]:
    return {"retries": step.retries} if step.retries else {}


def _member_name(step: PlannedStep) -> str | Callable[..., str]:
    """Return the name of a step's task runs: those of a sweep say what differs."""
    if not step.members:
        return step.name

    def name_of(parameters: dict[str, Any]) -> str:
        index = parameters["map_index"]
        differs = ", ".join(f"{key}={value}" for key, value in step.members[index].items())
        return f"{step.name}[{index}] {differs}"

    return name_of


def _flat(runs: Sequence[Any]) -> list[StepRun]:
    """Return the runs of the steps before: a step without a choice hands on all of its sweep."""
    return [run for item in runs for run in (item if isinstance(item, list | tuple) else (item,))]
