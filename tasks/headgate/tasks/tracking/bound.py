"""The run of the function that is being tracked in this process: what it logs goes there, without a variable set.

The function's own thread or asyncio task knows its run by context. Threads that it starts have no context of their own:
they log to the run of the process, if there is just one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from headgate.store.entities import RunInfo
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A run to log to, and the open store that it is in.

    Args:
        outer: what was bound around it.
    """

    store: Store
    info: RunInfo
    outer: Bound | None = None


_own: ContextVar[Bound | None] = ContextVar("headgate_bound_run", default=None)
_lock = threading.Lock()
_all: list[Bound] = []


def bound() -> Bound | None:
    """Return the run that the function around this was given; None outside of any.

    Raises:
        InvalidInput: this thread was started by a function that is being tracked, and the process tracks several: it is
            not clear which is meant.
    """
    if not _all:
        return None
    own = _own.get()
    with _lock:
        if own is not None and own in _all:
            return own
        outermost = [each for each in _all if each.outer is None]
    if len(outermost) > 1:
        raise InvalidInput(
            f"This thread has no run of its own, and {len(outermost)} functions are being tracked in the process.",
            remedy="Run the thread's work in contextvars.copy_context() of the function that starts it.",
            run_ids=tuple(each.info.run_id for each in outermost),
        )
    return outermost[0] if outermost else None


@contextmanager
def bind(store: Store, info: RunInfo) -> Iterator[None]:
    """Let everything that is logged inside of the ``with`` block go to a run of an open store."""
    own = _own.get()
    with _lock:
        outer = own if own is not None and own in _all else None
        mine = Bound(store, info, outer)
        _all.append(mine)
    token = _own.set(mine)
    try:
        yield
    finally:
        with _lock:
            _all.remove(mine)
        _own.reset(token)
