"""``PipelineTaskGroup``: a pipeline file as a group of tasks in a DAG that is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.airflow.pipeline.dag import approval_arguments
from headgate.airflow.pipeline.params import refuse_missing
from headgate.airflow.pipeline.source import PipelineSource, callers_file, comes_later, dag_id_of, outline_of
from headgate.airflow.pipeline.tasks import PipelineTasks, TaskOptions, make_tasks
from headgate.airflow.versions import group_documentation
from headgate.flows.plan_markdown import plan_markdown
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from headgate.flows.model import Pipeline


class PipelineTaskGroup(TaskGroup):
    """A pipeline as a task group inside a DAG: the tasks of ``PipelineDag``, below the group's id.

    ::

        with DAG("nightly", schedule="@daily"):
            retraining = PipelineTaskGroup("pipeline.yaml", parameters={"data": export.output})
            export >> retraining >> notify

    The pipeline's run is recorded below the run of the DAG run, where the operators of the same DAG record theirs. A
    DAG may have several groups. The schedule of the file is left aside: the DAG has its own.

    Args:
        pipeline: a pipeline file or its folder, relative to the folder of the DAG's file; or a pipeline in Python.
        parameters: values over the defaults of the pipeline's parameters: plain ones, templates of Airflow's
            (``"{{ params.window }}"``) or outputs of tasks, which then come first.
        group_id: None takes the pipeline's name.
        env, experiment, headgate_conn_id, on_reject, approval, step_kwargs: as ``PipelineDag`` takes them.
        on_reject_tasks, on_pass_tasks: as ``GateOperator`` takes them, with ``on_reject="branch"``; the tasks follow
            ``pipeline_tasks.gate``.
        **group_kwargs: as ``TaskGroup`` takes them.

    Attributes:
        pipeline_tasks: the tasks, to be wired to others.

    Raises:
        InvalidPipeline: something is wrong with the file or with what it refers to; with file, line and remedy.
        InvalidInput: an argument makes no sense, or the group is inside a mapped one, whose copies would be one
            pipeline run.
    """

    def __init__(
        self,
        pipeline: Pipeline | str | Path,
        *,
        parameters: Mapping[str, Any] | None = None,
        group_id: str | None = None,
        env: str | None = None,
        experiment: str | None = None,
        headgate_conn_id: str = DEFAULT_CONN_ID,
        on_reject: str | None = None,
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        approval: bool | Mapping[str, Any] = False,
        step_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
        **group_kwargs: Any,
    ) -> None:
        given = dict(parameters or {})
        known = {name: value for name, value in given.items() if not comes_later(value)}
        plan = outline_of(pipeline, callers_file(), known)
        if group_kwargs.get("prefix_group_id", True) is not True:
            raise InvalidInput(
                f"The group of the pipeline {plan.pipeline.name!r} has prefix_group_id=False.",
                remedy="Leave it out: the ids of the tasks are what their runs are found by.",
            )
        refuse_missing(plan.pipeline, given, "the task group is given none")
        super().__init__(
            group_id=group_id or dag_id_of(plan.pipeline.name).replace(".", "_"),
            **{"tooltip": plan.pipeline.description, **group_documentation(plan_markdown(plan)), **group_kwargs},
        )
        self._refuse_mapped()
        self._source = PipelineSource(
            plan,
            given=given,
            group_id=self.group_id,
            env=env,
            experiment=experiment,
            headgate_conn_id=headgate_conn_id,
        )
        options = TaskOptions(
            on_reject=plan.on_reject if on_reject is None else on_reject,
            on_reject_tasks=on_reject_tasks,
            on_pass_tasks=on_pass_tasks,
            approval=approval_arguments(approval),
            step_kwargs=step_kwargs or {},
        )
        with self:
            self.pipeline_tasks: PipelineTasks = make_tasks(self._source, options)

    def _refuse_mapped(self) -> None:
        group = self.parent_group
        while group is not None:
            if isinstance(group, MappedTaskGroup):
                raise InvalidInput(
                    f"The pipeline group {self.group_id!r} is inside the mapped group {group.group_id!r}.",
                    remedy="Take it out, and sweep in the pipeline's file: its members are mapped tasks.",
                )
            group = group.parent_group
