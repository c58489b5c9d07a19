"""``PipelineDag``: a pipeline file as a DAG of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_parsing_context

from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.airflow.pipeline.params import dag_params, refuse_missing
from headgate.airflow.pipeline.schedule import airflow_schedule
from headgate.airflow.pipeline.source import PipelineSource, callers_file, dag_id_of, outline_of
from headgate.airflow.pipeline.tasks import PipelineTasks, TaskOptions, make_tasks
from headgate.flows.plan_markdown import plan_markdown
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from headgate.flows.model import Pipeline

TAG = "headgate"
_AS_THE_FILE_SAYS: Any = object()


class PipelineDag(DAG):
    """A pipeline as a DAG: a task per step, mapped tasks for its sweeps, and the promotion as tasks of its own.

    ::

        from headgate.airflow import PipelineDag

        dag = PipelineDag("pipeline.yaml", start_date=datetime(2026, 1, 1))

    The DAG has the schedule of the file, its parameters as params with a form, and the plan as its documentation. One
    DAG run records what ``headgate run`` records: a run of the pipeline, below it one run per attempt of a step and per
    member of a sweep, the verdict and the promotion. A step that a ``retries`` of the file, of ``default_args`` or of
    ``step_kwargs`` runs again is run again only after failures that a retry may cure.

    Args:
        pipeline: a pipeline file or its folder, relative to the folder of the DAG's file; or a pipeline in Python.
        parameters: values over the defaults of the pipeline's parameters; they become the defaults of the params.
        dag_id: None takes the pipeline's name.
        schedule: over the file's; None for a DAG that only runs when it is triggered.
        env: environment of every step, over what the pipeline says: ``local``, ``virtualenv``, ``conda``, ``docker``.
        experiment: experiment of the runs, over what the pipeline says.
        headgate_conn_id: of the connection that names the store.
        on_reject: how the gate's task ends when its verdict says reject or hold: ``fail``, ``skip`` or ``succeed``;
            None as the file says.
        approval: True, or arguments of ``ApprovePromotionOperator``: a person has to agree before the promotion.
        step_kwargs: step → arguments of its tasks, such as ``{"train": {"pool": "gpu"}}``.
        tags: beside ``headgate``.
        params: of the DAG, beside those of the pipeline.
        **dag_kwargs: as ``DAG`` takes them.

    Attributes:
        pipeline_tasks: the tasks, to be wired to others: ``dag.pipeline_tasks.steps["train"] >> report``.

    Raises:
        InvalidPipeline: something is wrong with the file or with what it refers to; with file, line and remedy.
        InvalidInput: an argument makes no sense.
    """

    def __init__(
        self,
        pipeline: Pipeline | str | Path,
        *,
        parameters: Mapping[str, Any] | None = None,
        dag_id: str | None = None,
        schedule: Any = _AS_THE_FILE_SAYS,
        env: str | None = None,
        experiment: str | None = None,
        headgate_conn_id: str = DEFAULT_CONN_ID,
        on_reject: str | None = None,
        approval: bool | Mapping[str, Any] = False,
        step_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
        tags: Collection[str] = (),
        params: Mapping[str, Any] | None = None,
        **dag_kwargs: Any,
    ) -> None:
        if on_reject == "branch":
            raise InvalidInput(
                'PipelineDag has on_reject="branch", and no tasks beside the pipeline\'s own to branch to.',
                remedy="Put a PipelineTaskGroup into a DAG, which takes on_reject_tasks and on_pass_tasks.",
            )
        file = callers_file()
        given = dict(parameters or {})
        plan = outline_of(pipeline, file, given)
        found = plan.pipeline
        if schedule is _AS_THE_FILE_SAYS:
            schedule = airflow_schedule(found.schedule, headgate_conn_id)
        if schedule is not None:
            refuse_missing(found, given, "a scheduled run is given none")
        defaults = {"description": found.description or None, "doc_md": plan_markdown(plan)}
        super().__init__(
            dag_id=dag_id or dag_id_of(found.name),
            schedule=schedule,
            tags={TAG, *tags},
            params={**dag_params(found, given), **(params or {})},
            **{**defaults, **dag_kwargs},
        )
        self.fileloc = file
        self._source = PipelineSource(plan, env=env, experiment=experiment, headgate_conn_id=headgate_conn_id)
        self._options = TaskOptions(
            on_reject=plan.on_reject if on_reject is None else on_reject,
            approval=approval_arguments(approval),
            step_kwargs=step_kwargs or {},
        )
        self._pipeline_tasks: PipelineTasks | None = None
        wanted = get_parsing_context().dag_id
        if wanted in (None, self.dag_id):
            self._make()
        else:
            with self:  # a worker that parses the file for another DAG needs no tasks of this one
                pass

    @property
    def pipeline_tasks(self) -> PipelineTasks:
        """The tasks of the pipeline."""
        return self._pipeline_tasks or self._make()

    def _make(self) -> PipelineTasks:
        with self:
            self._pipeline_tasks = make_tasks(self._source, self._options)
        return self._pipeline_tasks


def approval_arguments(approval: bool | Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the arguments of the operator that asks a person; None when nobody is asked."""
    if isinstance(approval, Mapping):
        return approval
    return {} if approval else None
