"""Ending runs in the stead of those who could not: an orchestrator says that the work is over, the record says RUNNING.

A run's own process records its end, in nearly every case. Here is what a host does about the rest as soon as it knows;
what nobody knows of is left to :func:`headgate.tasks.reap`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import RunStatus

if TYPE_CHECKING:
    from headgate.store.entities import RunContext, RunInfo
    from headgate.store.store import Store


def settle_run(store: Store, run_id: str, *, message: str, now: int | None = None) -> tuple[str, ...]:
    """End a run, and the runs below it, as KILLED, where they are RUNNING. May run twice.

    A process that still works on one of them is told to stop by its next heartbeat.

    Args:
        message: why; becomes the runs' status message.
        now: when it was known, epoch ms; None takes the current time. Runs that began later are left alone.

    Returns:
        The ids of the runs that this call ended, those below before those above.

    Raises:
        NotFound: there is no such run.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    now = now_ms() if now is None else now
    ended = _settle_children(store, run_id, message, now)
    if store.runs.end_if_running(run_id, RunStatus.KILLED, end_time=now, message=message):
        ended.append(run_id)
    return tuple(ended)


def settle_pipeline_run(
    store: Store,
    context: RunContext,
    status: RunStatus,
    *,
    message: str | None = None,
    now: int | None = None,
    only_running: bool = False,
) -> tuple[str, ...]:
    """Close the run of a pipeline run that has ended; what is RUNNING below it becomes KILLED. May run twice.

    The pipeline run's own end is its orchestrator's to say: a run that was closed before, by an earlier life of the
    same pipeline run, gets the new status.

    Args:
        context: of the pipeline run, without a task.
        status: how it ended.
        message: why, if there is anything to say.
        now: when it ended, epoch ms; None takes the current time. Runs below it that began later are left alone: they
            belong to a later life of the pipeline run.
        only_running: the pipeline run says by itself how it ended; it is closed only where it did not come to that.

    Returns:
        The ids of the runs that this call closed; none when the pipeline run has no run, or nothing was left to do.

    Raises:
        StoreUnavailable: the store did not answer; a retry may help.
        RunNotActive: the pipeline run's run was deleted meanwhile.
    """
    found = store.runs.find_by_context(context)
    if found is None:
        return ()
    now = now_ms() if now is None else now
    why = message or f"The pipeline run {context.pipeline_run_id} had ended."
    closed = _settle_children(store, found.info.run_id, why, now)
    if found.info.status is not status and not (only_running and found.info.status.terminated):
        _close(store, found.info, status, message, now)
        closed.append(found.info.run_id)
    return tuple(closed)


def close_pipeline_run(
    store: Store, context: RunContext, status: RunStatus, *, message: str | None = None, now: int | None = None
) -> tuple[str, ...]:
    """Close the run of a pipeline run that has ended, and nothing else: what is below it ends by itself. May run twice.

    Args:
        context: of the pipeline run, without a task.
        status, message, now: as :func:`settle_pipeline_run` takes them; so are the result and the errors.
    """
    found = store.runs.find_by_context(context)
    if found is None or found.info.status is status:
        return ()
    _close(store, found.info, status, message, now_ms() if now is None else now)
    return (found.info.run_id,)


def _settle_children(store: Store, run_id: str, message: str, now: int) -> list[str]:
    ended: list[str] = []
    for child in store.runs.children(run_id):
        if child.start_time > now:
            continue
        ended += _settle_children(store, child.run_id, message, now)
        if not child.status.terminated and store.runs.end_if_running(
            child.run_id, RunStatus.KILLED, end_time=now, message=message
        ):
            ended.append(child.run_id)
    return ended


def _close(store: Store, info: RunInfo, status: RunStatus, message: str | None, now: int) -> None:
    from headgate.store.run_ending import STATUS_MESSAGE_TAG

    store.runs.update(info.run_id, status=status, end_time=now)
    if message:
        store.tags.set(info.run_id, {STATUS_MESSAGE_TAG: message})
