"""Pipelines: entry points chained into a graph, planned, run, and ended by a gated promotion.

The names below load on first use; ``import headgate.flows`` itself is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "Choice": ".model",
    "Pipeline": ".model",
    "PipelineParameter": ".model",
    "PipelineResult": ".results",
    "Plan": ".planned",
    "PromotionBlock": ".model",
    "Schedule": ".schedule",
    "Step": ".model",
    "Sweep": ".model",
    "check_pipeline": ".check",
    "find_pipeline": ".file",
    "outline": ".outline",
    "parse_pipeline": ".file",
    "plan": ".planning",
    "read_pipeline": ".file",
    "run_pipeline": ".run",
}

if TYPE_CHECKING:
    from headgate.flows.check import check_pipeline as check_pipeline
    from headgate.flows.file import find_pipeline as find_pipeline
    from headgate.flows.file import parse_pipeline as parse_pipeline
    from headgate.flows.file import read_pipeline as read_pipeline
    from headgate.flows.model import Choice as Choice
    from headgate.flows.model import Pipeline as Pipeline
    from headgate.flows.model import PipelineParameter as PipelineParameter
    from headgate.flows.model import PromotionBlock as PromotionBlock
    from headgate.flows.model import Step as Step
    from headgate.flows.model import Sweep as Sweep
    from headgate.flows.outline import outline as outline
    from headgate.flows.planned import Plan as Plan
    from headgate.flows.planning import plan as plan
    from headgate.flows.results import PipelineResult as PipelineResult
    from headgate.flows.run import run_pipeline as run_pipeline
    from headgate.flows.schedule import Schedule as Schedule

__all__ = [
    "Choice",
    "Pipeline",
    "PipelineParameter",
    "PipelineResult",
    "Plan",
    "PromotionBlock",
    "Schedule",
    "Step",
    "Sweep",
    "check_pipeline",
    "find_pipeline",
    "outline",
    "parse_pipeline",
    "plan",
    "read_pipeline",
    "run_pipeline",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
