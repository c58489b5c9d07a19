"""``reap_runs``: end the runs that nobody keeps alive any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from headgate.store.entities import RunInfo
    from headgate.store.store import Store


@headgate_task(task_run_name="reap-runs")
def reap_runs(*, unknown_after: timedelta = timedelta(days=7), store: str | None = None) -> tuple[str, ...]:
    """End every run whose process gave no sign of life for longer than its lease, and every run of a flow run that has
    ended; return their ids.

    Runs end by themselves in nearly every case. This is for what is left: a flow's process that was killed, a machine
    that lost its power, a store that did not answer when it was told. Put it into a flow with a schedule of its own; it
    may run at any time, as often as wanted.

    Args:
        unknown_after: how long the run of a flow run that Prefect does not know is left alone. It was deleted, or
            belongs to another Prefect with the same store.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Raises:
        StoreUnavailable: the store did not answer; a retry may help.
    """
    from headgate.prefect.identity import ORIGIN
    from headgate.prefect.store_access import open_store_of
    from headgate.store.clock import now_ms
    from headgate.tasks.reap import reap

    now = now_ms()
    with open_store_of(store) as opened:
        ended = [*reap(opened, now)]
        for run in opened.runs.open_pipeline_runs(ORIGIN):
            ended += _settle(opened, run, now, unknown_after)
    get_run_logger().info("Ended %d runs that nobody kept alive", len(ended))
    return tuple(ended)


def _settle(store: Store, run: RunInfo, now: int, unknown_after: timedelta) -> tuple[str, ...]:
    from headgate.prefect.hooks import message_of, status_of
    from headgate.store.entities import RunStatus
    from headgate.tasks.settle import settle_pipeline_run

    known, state = _state_of(str(run.context.pipeline_run_id))
    if not known and now - run.start_time >= unknown_after.total_seconds() * 1000:
        status, message = RunStatus.KILLED, "Prefect does not know this flow run."
    elif state is not None and state.is_final():
        status, message = status_of(state), message_of(state) or "Prefect: the flow run is Completed."
    else:
        return ()
    get_run_logger().info("The run %s of flow run %s was open", run.run_id, run.context.pipeline_run_id)
    return settle_pipeline_run(store, run.context, status, message=message, now=now)


def _state_of(flow_run_id: str) -> tuple[bool, State[Any] | None]:
    """Return whether Prefect knows a flow run, and its state."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    try:
        with get_client(sync_client=True) as client:
            return True, client.read_flow_run(UUID(flow_run_id)).state
    except (ObjectNotFound, ValueError):  # not an id of Prefect's
        return False, None
