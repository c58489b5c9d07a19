"""The tasks of a pipeline: each joins the run of its pipeline, does its piece, and leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headgate.airflow.operators.base import HeadgateOperator
from headgate.airflow.operators.promote_model import PromoteModelOperator
from headgate.airflow.rejection import Rejection

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.airflow.identity import TaskRun
    from headgate.airflow.pipeline.source import PipelineSource
    from headgate.flows.events import Event
    from headgate.flows.piecewise import PiecewiseRun
    from headgate.flows.results import StepRun
    from headgate.store.entities import Promotion, Verdict
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class Piece:
    """What a task of a pipeline works with.

    Args:
        run: the pipeline's run, joined.
        task: which try of which task this is.
    """

    run: PiecewiseRun
    task: TaskRun

    @property
    def attempt(self) -> int | None:
        return self.task.context.attempt

    def reference(self, ended: StepRun, **more: Any) -> dict[str, Any]:
        """Return what a task hands on of the run of a step."""
        from headgate.airflow.references import run_reference
        from headgate.store.entities import RunStatus
        from headgate.tasks.run_result import RunResult

        result = RunResult(
            run_id=ended.run_id,
            status=RunStatus(ended.status.value),
            metrics=ended.metrics,
            params=ended.params,
            model_ids=ended.model_ids,
            artifact_uri=ended.artifact_uri,
        )
        return {**run_reference(result, self.run.parent.experiment_id), **more}


class PipelineOperator(HeadgateOperator):
    """The base of the tasks of a pipeline.

    Args:
        source: the pipeline.
        step: the step that the task belongs to; empty when it belongs to none.
    """

    def __init__(self, *, source: PipelineSource, step: str = "", **kwargs: Any) -> None:
        super().__init__(**{"headgate_conn_id": source.headgate_conn_id, **kwargs})
        self.source = source
        self.step = step

    @contextmanager
    def piece(self, context: Context) -> Iterator[Piece]:
        """Join the pipeline's run for the length of a ``with`` block.

        Raises:
            InvalidPipeline: a parameter is wrong.
            ProjectUnavailable, StoreUnavailable: no answer; a retry may help.
        """
        from headgate.airflow.identity import actor_of, parent_context, task_run
        from headgate.airflow.versions import process_scope
        from headgate.flows.piecewise import Host, join_pipeline_run

        source = self.source
        experiment = (source.experiment or source.plan.experiment) if source.group_id is None else None
        with self.open_store() as store:
            task = task_run(store, context, experiment)
            host = Host(
                actor=actor_of(context),
                tags={**self._code_tags(context), **task.tags},
                variables={"AIRFLOW_CTX_MAP_INDEX": str(task.context.map_index)},
                parent_run_id=None if source.group_id is None else task.parent_run_id,
                env=source.env,
                experiment=source.experiment,
                stop=self.stop,
                scope=process_scope(),
                handle_signals=False,
                on_event=self._tell,
            )
            whole = replace(parent_context(task.context), task=source.group_id)
            yield Piece(join_pipeline_run(store, source.plan, whole, self.given(context), host), task)

    def given(self, context: Context) -> dict[str, Any]:
        """Return the values that this DAG run has for the pipeline's parameters; Airflow masks secret ones in logs."""
        from airflow.sdk.log import mask_secret

        from headgate.tasks.projects.secrets import is_secret_name

        if self.source.given is None:
            values: Mapping[str, Any] = context["params"]
        else:
            values = self.render_template(dict(self.source.given), context, self.get_template_env())
        known = self.source.plan.pipeline.parameters
        given = {name: values[name] for name in known if values.get(name) is not None}
        for name, value in given.items():
            if is_secret_name(name) and value:
                mask_secret(value)
        return given

    def _code_tags(self, context: Context) -> dict[str, str]:
        """Return the commit of a step's project that is in the bundle of the DAG, as it is checked out there."""
        from headgate.airflow.identity import commit_tags

        if not self.step:
            return {}
        pipeline = self.source.plan.pipeline
        project, version = pipeline.project_of(pipeline.step(self.step))
        return {} if version is not None else commit_tags(context, project)

    def _tell(self, event: Event) -> None:
        from headgate.flows.events import Decided, Promoted, StepEnded, StepOutput, StepRunEnded

        match event:
            case StepOutput(line=line):
                self.log.info("%s", line)
            case StepRunEnded(step=name, run=run):
                self.log.info("Run %s of %s: %s", run.run_id, name, run.status)
            case StepEnded(result=result) if result.chosen is not None:
                self.log.info("Of %s, member %d was chosen", result.name, result.chosen.map_index)
            case Decided(verdict=verdict):
                self.log.info("Verdict %s: %s", verdict.verdict_id, verdict.outcome)
            case Promoted(promotion=promotion, reused=reused):
                self.log.info("%s version %s", "Had promoted" if reused else "Promoted", promotion.to_version)


class OpenPipelineOperator(PipelineOperator):
    """Open the run of a pipeline, before any of its steps: parameters are checked, projects in git are pinned.

    Args:
        parameters: values from templates and other tasks; these tasks then come first.
    """

    template_fields: Sequence[str] = (*PipelineOperator.template_fields, "parameters")

    def __init__(self, *, source: PipelineSource, parameters: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)
        self.parameters = parameters

    def work(self, context: Context) -> dict[str, Any]:
        with self.piece(context) as piece:
            parent = piece.run.parent
            return {"run_id": parent.run_id, "experiment_id": parent.experiment_id}


class StepOperator(PipelineOperator):
    """Run one step of a pipeline, or one member of its sweep; returns a reference to the run.

    Args:
        member: of a sweep, the parameters that differ, to be shown; which member it is says the map index.
    """

    def __init__(self, *, source: PipelineSource, step: str, member: Mapping[str, str] | None = None, **kwargs: Any):
        super().__init__(source=source, step=step, **kwargs)
        self.member = member

    @property
    def label(self) -> str:
        """What tells a member of a sweep from the others."""
        return ", ".join(f"{name}={value}" for name, value in (self.member or {}).items())

    def work(self, context: Context) -> dict[str, Any]:
        swept = self.source.plan.pipeline.step(self.step).sweep is not None
        with self.piece(context) as piece:
            map_index = piece.task.context.map_index if swept else -1
            return piece.reference(piece.run.run_step(self.step, map_index, attempt=piece.attempt))


class ChooseOperator(PipelineOperator):
    """Choose the run of a sweep that goes on; returns a reference to it, with its ``map_index``."""

    def work(self, context: Context) -> dict[str, Any]:
        with self.piece(context) as piece:
            chosen = piece.run.choose(self.step)
            return piece.reference(chosen, map_index=chosen.map_index)


class MeasureChampionOperator(PipelineOperator):
    """Measure the champion on the candidate's data, where the gate lacks figures of it; returns the run, or nothing."""

    def work(self, context: Context) -> dict[str, Any] | None:
        with self.piece(context) as piece:
            measured = piece.run.measure_champion(attempt=piece.attempt)
            if measured is None:
                self.log.info("The gate lacks no figures of the champion.")
                return None
            return piece.reference(measured)


class PipelineGateOperator(Rejection, PipelineOperator):
    """Let the pipeline's gate decide on the candidate, as ``GateOperator`` does; returns a reference to the verdict.

    Args:
        on_reject: how the task ends when the verdict says reject or hold; see :mod:`headgate.airflow.rejection`.
        on_reject_tasks, on_pass_tasks: as ``GateOperator`` takes them.
    """

    template_fields: Sequence[str] = (*PipelineOperator.template_fields, "on_reject_tasks", "on_pass_tasks")

    def __init__(
        self,
        *,
        source: PipelineSource,
        on_reject: str = "fail",
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(source=source, **kwargs)
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        self.say_on_reject(on_reject, on_reject_tasks, on_pass_tasks)

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.references import verdict_reference
        from headgate.store.entities import Outcome
        from headgate.tasks.promote import gate_error

        with self.piece(context) as piece:
            verdict = piece.run.decide()
        reference = verdict_reference(verdict)
        error = gate_error(verdict)
        if error is None:
            return self.accepted(context, reference)
        if verdict.outcome is Outcome.ERROR:
            self.no_answer(context, reference, error)
        return self.rejected(context, reference, error)


class PipelinePromoteOperator(PromoteModelOperator):
    """Promote by the verdict of the pipeline's gate, as ``PromoteModelOperator`` does.

    In a task group the verdict is that of the group's run, which is a part of the DAG run's.
    """

    def _promotion(self, store: Store, context: Context, verdict: Verdict, parent_run_id: str) -> Promotion:
        decided_in = store.runs.get_info(verdict.run_id) if verdict.run_id is not None else None
        if decided_in is not None and decided_in.parent_run_id == parent_run_id:
            parent_run_id = decided_in.run_id
        return super()._promotion(store, context, verdict, parent_run_id)


class ClosePipelineOperator(PipelineOperator):
    """End the run of a pipeline, whatever came of its tasks; returns how it ended.

    A gate that says no, or a person, is no failure of the run: the verdict is in the records.
    """

    def work(self, context: Context) -> str:
        with self.piece(context) as piece:
            return str(piece.run.finish())
