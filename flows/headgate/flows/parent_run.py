"""The pipeline's own run: one per pipeline run, found again by its key, the parent of every step's run."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headgate.flows.rendering import RunFacts
from headgate.store.clock import iso_date
from headgate.store.entities import Run, RunContext, RunStatus
from headgate.store.errors import InvalidPipeline, NotFound, ParamChanged, RunNotActive
from headgate.tasks.watch.kept import WATCH_TAG, watch_text

if TYPE_CHECKING:
    from headgate.flows.planned import Plan
    from headgate.store.store import Store


COMMIT_TAG = "headgate.commit."
"""Tag of the pipeline's run, with a step's name behind it: the commit of the step's project in git."""


@dataclass(frozen=True, slots=True)
class ParentRun:
    """The open run of a pipeline.

    Args:
        context: names it, and the steps' contexts are made from it. It has a task where the pipeline is a part of
            somebody's DAG or flow: the group's name, which then stands before those of the steps.
        experiment: name of the experiment that all runs go to.
        lease_owner: who holds its lease; empty when nobody does, because no process lives as long as the pipeline run.
        resumed: whether an earlier try opened it.
    """

    run_id: str
    experiment_id: str
    experiment: str
    context: RunContext
    lease_owner: str
    resumed: bool

    @property
    def facts(self) -> RunFacts:
        """What ``{{ run.… }}`` means."""
        context = self.context
        assert context.pipeline_run_id is not None
        assert context.logical_date is not None
        start, end = context.data_interval_start, context.data_interval_end
        return RunFacts(
            id=context.pipeline_run_id,
            logical_date=context.logical_date,
            data_interval_start=context.logical_date if start is None else start,
            data_interval_end=context.logical_date if end is None else end,
        )

    def context_of(self, step: str, map_index: int = -1) -> RunContext:
        """Return the context that names a step's work."""
        group = self.context.task
        task = step if group is None else f"{group}.{step}"
        return replace(self.context, task=task, map_index=map_index, attempt=None)


def parent_tags(plan: Plan) -> dict[str, str]:
    """Return the tags of a pipeline's own run: where it comes from, its gate, and the commit of each step in git."""
    source = plan.pipeline.source
    tags = {"mlflow.source.type": "PROJECT", "mlflow.source.name": source.file if source else plan.pipeline.name}
    if plan.promotion is not None:
        tags["headgate.gate"] = plan.promotion.gate.name
        if plan.promotion.watch is not None:
            tags[WATCH_TAG] = watch_text(plan.promotion.watch)
    return {**tags, **{f"{COMMIT_TAG}{step.name}": step.commit for step in plan.steps if step.commit}}


def new_pipeline_run_id(now: int) -> str:
    """Return an id for a pipeline run, in the style of Airflow's: when it began, and a few random digits."""
    return f"local__{iso_date(now - now % 1000)}_{uuid.uuid4().hex[:8]}"


def earlier_context(store: Store, context: RunContext) -> RunContext:
    """Return ``context`` with the dates of an earlier try of the same pipeline run, where it says none itself.

    Raises:
        InvalidPipeline: it says other dates than the earlier try.
    """
    found = store.runs.find_by_context(context) if context.pipeline_run_id is not None else None
    if found is None:
        return context
    before = found.info.context
    dates: dict[str, int | None] = {}
    for name in ("logical_date", "data_interval_start", "data_interval_end"):
        said, was = getattr(context, name), getattr(before, name)
        if said is not None and said != was:
            raise InvalidPipeline(
                f"Pipeline run {context.pipeline_run_id!r} has the {name.replace('_', ' ')} "
                f"{'none' if was is None else iso_date(was)}, not {iso_date(said)}.",
                remedy="Resume it without dates, or start another pipeline run.",
                pipeline_run_id=context.pipeline_run_id,
            )
        dates[name] = was
    return replace(context, **dates)  # type: ignore[arg-type]


def open_parent_run(
    store: Store,
    plan: Plan,
    context: RunContext,
    *,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    user: str,
    now: int,
) -> ParentRun:
    """Open the pipeline's own run, or take up the one that an earlier try of the same pipeline run opened.

    Args:
        context: with a pipeline run id and a logical date.
        parameters: of the pipeline, secrets masked; become the run's params.
        now: epoch ms.

    Raises:
        InvalidPipeline: the earlier try had other parameters.
        RunNotActive: it is still running, here or on another machine.
    """
    owner = uuid.uuid4().hex
    context = replace(context, task=None, map_index=-1, attempt=1)
    before = store.runs.find_by_context(context)
    if before is not None:
        _refuse_second_runner(store, before, now)
    run = _open(
        store,
        plan,
        context,
        before,
        parameters=parameters,
        tags=tags,
        user=user,
        now=now,
        lease_owner=owner,
        lease_seconds=store.settings.lease_seconds,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    if run.info.status.terminated:
        _take_up(store, run, owner, now)
    return _parent_run(store, run, lease_owner=owner, resumed=before is not None)


def join_parent_run(
    store: Store,
    plan: Plan,
    context: RunContext,
    *,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    user: str,
    parent_run_id: str | None = None,
    now: int,
) -> ParentRun:
    """Return the pipeline's own run for one piece of its work, which happens in a process of its own.

    Whichever piece comes first makes it; one that ended is RUNNING again. Nobody holds a lease on it: an orchestrator
    knows by itself which pieces are at work. May run twice and in many processes at once.

    Args:
        context: with a pipeline run id and a logical date; it has a task where the pipeline is a part of more.
        parameters: of the pipeline, secrets masked; become the run's params.
        parent_run_id: the run of that whole.
        now: epoch ms.

    Raises:
        InvalidPipeline: it was opened with other parameters.
        RunNotActive: somebody deleted it.
    """
    context = replace(context, map_index=-1, attempt=1)
    before = run = store.runs.find_by_context(context)
    if run is None or not parameters.items() <= run.params.items() or not tags.items() <= run.tags.items():
        run = _open(
            store,
            plan,
            context,
            before,
            parameters=parameters,
            tags=tags,
            user=user,
            now=now,
            parent_run_id=parent_run_id,
        )
        if run.info.name != plan.pipeline.name:  # a task beside the pipeline's opened it, and named it otherwise
            store.runs.update(run.info.run_id, name=plan.pipeline.name)
    _reopen(store, run)
    return _parent_run(store, run, lease_owner="", resumed=before is not None)


def _open(
    store: Store,
    plan: Plan,
    context: RunContext,
    before: Run | None,
    *,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    user: str,
    now: int,
    **how: Any,
) -> Run:
    """Open the run of a context, in the experiment where an earlier try has it.

    Args:
        before: the run that an earlier try opened.
        **how: what else :meth:`headgate.store.runs.Runs.open` takes.

    Raises:
        InvalidPipeline: the earlier try had other parameters.
    """
    if before is None:
        experiment_id = store.experiments.get_or_create(plan.experiment, now=now).experiment_id
    else:
        experiment_id = before.info.experiment_id
    try:
        return store.runs.open(
            experiment_id,
            context=context,
            name=plan.pipeline.name,
            tags=tags,
            params=parameters,
            user_id=user,
            now=now,
            **how,
        )
    except ParamChanged as error:
        raise InvalidPipeline(
            f"Pipeline run {context.pipeline_run_id!r} was started with {error.key}={error.old!r}, not {error.new!r}.",
            remedy="Resume it with the same parameters, or start another pipeline run.",
            pipeline_run_id=context.pipeline_run_id,
        ) from error


def _parent_run(store: Store, run: Run, *, lease_owner: str, resumed: bool) -> ParentRun:
    return ParentRun(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        experiment=store.experiments.get(run.info.experiment_id).name,
        context=run.info.context,
        lease_owner=lease_owner,
        resumed=resumed,
    )


def _reopen(store: Store, run: Run) -> None:
    """Let a run go on that may have ended, and forget why it did."""
    from headgate.store.run_ending import STATUS_MESSAGE_TAG

    if run.info.status.terminated:
        store.runs.update(run.info.run_id, status=RunStatus.RUNNING)
    if STATUS_MESSAGE_TAG in run.tags:
        with suppress(NotFound):  # another piece of the same run was faster
            store.tags.delete(run.info.run_id, STATUS_MESSAGE_TAG)


def _take_up(store: Store, run: Run, owner: str, now: int) -> None:
    _reopen(store, run)
    store.leases.acquire(
        run.info.run_id,
        owner,
        expires_at=now + int(store.settings.lease_seconds * 1000),
        now=now,
        host=socket.gethostname(),
        pid=os.getpid(),
    )


def _refuse_second_runner(store: Store, run: Run, now: int) -> None:
    """Two processes must not run one pipeline run; a lease whose process is known to be dead does not count."""
    lease = store.leases.get(run.info.run_id)
    if lease is None or lease.expires_at <= now or run.info.status.terminated:
        return
    if lease.host == socket.gethostname() and lease.pid is not None and not _alive(lease.pid):
        return
    raise RunNotActive(
        f"Pipeline run {run.info.context.pipeline_run_id!r} is running on {lease.host or 'another machine'}, "
        f"process {lease.pid}.",
        remedy=f"Wait for it or stop it; if it is dead, its lease ends at {iso_date(lease.expires_at)}.",
        run_id=run.info.run_id,
    )


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
