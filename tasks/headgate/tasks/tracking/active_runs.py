"""Which run is active: by context, for the process, or given by the environment.

Every thread and asyncio task has a stack of its own (a context variable), so runs that are started side by side don't
see one another. What has no run of its own logs to the run that the process was started for (``HEADGATE_RUN_ID``), or
else to the one that the process started, if there is just one: worker threads log to the run of their program.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from headgate.store.entities import RunStatus
from headgate.store.errors import HeadgateError, InvalidInput
from headgate.tasks.tracking.bound import bind, bound
from headgate.tasks.tracking.session import current_store

if TYPE_CHECKING:
    from headgate.store.entities import RunInfo
    from headgate.store.store import Store
    from headgate.tasks.heartbeat import Heartbeat

RUN_VARIABLE = "HEADGATE_RUN_ID"


@dataclass(frozen=True, slots=True, eq=False)
class ActiveRun:
    """A run that is being logged to. As a context manager it ends with the block: FINISHED, or FAILED by an exception.

    Args:
        info: the run as it was when it became active.
        is_attached: whether somebody else opened it and will end it (``headgate run``, an orchestrator's task).
        outer_run_id: the run that was active when this one was started.
        heartbeat: keeps the lease of a run that this process opened, so that ``headgate reap`` closes the run when the
            process is gone; None for an attached one.
        pid: the process that started it: the child of a fork must not end it.
    """

    info: RunInfo
    is_attached: bool = False
    outer_run_id: str | None = None
    heartbeat: Heartbeat | None = field(default=None, repr=False)
    pid: int = field(default_factory=os.getpid)

    @property
    def run_id(self) -> str:
        return self.info.run_id

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = _status_after(error)
        try:
            # The message may hold a secret, so only the exception's name is kept: the output has the rest.
            finish(self, status, None if error is None or status is RunStatus.FINISHED else type(error).__name__)
        except HeadgateError as refusal:
            if error is None:
                raise
            error.add_note(f"The end of run {self.run_id} could not be recorded: {refusal}")


_stack: ContextVar[tuple[ActiveRun, ...]] = ContextVar("headgate_active_runs", default=())
_lock = threading.Lock()
_live: list[ActiveRun] = []
_attached: dict[str, ActiveRun] = {}


def active_run() -> ActiveRun | None:
    """Return the run that is logged to here and now; None when there is none yet.

    Raises:
        InvalidInput: this thread started none, and the process has several: it is not clear which is meant.
    """
    if (own := innermost()) is not None:
        return own
    if (given := given_run_id()) is not None:
        return attached(given)
    with _lock:
        outermost = [run for run in _live if run.outer_run_id is None]
    if len(outermost) > 1:
        raise InvalidInput(
            f"This thread has no run of its own, and {len(outermost)} are active in the process.",
            remedy="Start a run in the thread, or run its work in contextvars.copy_context().",
            run_ids=tuple(run.run_id for run in outermost),
        )
    return outermost[0] if outermost else None


def innermost() -> ActiveRun | None:
    """Return the run that this thread or task started last and that has not ended."""
    with _lock:
        return next((run for run in reversed(_stack.get()) if run in _live), None)


def given_run_id() -> str | None:
    """Return the run that this process was started for, or the function that is being tracked, if it was."""
    if (given := bound()) is not None:
        return given.info.run_id
    return os.environ.get(RUN_VARIABLE) or None


def attached(run_id: str) -> ActiveRun:
    """Return the run that the process was started for.

    Raises:
        NotFound: it is not in the store.
    """
    with _lock:
        known = _attached.get(run_id)
    if known is None:
        known = ActiveRun(current_store().runs.get_info(run_id), is_attached=True)
        with _lock:
            _attached[run_id] = known
    return known


def push(run: ActiveRun) -> ActiveRun:
    """Make ``run`` the active one of this thread or task."""
    with _lock:
        _live.append(run)
    _stack.set((*_stack.get(), run))
    return run


def finish(run: ActiveRun, status: RunStatus, message: str | None = None) -> None:
    """Record the end of a run, and let the one before be active again. An attached run stays open; its opener ends it.

    Raises:
        RunNotActive: the run was killed, deleted, or a newer attempt took over.
    """
    with _lock:
        if run not in _live:
            return
        _live.remove(run)
    _stack.set(tuple(other for other in _stack.get() if other is not run))
    if run.heartbeat is not None:
        run.heartbeat.__exit__(None, None, None)
    if not run.is_attached:
        current_store().runs.finish(run.run_id, status, message=message)


@contextmanager
def attached_to(store: Store, info: RunInfo) -> Iterator[None]:
    """Let everything that is logged inside of the ``with`` block go to a run that somebody else opened and will end.

    Runs that are started inside and left open end with the block: FINISHED, or as an exception says.
    """
    before = _stack.get()
    with bind(store, info):
        with _lock:
            _attached[info.run_id] = ActiveRun(info, is_attached=True)
        try:
            yield
        except BaseException as error:
            for run in _left_open(before):
                run.__exit__(type(error), error, None)
            raise
        else:
            for run in _left_open(before):
                run.__exit__(None, None, None)
        finally:
            _stack.set(before)
            with _lock:
                _attached.pop(info.run_id, None)


def _left_open(before: tuple[ActiveRun, ...]) -> list[ActiveRun]:
    """Return the runs of this thread or task that are not among those ``before``, the innermost first."""
    return [run for run in reversed(_stack.get()) if run not in before]


def live_runs() -> list[ActiveRun]:
    """Return the runs that this process started and has not ended, the newest first."""
    with _lock:
        return [run for run in reversed(_live) if run.pid == os.getpid() and not run.is_attached]


def forget() -> None:
    """Forget every run, as a new process would."""
    with _lock:
        _live.clear()
        _attached.clear()


def _status_after(error: BaseException | None) -> RunStatus:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return RunStatus.FINISHED
    return RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
