"""Running a pipeline in this process: independent steps side by side, each a process of its own, all of it recorded.

The records are those that Airflow and Prefect leave: one parent run per pipeline run, one child run per attempt of a
step and of a member of its sweep (the map index), the verdict and the promotion.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from headgate.flows.conductor import Conductor, Message
from headgate.flows.events import Event, PipelineEnded, PipelineStarted
from headgate.flows.model import OnReject, Pipeline
from headgate.flows.parameters import ParameterValue, resolve_parameters
from headgate.flows.parent_run import (
    ParentRun,
    earlier_context,
    new_pipeline_run_id,
    open_parent_run,
    parent_tags,
)
from headgate.flows.planned import Plan
from headgate.flows.planning import plan
from headgate.flows.promotion_step import PromotionOutcome, PromotionStep, champion_work
from headgate.flows.rendering import Values
from headgate.flows.results import PipelineResult, StepRun, StepStatus
from headgate.flows.step_runs import StepRunner, artifact_value
from headgate.store.clock import now_ms
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import HeadgateError, InvalidInput, RunKilled, RunNotActive
from headgate.tasks.heartbeat import Heartbeat
from headgate.tasks.stopping import StopRequest, Terminated, raise_on_signals
from headgate.tasks.user import user_name

if TYPE_CHECKING:
    from headgate.store.store import Store


def run_pipeline(
    pipeline: Pipeline | Plan | str | Path,
    *,
    store: Store,
    parameters: Mapping[str, Any] | None = None,
    logical_date: int | None = None,
    data_interval_start: int | None = None,
    data_interval_end: int | None = None,
    pipeline_run_id: str | None = None,
    experiment: str | None = None,
    env: str | None = None,
    max_parallel: int | None = None,
    fail_fast: bool = False,
    actor: str | None = None,
    on_event: Callable[[Event], None] | None = None,
    stop: StopRequest | None = None,
    handle_signals: bool = True,
    clock: Callable[[], int] = now_ms,
) -> PipelineResult:
    """Run a pipeline to its end: its steps, each when what it waits for has finished, and then its promotion.

    It is planned first (:func:`headgate.flows.plan`), so what can't work is refused before anything is recorded.

    A step that fails keeps what depends on it from running (``UPSTREAM_FAILED``); everything else goes on. The pipeline
    run is FAILED then. A gate that says no is no failure: the verdict is in the result.

    Args:
        pipeline: a pipeline, a pipeline file, or the folder of one; or the plan of one, made with the same parameters,
            dates, ``env`` and ``experiment``.
        parameters: values for the pipeline's parameters; may be secrets (anything with ``get_secret_value``).
        logical_date: what the run stands for, epoch ms; None is now. A model trained for an earlier date than the
            champion's does not displace it unless the pipeline says ``allow_older``.
        data_interval_start: epoch ms; None is the logical date.
        data_interval_end: epoch ms; None is the logical date.
        pipeline_run_id: names the pipeline run; None makes a new one. With the id of an earlier one, that one is
            resumed: steps that it finished are taken as they are, unless their parameters, entry point, project or
            commit have changed or a step before them runs again; the others get a new attempt; a promotion that it made
            is not made again.
        experiment: experiment of the runs, over what the pipeline says. A resumed pipeline run keeps its own.
        env: environment of every step, over what the pipeline says.
        max_parallel: the most runs at once; None is the number of processors.
        fail_fast: when a step fails, stop what is running as well.
        actor: who runs it, for the record; None is the user of this process.
        on_event: told what happens, in the calling thread (:mod:`headgate.flows.events`). While it does not return,
            nothing new starts. What it raises ends the pipeline run.
        stop: asks the pipeline run to stop, from another thread.
        handle_signals: end the run on SIGTERM and SIGHUP, where this is the main thread; the old handlers come back.
        clock: epoch ms.

    Returns:
        What every step came to, the verdict and the promotion. See :meth:`PipelineResult.raise_for_status`.

    Raises:
        InvalidPipeline: the pipeline can't work; nothing was recorded.
        RunNotActive: this pipeline run is running already.
        RunKilled: by a signal, a request, or because the pipeline run was closed from outside. All processes are gone;
            the run is KILLED.
        KeyboardInterrupt: all processes are gone; the run is KILLED.
    """
    if max_parallel is not None and max_parallel < 1:
        raise InvalidInput(f"max_parallel is {max_parallel}.", remedy="Give at least 1.")
    stop = stop or StopRequest()
    started: list[ParentRun] = []
    dates = RunContext(
        pipeline_run_id=pipeline_run_id,
        logical_date=logical_date,
        data_interval_start=data_interval_start,
        data_interval_end=data_interval_end,
    )
    with raise_on_signals(stop) if handle_signals else nullcontext():
        try:
            planned = (
                pipeline
                if isinstance(pipeline, Plan)
                else plan(
                    pipeline,
                    parameters,
                    logical_date=logical_date,
                    env=env,
                    experiment=experiment,
                    home=store.settings.home,
                )
            )
            values = resolve_parameters(planned.pipeline, parameters)
            who = actor if actor is not None else user_name()
            parent = _open(store, planned, dates, who, clock())
            started.append(parent)
            run = _PipelineRun(store, planned, parent, stop, env=env, actor=who, on_event=on_event, clock=clock)
            result = run.to_the_end(values, max_parallel=max_parallel or os.cpu_count() or 1, fail_fast=fail_fast)
        except Terminated as signal_:
            raise _killed(started[0] if started else None, signal_.reason) from signal_
    return result


def _open(store: Store, planned: Plan, dates: RunContext, user: str, now: int) -> ParentRun:
    context = earlier_context(
        store,
        replace(
            dates,
            pipeline=planned.pipeline.name,
            pipeline_run_id=dates.pipeline_run_id or new_pipeline_run_id(now),
        ),
    )
    if context.logical_date is None:
        context = replace(context, logical_date=now)
    return open_parent_run(
        store, planned, context, parameters=planned.parameters, tags=parent_tags(planned), user=user, now=now
    )


class _PipelineRun:
    """A pipeline run whose own run is open: it is ended whatever happens."""

    def __init__(
        self,
        store: Store,
        planned: Plan,
        parent: ParentRun,
        stop: StopRequest,
        *,
        env: str | None,
        actor: str,
        on_event: Callable[[Event], None] | None,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._planned = planned
        self._parent = parent
        self._env = env
        self._actor = actor
        self._on_event = on_event or _ignore
        self._clock = clock
        self._stop = stop

    def to_the_end(
        self, parameters: Mapping[str, ParameterValue], *, max_parallel: int, fail_fast: bool
    ) -> PipelineResult:
        """Run everything and record the end; raises as :func:`run_pipeline`."""
        outputs: dict[str, StepRun] = {}
        values = Values(parameters, self._parent.facts, outputs, partial(artifact_value, self._store))
        messages: SimpleQueue[Message] = SimpleQueue()
        runner = StepRunner(self._store, self._planned, self._parent, self._env, self._stop, messages.put)
        conductor = Conductor(
            runner,
            values,
            outputs,
            messages,
            max_parallel=max_parallel,
            on_event=self._on_event,
            fail_fast=fail_fast,
        )
        heartbeat = Heartbeat(self._store, self._parent.run_id, self._parent.lease_owner, self._stop, clock=self._clock)
        with heartbeat:
            try:
                result = self._run(conductor, values)
                self._finish(result, heartbeat)
            except BaseException as error:
                self._stop.request(_reason(error))
                # Before the processes are gone: whoever sent the signal may not wait for long.
                self._close(error, heartbeat)
                raise
            finally:
                conductor.close()
        self._on_event(PipelineEnded(result))
        return result

    def _run(self, conductor: Conductor, values: Values) -> PipelineResult:
        parent = self._parent
        pipeline_run_id = str(parent.context.pipeline_run_id)
        self._on_event(PipelineStarted(self._planned, parent.run_id, pipeline_run_id, parent.resumed))
        conductor.run()
        if self._stop.reason is not None and not conductor.failed_fast:
            raise _killed(self._parent, self._stop.reason)
        outcome, block = self._promotion(conductor, values), self._planned.pipeline.promote
        finished = all(step.status is StepStatus.FINISHED for step in conductor.results.values())
        return PipelineResult(
            pipeline=self._planned.pipeline.name,
            pipeline_run_id=pipeline_run_id,
            run_id=parent.run_id,
            experiment_id=parent.experiment_id,
            status=RunStatus.FINISHED if finished and outcome.error is None else RunStatus.FAILED,
            steps={step.name: conductor.results[step.name] for step in self._planned.steps},
            verdict=outcome.verdict,
            promotion=outcome.promotion,
            promotion_error=outcome.error,
            on_reject=OnReject.FAIL if block is None else block.on_reject,
            watched=block is not None and block.watch is not None,
        )

    def _promotion(self, conductor: Conductor, values: Values) -> PromotionOutcome:
        """Decide and promote, when everything that the promotion waits for has finished."""
        planned, block = self._planned.promotion, self._planned.pipeline.promote
        if planned is None or block is None or self._stop.reason is not None:
            return PromotionOutcome()
        if any(conductor.results[name].status is not StepStatus.FINISHED for name in planned.needs):
            return PromotionOutcome()
        step = PromotionStep(
            self._store,
            planned,
            self._parent,
            self._actor,
            self._clock,
            self._on_event,
            None if block.evaluate is None else partial(self._evaluate, conductor, values),
        )
        return step.run(lambda: values.model_id(str(block.candidate_step)))

    def _evaluate(self, conductor: Conductor, values: Values, model_id: str) -> None:
        run = conductor.run_one(champion_work(self._planned, values, model_id))
        if run.error is not None:
            raise run.error

    def _finish(self, result: PipelineResult, heartbeat: Heartbeat) -> None:
        try:
            if not heartbeat.beat():
                raise _killed(self._parent, self._stop.reason or "it was closed by somebody else")
            message = result.error.message if result.error is not None else None
            self._store.runs.finish(result.run_id, result.status, end_time=self._clock(), message=message)
        except RunNotActive as error:
            raise _killed(self._parent, "it was closed by somebody else") from error

    def _close(self, error: BaseException, heartbeat: Heartbeat) -> None:
        """Record that the run did not get to its end; what keeps that from being recorded is added to ``error``."""
        try:
            if not heartbeat.lost and heartbeat.beat():
                status = _status_after(error)
                self._store.runs.finish(self._parent.run_id, status, end_time=self._clock(), message=_reason(error))
        except HeadgateError as problem:
            error.add_note(
                f"The end of run {self._parent.run_id} could not be recorded, headgate reap will close it: {problem}"
            )


def _killed(parent: ParentRun | None, reason: str) -> RunKilled:
    if parent is None:
        return RunKilled(f"The pipeline was stopped before its run began: {reason}.", reason=reason)
    context = parent.context
    return RunKilled(
        f"Pipeline run {context.pipeline_run_id!r} of {context.pipeline!r} was stopped: {reason}.",
        remedy="Resume it with the same pipeline run id.",
        reason=reason,
        run_id=parent.run_id,
        pipeline_run_id=context.pipeline_run_id,
    )


def _reason(error: BaseException) -> str:
    """Say why a run ended. The message of an error that is not ours may hold a secret: its name has to do."""
    if isinstance(error, Terminated):
        return error.reason
    if isinstance(error, HeadgateError):
        return error.message
    return "it was interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__} was raised"


def _status_after(error: BaseException) -> RunStatus:
    """A fault of the program or of a callback fails the run; everything else that ends it from outside kills it."""
    return RunStatus.FAILED if isinstance(error, Exception) and not isinstance(error, RunKilled) else RunStatus.KILLED


def _ignore(event: Event) -> None:
    """Nobody wants to be told."""
