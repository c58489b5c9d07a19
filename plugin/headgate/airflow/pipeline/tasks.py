"""The tasks that a pipeline becomes, in the DAG or the task group that is being built.

::

    pipeline.open ─> prepare ─> train[…] ─> train.choose ─> evaluate ┐
    pipeline.close <─ promotion.promote <─ promotion.gate <──────────┘

``pipeline.open`` and ``pipeline.close`` are a setup and its teardown: clearing a step runs them again with it, the
close comes whatever happened before, and it has no say in how the DAG run ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from headgate.airflow.pipeline.inlets import step_inlets
from headgate.airflow.pipeline.operators import (
    ChooseOperator,
    ClosePipelineOperator,
    MeasureChampionOperator,
    OpenPipelineOperator,
    PipelineGateOperator,
    PipelinePromoteOperator,
    StepOperator,
)
from headgate.airflow.task_ids import CLOSE_TASK, OPEN_TASK
from headgate.flows.graph import downstream, edges
from headgate.flows.mistakes import did_you_mean
from headgate.flows.plan_markdown import step_markdown
from headgate.store.errors import InvalidInput
from headgate.tasks.task_names import CHAMPION_SUFFIX, CHOOSE_SUFFIX, PROMOTION

if TYPE_CHECKING:
    from headgate.airflow.pipeline.source import PipelineSource
    from headgate.flows.planned import PlannedPromotion


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How the tasks of a pipeline are to be made.

    Args:
        on_reject: how the gate's task ends when its verdict says reject or hold.
        on_reject_tasks, on_pass_tasks: as ``GateOperator`` takes them.
        approval: arguments of ``ApprovePromotionOperator``; None asks nobody.
        step_kwargs: step → arguments of its tasks, such as ``pool`` or ``queue``.
    """

    on_reject: str = "fail"
    on_reject_tasks: Sequence[str] | str | None = None
    on_pass_tasks: Sequence[str] | str | None = None
    approval: Mapping[str, Any] | None = None
    step_kwargs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PipelineTasks:
    """The tasks of a pipeline, for wiring to others.

    Args:
        steps: step → the task whose output is a reference to the run that goes on: that of its only run, or the one
            that chooses from its sweep; for a sweep without a choice, the mapped task.
        gate: None without a promotion.
        approve: None where nobody is asked.
        promote: None without a promotion.
    """

    open: Any
    steps: Mapping[str, Any]
    close: Any
    gate: Any = None
    approve: Any = None
    promote: Any = None


def make_tasks(source: PipelineSource, options: TaskOptions) -> PipelineTasks:
    """Make the tasks of a pipeline in the DAG and the task group that are being built.

    Raises:
        InvalidInput: ``step_kwargs`` names a step that is not there, or ``on_reject`` makes no sense.
    """
    _refuse_unknown_steps(source, options)
    opened = OpenPipelineOperator(
        task_id=OPEN_TASK, source=source, parameters=None if source.given is None else dict(source.given)
    )
    steps = {step.name: _step_tasks(source, step.name, options) for step in source.plan.pipeline.steps}
    graph = edges(source.plan.pipeline)
    for name, upstream in graph.items():
        first, _ = steps[name]
        if upstream:
            first.set_upstream([steps[other][1] for other in upstream])
        else:
            opened.set_downstream(first)
    promotion: dict[str, Any] = {}
    if source.plan.promotion is not None:
        promotion = _promotion_tasks(source, source.plan.promotion, options)
        needs = source.plan.promotion.needs
        # Those that another one waits for have finished with it.
        last = [name for name in needs if not downstream(graph, [name]).intersection(needs)]
        next(iter(promotion.values())).set_upstream([steps[name][1] for name in last])
    closed = ClosePipelineOperator(task_id=CLOSE_TASK, source=source).as_teardown(setups=opened)
    made = [*(last for _, last in steps.values()), *promotion.values()]
    for task in made:
        if not task.downstream_task_ids:
            task.set_downstream(closed)
    return PipelineTasks(
        opened,
        {name: last for name, (_, last) in steps.items()},
        closed,
        gate=promotion.get("gate"),
        approve=promotion.get("approve"),
        promote=promotion.get("promote"),
    )


def _step_tasks(source: PipelineSource, name: str, options: TaskOptions) -> tuple[Any, Any]:
    """Return the task that a step begins with, and the one that it ends with."""
    planned = source.plan.step(name)
    kwargs: dict[str, Any] = {"doc_md": step_markdown(source.plan, name), **_retries(planned.retries)}
    kwargs |= options.step_kwargs.get(name, {})
    if not planned.members:
        task = StepOperator(task_id=name, source=source, step=name, **kwargs)
        task.inlets = step_inlets(source, name, task.inlets)
        return task, task
    mapped = StepOperator.partial(
        task_id=name,
        source=source,
        step=name,
        headgate_conn_id=source.headgate_conn_id,
        map_index_template="{{ task.label }}",
        **kwargs,
    ).expand(member=[dict(member) for member in planned.members])
    mapped.inlets = step_inlets(source, name, mapped.inlets)
    if planned.choose is None:
        return mapped, mapped
    choose = ChooseOperator(task_id=f"{name}{CHOOSE_SUFFIX}", source=source, step=name, doc_md=kwargs["doc_md"])
    mapped.set_downstream(choose)
    return mapped, choose


def _retries(said: int) -> dict[str, Any]:
    """Return the retries of a step's tasks; a step that says none has those of the DAG's ``default_args``."""
    return {"retries": said} if said else {}


def _promotion_tasks(source: PipelineSource, planned: PlannedPromotion, options: TaskOptions) -> dict[str, Any]:
    """Return the tasks of the promotion, each following the one before."""
    taken = {step.name for step in source.plan.pipeline.steps}
    group = PROMOTION
    while group in taken:
        group += "_"
    made: dict[str, Any] = {}
    # Without its prefix the ids are whole ones: a group that had another name would rename them.
    with TaskGroup(group, prefix_group_id=False, tooltip=f"{planned.model} to {planned.to}"):
        if planned.evaluate is not None:
            kwargs = {
                **_retries(source.plan.step(planned.evaluate).retries),
                **options.step_kwargs.get(planned.evaluate, {}),
            }
            made["champion"] = MeasureChampionOperator(
                task_id=source.task_id(f"{planned.evaluate}{CHAMPION_SUFFIX}"),
                source=source,
                step=planned.evaluate,
                **kwargs,
            )
            made["champion"].inlets = step_inlets(source, planned.evaluate, made["champion"].inlets)
        made["gate"] = PipelineGateOperator(
            task_id=source.task_id(f"{PROMOTION}.gate"),
            source=source,
            on_reject=options.on_reject,
            on_reject_tasks=options.on_reject_tasks,
            on_pass_tasks=options.on_pass_tasks,
            doc_md="\n".join(f"* `{rule}`" for rule in planned.rules),
        )
        if options.approval is not None:
            made["approve"] = _approve(source, made["gate"], options)
        made["promote"] = PipelinePromoteOperator(
            task_id=source.task_id(f"{PROMOTION}.promote"),
            verdict=made.get("approve", made["gate"]).output,
            model_name=planned.model,
            target=planned.to,
            allow_older=planned.allow_older,
            require_approval=options.approval is not None,
            reason="pipeline run {{ run_id }}",
            on_reject=_unbranched(options),
            headgate_conn_id=source.headgate_conn_id,
        )
    tasks = list(made.values())
    for before, after in pairwise(tasks):
        before.set_downstream(after)
    return made


def _unbranched(options: TaskOptions) -> str:
    """Return how a task behind the gate ends after a no of its own: the branches are the gate's."""
    return "fail" if options.on_reject == "branch" else options.on_reject


def _approve(source: PipelineSource, gate: Any, options: TaskOptions) -> Any:
    from headgate.airflow.operators.approve_promotion import ApprovePromotionOperator

    arguments: dict[str, Any] = {
        "task_id": source.task_id(f"{PROMOTION}.approve"),
        "verdict": gate.output,
        "headgate_conn_id": source.headgate_conn_id,
        "on_reject": _unbranched(options),
    }
    return ApprovePromotionOperator(**{**arguments, **(options.approval or {})})


def _refuse_unknown_steps(source: PipelineSource, options: TaskOptions) -> None:
    known = [step.name for step in source.plan.pipeline.steps]
    for name in options.step_kwargs:
        if name not in known:
            raise InvalidInput(
                f"step_kwargs names {name!r}, which is no step of the pipeline {source.plan.pipeline.name!r}.",
                remedy=did_you_mean(name, known),
            )
