"""A pipeline run at the command line: what is told while it runs, and what is told of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.cli.output import cell, print_note, print_table, print_text
from headgate.cli.progress import PlainProgress
from headgate.flows.events import (
    Decided,
    Event,
    PipelineStarted,
    Promoted,
    PromotionFailed,
    StepEnded,
    StepOutput,
    StepRunEnded,
    StepStarted,
)
from headgate.flows.results import StepStatus

if TYPE_CHECKING:
    from headgate.flows.planned import Plan
    from headgate.flows.results import PipelineResult, StepResult, StepRun

_SHOWN_METRICS = 4


class PipelineTeller:
    """Takes a pipeline's events and tells them through a progress."""

    def __init__(self, progress: PlainProgress) -> None:
        self._progress = progress

    def __call__(self, event: Event) -> None:
        match event:
            case PipelineStarted():
                verb = "resumed" if event.resumed else "started"
                self._progress.note(
                    f"{event.plan.pipeline.name}: {verb}, pipeline run {event.pipeline_run_id}, run {event.run_id}"
                )
            case StepStarted():
                retry = f"retry {event.retry}" if event.retry else "started"
                self._progress.began(label(event.step, event.map_index), retry)
            case StepOutput():
                self._progress.line(event.line, event.stream, label(event.step, event.map_index))
            case StepRunEnded():
                self._progress.ended(label(event.step, event.run.map_index), _how(event.run, event.will_retry))
            case StepEnded():
                self._tell_step(event.result)
            case Decided():
                self._progress.note(f"gate {event.verdict.gate_name}: {event.verdict.outcome.value}")
            case Promoted():
                promotion = event.promotion
                before = " (by an earlier try)" if event.reused else ""
                self._progress.note(
                    f"{promotion.model_name} {promotion.target}: version {promotion.to_version} holds it now{before}"
                )
            case PromotionFailed():
                self._progress.note(f"no promotion: {event.error.message}")

    def _tell_step(self, result: StepResult) -> None:
        if result.status is StepStatus.UPSTREAM_FAILED:
            self._progress.note(f"{result.name}: not run, because a step before it failed")
        elif len(result.runs) > 1 and result.chosen is not None:
            self._progress.note(f"{result.name}: {label(result.name, result.chosen.map_index)} goes on")


def label(step: str, map_index: int) -> str:
    """Return what a run of a step is called: its step, and its place in a sweep."""
    return step if map_index < 0 else f"{step}[{map_index}]"


def tell_result(result: PipelineResult, plan: Plan) -> None:
    """Print what the steps came to, the verdict in words, and the promotion.

    Of a sweep's runs the metric that chooses among them is told first.
    """
    from headgate.tasks.gates.explain import explain

    deciding = {step.name: step.choose.metric for step in plan.steps if step.choose is not None}
    rows = [
        (
            label(step.name, run.map_index),
            f"{run.status.value}{' (reused)' if run.reused else ''}",
            run.run_id,
            _metrics(run, deciding.get(step.name)),
            "→" if run is step.chosen and len(step.runs) > 1 else "",
        )
        for step in result.steps.values()
        for run in step.runs
    ]
    rows += [(step.name, step.status.value, "", "", "") for step in result.steps.values() if not step.runs]
    print_table(("step", "status", "run", "metrics", "chosen"), rows, empty="")
    print_text(f"\nrun {result.run_id}, pipeline run {result.pipeline_run_id}: {result.status.value}")
    if result.verdict is not None:
        print_text("\n" + "\n".join(explain(result.verdict)))
    if result.promotion is not None:
        promotion = result.promotion
        before = f" in place of version {promotion.from_version}" if promotion.from_version is not None else ""
        print_text(
            f"\n{promotion.model_name} {promotion.target}: version {promotion.to_version} holds it now{before} "
            f"({promotion.promotion_id})"
        )
        if result.watched:
            print_note(f"Look after it: headgate models watch {promotion.model_name} --to {promotion.target}")
    for step in result.failures[1:]:
        # The first one is the error that the command ends with.
        assert step.error is not None
        print_note(f"{step.name}: {step.error.message}")


def _how(run: StepRun, will_retry: bool) -> str:
    status = run.status.value
    if run.reused:
        return f"{status}, taken from an earlier try (run {run.run_id})"
    reason = f": {run.error.message.splitlines()[0]}" if run.error is not None else ""
    return f"{status}{reason}{'; trying again' if will_retry else ''}"


def _metrics(run: StepRun, first: str | None) -> str:
    ordered = sorted(run.metrics.items(), key=lambda metric: (metric[0] != first, metric[0]))
    told = [f"{key} {cell(value)}" for key, value in ordered]
    return ", ".join(told[:_SHOWN_METRICS]) + (", …" if len(told) > _SHOWN_METRICS else "")
