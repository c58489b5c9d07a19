"""The end of a flow run, brought into the store: its own run is closed, and what could not end by itself is ended.

===================================  =================================================================================
how the flow run ends                who says so to the store
===================================  =================================================================================
completed, failed, crashed           hooks on the flow, which the first task of Headgate's adds in the flow's process
cancelled, and its process knew      that process, at its exit
cancelled or crashed, process dead   :func:`settle_flow_run`, where the flow has it as a hook: the worker calls it
nobody was left                      ``reap_runs``, which asks Prefect
===================================  =================================================================================
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.prefect.store_access import named_store, opened
from headgate.store.access import StoreAccess
from headgate.store.errors import InvalidSettings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

    from headgate.store.entities import RunContext, RunStatus
    from headgate.store.store import Store

_log = logging.getLogger("prefect.headgate")

FlowHook = Callable[..., None]


@dataclass(frozen=True, slots=True)
class _Open:
    """The run of a flow run that this process has opened, and nobody has closed yet."""

    store: Store
    context: RunContext
    process: int


_open: dict[tuple[str, str], _Open] = {}


def settle_flow_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A hook for flows: close the run of a flow run as ``state`` says, and end what is RUNNING below it.

    ``@flow(on_cancellation=[settle_flow_run], on_crashed=[settle_flow_run])``: a worker calls these when the flow's
    process is dead. The store is that of the worker's environment, or of the block ``default``; for another block use
    ``settle_flow_run_in("name")``. May run twice.

    Raises:
        InvalidSettings: nothing names the store; none is made.
        StoreUnavailable: the store or Prefect's server did not answer; ``reap_runs`` does it later.
    """
    _settle(None, flow, flow_run, state)


def settling_hook(block: str | None) -> FlowHook:
    """Return the hook for the store that a block names; None is that of the environment or of ``default``."""
    return settle_flow_run if block is None else settle_flow_run_in(block)


@cache
def settle_flow_run_in(block: str) -> FlowHook:
    """Return :func:`settle_flow_run` for the store that a block names."""

    def settle_flow_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        _settle(block, flow, flow_run, state)

    return settle_flow_run


def see_to_the_end(store: Store, context: RunContext) -> None:
    """Have the run of this process's flow run closed when the flow run ends."""
    from prefect.context import FlowRunContext

    current = FlowRunContext.get()
    if current is None or current.flow is None or current.detached:
        return  # a task in a process without its flow: that of the flow sees to it
    _open[str(context.pipeline_run_id), store.url] = _Open(store, context, os.getpid())
    flow = current.flow
    for hooks, add in (
        (flow.on_completion_hooks, flow.on_completion),
        (flow.on_failure_hooks, flow.on_failure),
        (flow.on_crashed_hooks, flow.on_crashed),
    ):
        if close_headgate_run not in (hooks or ()):
            add(close_headgate_run)


def close_flow_run(state: State[Any], flow_run_id: str) -> None:
    """Close the run of a flow run that this process has opened, in every store; what is below it ends by itself."""
    from headgate.store.errors import HeadgateError
    from headgate.tasks.settle import close_pipeline_run

    for key in [key for key in _open if key[0] == flow_run_id]:
        opened = _open.pop(key)
        if opened.process != os.getpid():
            continue
        try:
            close_pipeline_run(opened.store, opened.context, status_of(state), message=message_of(state))
        except HeadgateError as error:
            _log.error("The run of flow run %s could not be closed, reap_runs will: %s", flow_run_id, error)


def status_of(state: State[Any]) -> RunStatus:
    """Return how the run of a flow run ends that ends in a state."""
    from headgate.store.entities import RunStatus

    if state.is_completed():
        return RunStatus.FINISHED
    return RunStatus.FAILED if state.is_failed() else RunStatus.KILLED


def message_of(state: State[Any]) -> str | None:
    """Return what the record says of that; nothing where all went well."""
    if state.is_completed() and state.name == "Completed":
        return None
    said = (state.message or "").partition("\n")[0]
    return f"Prefect: the flow run is {state.name}. {said}".strip()


def close_headgate_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    close_flow_run(state, str(flow_run.id))


def _settle(block: str | None, flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    from headgate.prefect.identity import ORIGIN
    from headgate.store.entities import RunContext
    from headgate.tasks.settle import settle_pipeline_run

    if any(flow_run_id == str(flow_run.id) for flow_run_id, _ in _open):
        close_flow_run(state, str(flow_run.id))  # its process lives, and with it whatever is below: this is it
        return
    context = RunContext(ORIGIN, flow.name, str(flow_run.id))
    with opened(_store_to_settle(block, flow_run)) as store:
        closed = settle_pipeline_run(store, context, status_of(state), message=message_of(state))
    if closed:
        _log.info("Ended %s of flow run %s", ", ".join(closed), flow_run.name)


def _store_to_settle(block: str | None, flow_run: FlowRun) -> StoreAccess:
    """Return where the run of a flow run is, as far as that is known here: a hook makes no store."""
    from headgate.store.database import store_url
    from headgate.store.settings import read_settings

    named = named_store(block)
    if named is not None:
        return named
    file = Path(str(store_url(None, read_settings()).database))
    if flow_run.deployment_id is not None or not file.exists():
        raise InvalidSettings(
            f"The run of flow run {flow_run.name!r} was not closed: nothing names the store that it is in.",
            remedy='Name the block that the tasks name: @gated_flow(store="…"), or settle_flow_run_in("…") as a hook; '
            "or set HEADGATE_STORE_URL where the worker runs. reap_runs(store=…) closes it, too.",
            flow_run_id=str(flow_run.id),
        )
    return StoreAccess()


def _close_at_exit() -> None:
    """Close what a cancellation has left: Prefect then calls no hook in this process, and ends it."""
    from headgate.prefect.processes import stopped_by

    if stopped_by() is None:
        return  # a suspended flow run is not over
    from prefect.states import Cancelled

    for flow_run_id, _ in list(_open):
        close_flow_run(Cancelled(message=stopped_by()), flow_run_id)


atexit.register(_close_at_exit)  # after store_access, and so called before the stores are closed
