"""How a flow ends that was told no: ``on_reject`` of :func:`gated_flow`, and of pipelines as flows.

===========  ===========================================================================================================
``fail``     Failed: alerts go out, a parent flow fails (the default)
``skip``     Cancelled: nothing went wrong, and what waits for this flow does not go on
``succeed``  Completed: what follows goes on
===========  ===========================================================================================================

The state is called by what was said, and its message says why: ``Rejected`` by a gate, ``Held`` back by one, ``Not
approved`` by a person, ``Data rejected``, ``Older than champion``. A task of Headgate's *raises* a no in all three:
what is below it in the flow's code must not run. What is no answer, such as a gate that lacks evidence, always fails.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from headgate.store.errors import (
    DataRejected,
    GateHeld,
    GateRejected,
    HeadgateError,
    InvalidInput,
    NotApproved,
    OlderThanChampion,
)

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import State

P = ParamSpec("P")
R = TypeVar("R")

STATE_NAMES: dict[type[HeadgateError], str] = {
    GateRejected: "Rejected",
    GateHeld: "Held",
    NotApproved: "Not approved",
    DataRejected: "Data rejected",
    OlderThanChampion: "Older than champion",
}
"""What says no, and what the state of a flow run is called that it ended."""


class OnReject(StrEnum):
    """How a flow ends that was told no."""

    FAIL = "fail"
    SKIP = "skip"
    SUCCEED = "succeed"


def checked_on_reject(said: str) -> OnReject:
    """Return how a flow ends that was told no.

    Raises:
        InvalidInput: it is none of the three.
    """
    if said not in list(OnReject):
        raise InvalidInput(f"on_reject is {said!r}.", remedy=f"Say {', '.join(OnReject)}.")
    return OnReject(said)


def rejected_state(error: HeadgateError, on_reject: str) -> State[Any]:
    """Return the state that a flow run ends in by a no.

    Args:
        error: the no; a failed state holds it, so that a parent flow gets it from ``.result()``.
        on_reject: ``fail``, ``skip`` or ``succeed``.
    """
    from prefect.states import Cancelled, Completed, Failed

    name, message = state_name(error), error.message
    match checked_on_reject(on_reject):
        case OnReject.FAIL:
            return Failed(name=name, message=message, data=error)
        case OnReject.SKIP:
            return Cancelled(name=name, message=message)
        case OnReject.SUCCEED:
            return Completed(name=name, message=message)


def state_name(error: HeadgateError) -> str:
    """Return what the state of a flow run is called that a no ended."""
    return next(name for kind, name in STATE_NAMES.items() if isinstance(error, kind))


def ends_by(on_reject: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """Return the body of a flow that ends as ``on_reject`` says when a task raises a no, and stops what is at work.

    For whoever makes flows; :func:`gated_flow` is the same as a decorator.
    """
    from headgate.prefect.processes import process_scope

    kind = checked_on_reject(on_reject)

    if inspect.iscoroutinefunction(body):

        @functools.wraps(body)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            try:
                with process_scope():
                    return await body(*args, **kwargs)
            except tuple(STATE_NAMES) as error:
                return _ended(error, kind)

        return awaiting

    @functools.wraps(body)
    def calling(*args: Any, **kwargs: Any) -> Any:
        try:
            with process_scope():
                return body(*args, **kwargs)
        except tuple(STATE_NAMES) as error:
            return _ended(error, kind)

    return calling


@overload
def gated_flow(body: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def gated_flow(
    *, on_reject: str = "fail", store: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def gated_flow(
    body: Callable[..., Any] | None = None,
    /,
    *,
    on_reject: str = "fail",
    store: str | None = None,
    **options: Any,
) -> Any:
    """Make a flow of a function, in the place of ``@flow``: a no ends it in a state with a name, as you choose.

    No retry of the flow is spent on a no. What its tasks have started is stopped when the flow is, submitted tasks too,
    and a worker that finds the flow's process dead closes its run.

    Args:
        body: a function or a coroutine function.
        on_reject: ``fail``, ``skip`` or ``succeed``; see :mod:`headgate.prefect.rejection`.
        store: the name of the ``HeadgateStore`` block that its tasks name: there a worker closes the flow's run. None
            is the store of the worker's environment, or of the block ``default``.
        **options: of the flow, as ``@flow`` takes them.

    Raises:
        InvalidInput: ``on_reject`` is none of these.
    """
    from prefect import Flow

    from headgate.prefect.hooks import settling_hook

    checked_on_reject(on_reject)
    for hook in ("on_cancellation", "on_crashed"):
        options[hook] = [*(options.get(hook) or ()), settling_hook(store)]

    def made(function: Callable[..., Any]) -> Flow[..., Any]:
        return Flow(ends_by(on_reject, function), **options)

    return made if body is None else made(body)


def _ended(error: HeadgateError, on_reject: OnReject) -> State[Any]:
    """Return the state that the flow run ends in, once its run is closed and no retry of the flow is left."""
    from prefect import runtime
    from prefect.logging import get_run_logger
    from prefect.states import Completed

    from headgate.prefect.hooks import close_flow_run

    get_run_logger().warning("%s", error)
    state = rejected_state(error, on_reject)
    if on_reject is OnReject.FAIL:
        _spend_no_retry()
    elif runtime.flow_run.id is not None:
        # Prefect calls no hook for a state Cancelled. For us nothing went wrong: the work was done, the answer is no.
        close_flow_run(Completed(name=state.name, message=state.message), str(runtime.flow_run.id))
    return state


def _spend_no_retry() -> None:
    """Take from the flow run the retries that it has left: it is the server that would retry a Failed state."""
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    flow_run = None if context is None else context.flow_run
    if flow_run is None or not flow_run.empirical_policy.retries:
        return
    policy = flow_run.empirical_policy.model_copy(update={"retries": 0})
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, empirical_policy=policy)
