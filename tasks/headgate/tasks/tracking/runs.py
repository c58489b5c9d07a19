"""Starting and ending runs."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sys
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import HeadgateError, InvalidInput
from headgate.tasks.heartbeat import Heartbeat
from headgate.tasks.stopping import StopRequest
from headgate.tasks.tracking import active_runs
from headgate.tasks.tracking.active_runs import ActiveRun, active_run
from headgate.tasks.tracking.session import current_experiment_id, current_store
from headgate.tasks.tracking.source import source_tags

if TYPE_CHECKING:
    from headgate.store.entities import RunInfo

_NOTE_TAG = "mlflow.note.content"
_USER_TAG = "mlflow.user"
_ENDINGS = frozenset(status for status in RunStatus if status.terminated)

_logger = logging.getLogger(__name__)


def start_run(
    run_id: str | None = None,
    *,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
) -> ActiveRun:
    """Start a run, or go on with one, and make it the active run of this thread.

    In a script that ``headgate run`` or an orchestrator started, the first call attaches to the run that was opened for
    it (``HEADGATE_RUN_ID``); ending it here leaves its status to whoever opened it. Later calls make runs below it.

    Args:
        run_id: go on with this run, which becomes RUNNING again.
        experiment_id: for a new run; None takes that of the run above, or else the chosen one (``set_experiment``).
        run_name: None makes one up.
        nested: make the run a child of the active one.
        parent_run_id: make it a child of this run.
        tags: any values; they are recorded as text.
        description: shown with the run.

    Returns:
        The run, which is a context manager: it ends with the block.

    Raises:
        InvalidInput: a run is active already and ``nested`` was not said, or a name or tag is not valid.
        NotFound: no such run or experiment.
        RunNotActive: the run to go on with was deleted, or a newer attempt of its work took over.
        StoreUnavailable: the store did not answer; nothing was started.
    """
    above = active_runs.innermost()
    if above is not None and not nested and parent_run_id is None:
        raise InvalidInput(
            f"Run {above.run_id} is already active.",
            remedy="End it first with end_run(), or say nested=True.",
            run_id=above.run_id,
        )
    said = {key: str(value) for key, value in (tags or {}).items()}
    if description is not None:
        said[_NOTE_TAG] = description
    given = active_runs.given_run_id()
    is_first = run_id is None and not nested and parent_run_id is None and not _has_been_started(given)
    if given is not None and (is_first or run_id == given):
        _started.add(given)
        run = replace(active_runs.attached(given))  # each start has an end of its own
        _update(run.info, run_name, said)
    elif run_id is not None:
        run = _run_again(run_id, run_name, said, None if above is None else above.run_id)
    else:
        run = _new_run(experiment_id, run_name, parent_run_id, given, said, nested=nested)
    return active_runs.push(run)


def end_run(status: RunStatus | str = RunStatus.FINISHED) -> None:
    """End the active run of this thread. Without one, nothing happens; so it may be called twice.

    Args:
        status: FINISHED, FAILED or KILLED.

    Raises:
        InvalidInput: the status does not end a run.
        RunNotActive: the run was killed, deleted, or a newer attempt took over.
    """
    if status not in _ENDINGS:
        raise InvalidInput(f"A run can't end as {status!r}.", remedy="End it as FINISHED, FAILED or KILLED.")
    run = active_runs.innermost()
    if run is not None:
        active_runs.finish(run, RunStatus(status))


def run_to_log_to() -> ActiveRun:
    """Return the active run; started now when there is none, as in MLflow. It then ends with the process."""
    return active_run() or start_run()


_started: set[str] = set()


def _has_been_started(given: str | None) -> bool:
    return given is None or given in _started


def _update(info: RunInfo, name: str | None, tags: Mapping[str, str]) -> None:
    store = current_store()
    if name:
        store.runs.update(info.run_id, name=name)
    if tags:
        store.tags.set(info.run_id, tags)


def _run_again(run_id: str, name: str | None, tags: Mapping[str, str], outer_run_id: str | None) -> ActiveRun:
    store, owner, now = current_store(), uuid.uuid4().hex, now_ms()
    info = store.runs.update(run_id, status=RunStatus.RUNNING, name=name)
    _update(info, None, tags)
    expires_at = now + int(store.settings.lease_seconds * 1000)
    store.leases.acquire(run_id, owner, expires_at=expires_at, now=now, host=socket.gethostname(), pid=os.getpid())
    return ActiveRun(info, outer_run_id=outer_run_id, heartbeat=_heartbeat(info, owner))


def _new_run(
    experiment_id: str | None,
    name: str | None,
    parent_run_id: str | None,
    given: str | None,
    tags: Mapping[str, str],
    *,
    nested: bool,
) -> ActiveRun:
    store, owner = current_store(), uuid.uuid4().hex
    above = active_run() if nested or given is not None else None
    parent_id = parent_run_id or (None if above is None else above.run_id)
    parent = None if parent_id is None else store.runs.get_info(parent_id)
    all_tags = {**source_tags(), **tags}
    run = store.runs.open(
        experiment_id or (current_experiment_id() if parent is None else parent.experiment_id),
        context=RunContext() if parent is None else _same_time(parent.context),
        name=name,
        tags=all_tags,
        user_id=all_tags.get(_USER_TAG, ""),
        parent_run_id=parent_id,
        lease_owner=owner,
        lease_seconds=store.settings.lease_seconds,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    outer_run_id = None if above is None else above.run_id
    return ActiveRun(run.info, outer_run_id=outer_run_id, heartbeat=_heartbeat(run.info, owner))


def _heartbeat(info: RunInfo, owner: str) -> Heartbeat:
    # Nothing is stopped when the lease is lost: the script learns from the end of the run that it may not end green.
    return Heartbeat(current_store(), info.run_id, owner, StopRequest()).__enter__()


def _same_time(context: RunContext) -> RunContext:
    """Return an anonymous context for a child: it stands for the same data as the run above, and is no attempt."""
    return RunContext(
        origin=context.origin,
        pipeline=context.pipeline,
        logical_date=context.logical_date,
        data_interval_start=context.data_interval_start,
        data_interval_end=context.data_interval_end,
    )


def _end_with_the_process() -> None:
    """End what the script left open: FAILED when an exception that nobody caught ended it."""
    failed = getattr(sys, "last_value", None) is not None
    for run in active_runs.live_runs():
        try:
            active_runs.finish(run, RunStatus.FAILED if failed else RunStatus.FINISHED)
        except HeadgateError as error:
            _logger.error("The end of run %s could not be recorded: %s", run.run_id, error)  # noqa: TRY400 - it says all


def forget() -> None:
    """Forget every run, as a new process would."""
    _started.clear()
    active_runs.forget()


# Registered after the session's own handler, so that it runs before the stores are closed.
atexit.register(_end_with_the_process)
