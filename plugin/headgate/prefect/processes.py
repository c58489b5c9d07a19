"""Stopping what tasks have started, whoever ends them: a cancellation, a timeout, Ctrl-C, a dead worker.

Prefect ends a flow run by a signal to its process, and tells the main thread alone of it. A task that was called there
is interrupted; one that was submitted runs in another thread, which learns nothing, and Prefect then waits for it until
it kills the process. So every piece of work registers here what asks it to stop, and is asked in all three cases:

* the signal arrives: its handler asks before Prefect's raises, installed by whatever calls or submits a task of
  Headgate's in the main thread;
* a flow whose body stands in :func:`process_scope` is ended from outside, which may be by its timeout;
* the process that supervises this one dies, ``kill -9`` of a worker included: nobody could cancel this run any more.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from headgate.store.errors import RunKilled
from headgate.tasks.stopping import StopRequest

_log = logging.getLogger("prefect.headgate")

# Prefect raises from these in the main thread: at a cancellation and at Ctrl-C; at a timeout of whatever it runs there.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TIMEOUT = signal.SIGALRM
# A stopped tree is gone after its grace and a bit more; then somebody else has to see to it.
_PATIENCE = 15.0
_LOOK_SECONDS = 1.0

_changed = threading.Condition()
# What is at work: in which thread, and in which flow run.
_live: dict[StopRequest, tuple[int, str]] = {}
_asked: set[StopRequest] = set()
# Flow runs that were ended from outside: what still begins there is stopped at once.
_over: dict[str, str] = {}
_watched_parent: int | None = None
_stopped_by: str | None = None


@contextmanager
def at_work() -> Iterator[StopRequest]:
    """Register a piece of work for the length of the block; give what says that it is to stop.

    A RunKilled that comes of it has ``flow_ended`` set: no retry is spent on a flow that is over.
    """
    watch_signals()
    watch_parent()
    stop = StopRequest()
    with _changed:
        _live[stop] = threading.get_ident(), _flow_run_id()
    try:
        if (reason := _stopped_by or _over.get(_flow_run_id())) is not None:  # a task that was waiting for its turn
            _ask(stop, reason)
        yield stop
    except RunKilled as error:
        if stop in _asked:
            error.attributes["flow_ended"] = True
        raise
    finally:
        with _changed:
            _live.pop(stop, None)
            _asked.discard(stop)
            _changed.notify_all()


@contextmanager
def process_scope() -> Iterator[None]:
    """Stop what tasks have started when the flow is ended from outside; to be put around the body of a flow.

    That is by a signal or by its timeout. When the body ends well, by an error or by a suspension, what was submitted
    and is still at work is left to Prefect, which waits for it.
    """
    from prefect.exceptions import Pause

    watch_signals()
    flow_run_id = _flow_run_id()
    _over.pop(flow_run_id, None)  # it runs again
    try:
        yield
    except (Exception, Pause):
        raise
    except BaseException as error:
        reason = f"the flow was ended by {type(error).__name__}"
        if flow_run_id:
            _over[flow_run_id] = reason
        stop_all(reason, flow_run_id)
        wait_until_stopped(flow_run_id)
        raise


def stop_all(reason: str, flow_run_id: str | None = None) -> None:
    """Ask what is at work in this process to stop, in every thread; of one flow run, or all of it."""
    # Not under the lock: a signal's handler may interrupt its holder in this very thread.
    for stop, (_, of) in list(_live.items()):
        if flow_run_id in (None, of):
            _ask(stop, reason)


def _ask(stop: StopRequest, reason: str) -> None:
    _asked.add(stop)
    stop.request(reason)


def _flow_run_id() -> str:
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return "" if context is None or context.flow_run is None else str(context.flow_run.id)


def stopped_by() -> str | None:
    """Return what told this process to end; None when nothing did."""
    return _stopped_by


def wait_until_stopped(flow_run_id: str, seconds: float = _PATIENCE) -> bool:
    """Wait until the work of a flow run in other threads has ended; say whether it has."""
    until, me = time.monotonic() + seconds, threading.get_ident()
    with _changed:
        while any(thread != me and of == flow_run_id for thread, of in _live.values()):
            left = until - time.monotonic()
            if left <= 0:
                return False
            _changed.wait(left)
    return True


def watch_signals() -> None:
    """Have the signals that end a flow ask all work to stop, before Prefect raises from them; main thread only.

    Prefect installs its handlers when a flow begins and puts back what was there in the end: ours goes with it.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    # The timeout of a task is nobody else's.
    for number in _SIGNALS if _in_task() else (*_SIGNALS, _TIMEOUT):
        before = signal.getsignal(number)
        if callable(before) and not isinstance(before, _Chained):
            signal.signal(number, _Chained(before))


def _in_task() -> bool:
    from prefect.context import TaskRunContext

    return TaskRunContext.get() is not None


class _Chained:
    """A handler that asks all work to stop, and then does what the handler before it does."""

    def __init__(self, before: Callable[[int, FrameType | None], Any]) -> None:
        self._before = before
        self._process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        global _stopped_by
        if os.getpid() == self._process:
            reason = f"the process got {signal.Signals(number).name}"
            if number != _TIMEOUT:
                _stopped_by = _stopped_by or reason
            stop_all(reason)
        self._before(number, frame)


def watch_parent() -> None:
    """Stop this process when the worker or the runner that started it dies; other flows are left alone."""
    global _watched_parent
    if os.environ.get("PREFECT__FLOW_RUN_ID") is None:
        return
    with _changed:
        if _watched_parent == os.getpid():
            return
        _watched_parent = os.getpid()
    threading.Thread(target=_watch_parent, args=(os.getppid(),), name="headgate-parent-watch", daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    stop_all("the worker of this flow run is gone")
    os.kill(os.getpid(), signal.SIGTERM)
    # Last: the worker held the other end of this process's output, and writing to it may end this thread.
    _log.error("The worker of this flow run, process %d, is gone, and nobody could cancel the run: stopping", parent)
