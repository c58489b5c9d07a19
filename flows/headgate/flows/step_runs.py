"""Running one step, or one member of its sweep: as a run of its entry point, with retries, or not again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headgate.flows.events import Event, StepOutput, StepRunEnded, StepStarted
from headgate.flows.model import Step
from headgate.flows.parent_run import ParentRun
from headgate.flows.rendering import SecretText, Values
from headgate.flows.results import StepRun, StepStatus
from headgate.store.entities import Run, RunStatus
from headgate.store.errors import HeadgateError, InvalidPipeline, RunKilled
from headgate.tasks.process import ProcessScope
from headgate.tasks.projects.git import without_credentials
from headgate.tasks.projects.secrets import recorded_value
from headgate.tasks.run_project import run_project
from headgate.tasks.run_result import models_of_run
from headgate.tasks.stopping import StopRequest

if TYPE_CHECKING:
    from headgate.flows.planned import Plan
    from headgate.store.store import Store
    from headgate.tasks.run_result import RunResult

WORK_TAG = "headgate.step.work"
"""Tag of a step's run: the digest of what it ran, but for the values of its parameters."""

Value = str | SecretText
_STATUSES = {RunStatus.FINISHED: StepStatus.FINISHED, RunStatus.KILLED: StepStatus.KILLED}


@dataclass(frozen=True, slots=True)
class StepWork:
    """One run to make.

    Args:
        map_index: -1 outside a sweep.
        task: what the run's context calls it: the step's name, unless the step runs for something else.
        attempt: the orchestrator's number of this try; None takes the next one.
    """

    step: Step
    map_index: int
    parameters: Mapping[str, Value]
    task: str
    attempt: int | None = None

    @property
    def run_name(self) -> str:
        return self.task if self.map_index < 0 else f"{self.task}[{self.map_index}]"


def works_of(step: Step, values: Values) -> list[StepWork]:
    """Return the runs of a step, their parameters rendered; those of a sweep in the order of their map indexes.

    Raises:
        InvalidPipeline: a step before it did not log what is referred to.
    """
    return [work_of(step, index, values) for index in (range(len(step.sweep.members())) if step.sweep else (-1,))]


def work_of(step: Step, map_index: int, values: Values, *, attempt: int | None = None) -> StepWork:
    """Return one run of a step, its parameters rendered; raises as :func:`works_of`.

    Args:
        map_index: which member of its sweep; -1 for a step without one.
    """
    more = step.sweep.members()[map_index] if step.sweep else {}
    parameters = {key: values.render(value) for key, value in {**step.parameters, **more}.items()}
    return StepWork(step, map_index, parameters, step.name, attempt)


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Makes runs of steps; safe to use from several threads.

    Args:
        env: environment of every step, over what the pipeline says.
        stop: asks for an end of every run.
        tell: takes events; called from the thread that makes the run.
        scope: where the processes of entry points live.
        handle_signals: as :func:`headgate.tasks.run_project` takes it.
        tags: of every run.
        variables: of the environment of every entry point.
    """

    store: Store
    plan: Plan
    parent: ParentRun
    env: str | None
    stop: StopRequest
    tell: Callable[[Event], None]
    scope: ProcessScope = ProcessScope.OWN_SESSION
    handle_signals: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def earlier(self, work: StepWork) -> StepRun | None:
        """Return the run by which an earlier try of the pipeline run finished this very work; None when there is none.

        Work of another entry point, project or commit, or with other parameters, is other work: the pipeline was
        edited, or a step before it ran again.
        """
        run = self.recorded(work.task, work.map_index)
        if run is None or run.info.status is not RunStatus.FINISHED:
            return None
        if run.tags.get(WORK_TAG) != self._digest(work):
            return None
        for name, value in work.parameters.items():
            text = value if isinstance(value, str) else value.get_secret_value()
            if run.params.get(name) != recorded_value(name, value, text):
                return None
        return replace(self.step_run(run), reused=True)

    def recorded(self, task: str, map_index: int = -1) -> Run | None:
        """Return the newest attempt of a task of this pipeline run; None when it never ran."""
        return self.store.runs.find_by_context(self.parent.context_of(task, map_index))

    def step_run(self, run: Run) -> StepRun:
        """Return what the store knows of a run that has ended."""
        return StepRun(
            map_index=run.info.context.map_index,
            status=_STATUSES.get(run.info.status, StepStatus.FAILED),
            run_id=run.info.run_id,
            artifact_uri=run.info.artifact_uri,
            metrics={key: metric.value for key, metric in run.metrics.items()},
            params=dict(run.params),
            model_ids=models_of_run(self.store, run),
        )

    def run_once(self, work: StepWork) -> StepRun:
        """Run the work as one attempt; whoever asks sees to retries.

        Raises:
            HeadgateError: as :func:`headgate.tasks.run_project`.
        """
        self.tell(StepStarted(work.task, work.map_index))
        ended = _finished(self._run_project(work), work.map_index)
        self.tell(StepRunEnded(work.task, ended))
        return ended

    def run(self, work: StepWork) -> StepRun:
        """Run the work to its end, again after failures that a retry may cure, as often as the step says."""
        for retry in range(work.step.retries + 1):
            self.tell(StepStarted(work.task, work.map_index, retry))
            ended = self._attempt(work)
            again = retry < work.step.retries and self._may_retry(ended.error)
            self.tell(StepRunEnded(work.task, ended, will_retry=again))
            if not again:
                break
        return ended

    def _may_retry(self, error: HeadgateError | None) -> bool:
        """A retry may cure what is transient; a run that was told to stop stays stopped."""
        if error is None or isinstance(error, RunKilled) or self.stop.reason is not None:
            return False
        return error.retryable

    def _attempt(self, work: StepWork) -> StepRun:
        try:
            self._go_on()
            return _finished(self._run_project(work), work.map_index)
        except HeadgateError as error:
            return self._failed(work, error)

    def _go_on(self) -> None:
        if self.stop.reason is not None:
            raise RunKilled(f"The step did not start: {self.stop.reason}.", reason=self.stop.reason)

    def _run_project(self, work: StepWork) -> RunResult:
        step = work.step
        pipeline, planned = self.plan.pipeline, self.plan.step(step.name)
        project, version = pipeline.project_of(step)
        return run_project(
            project,
            step.entry_point,
            work.parameters,
            store=self.store,
            context=replace(self.parent.context_of(work.task, work.map_index), attempt=work.attempt),
            experiment=self.parent.experiment,
            version=planned.commit or version,
            env=self.env or step.env or pipeline.env,
            run_name=work.run_name,
            parent_run_id=self.parent.run_id,
            tags={**self.tags, WORK_TAG: self._digest(work)},
            variables=self.variables,
            timeout=step.timeout,
            process_scope=self.scope,
            handle_signals=self.handle_signals,
            on_output=lambda line, stream: self.tell(StepOutput(work.task, work.map_index, line, stream)),
            stop=self.stop,
            working_directory=pipeline.path("."),
            evaluates=self.plan.promotion is not None and self.plan.promotion.evaluate == step.name,
        )

    def _digest(self, work: StepWork) -> str:
        """Return what tells the work from other work, wherever the pipeline's folder is on this machine."""
        step, pipeline = work.step, self.plan.pipeline
        said = {
            "entry_point": step.entry_point,
            "project": without_credentials(step.project or pipeline.project),
            "version": pipeline.project_of(step)[1],
            "commit": self.plan.step(step.name).commit,
            "parameters": sorted(work.parameters),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _failed(self, work: StepWork, error: HeadgateError) -> StepRun:
        """Return the run as the store has it: a timeout kills it, a wrong exit code fails it."""
        found = self.store.runs.get_many([error.attributes["run_id"]]) if error.attributes.get("run_id") else ()
        if not found:
            status = StepStatus.KILLED if isinstance(error, RunKilled) else StepStatus.FAILED
            return StepRun(work.map_index, status, error=error)
        killed = found[0].info.status is RunStatus.KILLED
        return replace(self.step_run(found[0]), status=StepStatus.KILLED if killed else StepStatus.FAILED, error=error)


def _finished(result: RunResult, map_index: int) -> StepRun:
    return StepRun(
        map_index=map_index,
        status=StepStatus.FINISHED,
        run_id=result.run_id,
        artifact_uri=result.artifact_uri,
        metrics=dict(result.metrics),
        params=dict(result.params),
        model_ids=result.model_ids,
    )


def artifact_value(store: Store, step: str, run: StepRun, path: str) -> str:
    """Return where an artifact of a run is, as an entry point takes it: a path on this machine, or else a URI.

    Raises:
        InvalidPipeline: the run has no such artifact; the remedy names those it has.
    """
    artifacts = store.artifacts(run.artifact_uri)
    if artifacts.stat(path) is None:
        logged = ", ".join(found.path for found in artifacts.list()) or "none at all"
        raise InvalidPipeline(
            f"The artifact {path!r} of step {step!r} is referred to, and its run {run.run_id} did not log it.",
            remedy=f"It logged {logged}.",
            step=step,
            run_id=run.run_id,
        )
    local = artifacts.local_path(path)
    return str(local) if local is not None else f"{run.artifact_uri.rstrip('/')}/{path}"
