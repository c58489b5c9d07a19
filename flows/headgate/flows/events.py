"""What happens while a pipeline runs, told as it happens; all of it in the thread that called ``run_pipeline``."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.flows.planned import Plan
from headgate.flows.results import PipelineResult, StepResult, StepRun
from headgate.store.entities import Promotion, Verdict
from headgate.store.errors import HeadgateError


@dataclass(frozen=True, slots=True)
class PipelineStarted:
    """The pipeline's own run is open. ``resumed`` says whether it was there before."""

    plan: Plan
    run_id: str
    pipeline_run_id: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A run of a step begins. ``map_index`` is -1 outside a sweep; ``retry`` counts from 0."""

    step: str
    map_index: int
    retry: int = 0


@dataclass(frozen=True, slots=True)
class StepOutput:
    """A line that an entry point printed. ``stream`` is ``stdout`` or ``stderr``; the line has no newline."""

    step: str
    map_index: int
    line: str
    stream: str


@dataclass(frozen=True, slots=True)
class StepRunEnded:
    """A run of a step ended. ``will_retry`` says whether another attempt follows."""

    step: str
    run: StepRun
    will_retry: bool = False


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step is settled, with all the runs of its sweep."""

    result: StepResult


@dataclass(frozen=True, slots=True)
class Decided:
    """The gate has decided, and the verdict is recorded."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Promoted:
    """The candidate holds the target. ``reused`` says whether an earlier try of this pipeline run promoted it."""

    promotion: Promotion
    reused: bool = False


@dataclass(frozen=True, slots=True)
class PromotionFailed:
    """There was no verdict, or the store refused the promotion."""

    error: HeadgateError


@dataclass(frozen=True, slots=True)
class PipelineEnded:
    """Everything is recorded."""

    result: PipelineResult


Event = (
    PipelineStarted
    | StepStarted
    | StepOutput
    | StepRunEnded
    | StepEnded
    | Decided
    | Promoted
    | PromotionFailed
    | PipelineEnded
)
