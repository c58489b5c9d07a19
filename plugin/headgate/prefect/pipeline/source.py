"""Which pipeline a flow is made of, and how it is to run: found beside the code that names it, and outlined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from headgate.flows.model import Pipeline
    from headgate.flows.planned import Plan

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PipelineSource:
    """What every task of a pipeline's flow knows of it.

    Args:
        plan: the outline of the pipeline.
        env: environment of every step, over what the pipeline says.
        experiment: experiment of the runs, over what the pipeline says.
        store: the name of a ``HeadgateStore`` block; None as ``open_store_of`` takes it.
        on_reject: how the flow run ends when the verdict says reject or hold.
        approval: arguments of ``approve_promotion``; None asks nobody.
        max_parallel: the most entry points at once; None is the number of processors.
        step_options: step → options of its tasks, such as ``{"train": {"tags": ["gpu"]}}``.
    """

    plan: Plan
    env: str | None = None
    experiment: str | None = None
    store: str | None = None
    on_reject: str = "fail"
    approval: Mapping[str, Any] | None = None
    max_parallel: int | None = None
    step_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from headgate.flows.mistakes import did_you_mean

        if self.max_parallel is not None and self.max_parallel < 1:
            raise InvalidInput(f"max_parallel is {self.max_parallel}.", remedy="Give at least 1.")
        known = [step.name for step in self.plan.pipeline.steps]
        for name in self.step_options:
            if name not in known:
                raise InvalidInput(
                    f"step_options names {name!r}, which is no step of the pipeline {self.plan.pipeline.name!r}.",
                    remedy=did_you_mean(name, known),
                )


def callers_file() -> str:
    """Return the file of whoever calls into this package."""
    from headgate.flows.embedding import callers_file

    return callers_file(_HERE)


def outline_of(pipeline: Pipeline | str | Path, file: str, parameters: Mapping[str, Any]) -> Plan:
    """Return the outline of a pipeline that a file of code names.

    Args:
        pipeline: a pipeline, a pipeline file or its folder. A relative path starts from the folder of that file, or
            else from the working directory.
        file: of whoever names it; empty for nobody's.
        parameters: those values that are known already.

    Raises:
        InvalidPipeline: there is no such file, or something is wrong with it or with what it refers to.
    """
    from headgate.flows.embedding import outline_beside

    beside = [Path(file).absolute().parent] if file and Path(file).is_file() else []
    return outline_beside(pipeline, file, (*beside, Path.cwd()), parameters)
