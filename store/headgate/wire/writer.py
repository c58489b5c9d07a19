"""Group commit: what many requests log is written in one transaction for all that waits.

A commit costs the same for one metric as for a thousand, so under load each transaction takes all that has come in. A
request is answered when its transaction is committed: an answered write is durable.

Where a commit waits for a disk or a server, a thread writes. Clients that wait for their answers come back together: a
group waits for as many as were in the one before, though no longer than that one took, or it would go ahead with the
first of them and let the others wait for a commit more.

SQLite commits within a fraction of a millisecond, less than it takes a busy machine to wake a thread and then the event
loop again. There the loop itself writes what its requests have brought, as soon as a turn of it has brought no more,
unless that is much, or somebody else holds the write lock: that is left to the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headgate.store.errors import HeadgateError
from headgate.wire.errors import WireError
from headgate.wire.principal import Principal
from headgate.wire.scope import Asking, may_measure, may_tag, may_write_run

if TYPE_CHECKING:
    from headgate.store.run_batches import RunBatch
    from headgate.store.store import Store

_MOST_BATCHES = 512
_MOST_REMEMBERED = 65_536
_LONGEST_WAIT = 0.02  # seconds, however slow the database is
_MOST_OF_A_LOOP = 512  # metrics, params and tags that an event loop writes itself


@dataclass(frozen=True, slots=True)
class Write:
    """A batch and who sends it."""

    batch: RunBatch
    principal: Principal

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of the run and of the LoggedModels that are written to."""
        return self.batch.run_id, *{str(metric.model_id) for metric in self.batch.model_metrics}


@dataclass(slots=True)
class _Waiting:
    write: Write
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]
    error: BaseException | None = field(default=None)


class Writer:
    """Takes writes from any number of event loops. Its thread starts when it is first needed.

    Args:
        store: what is written to.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loops_write = store.database.commits_at_once
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._loop_is_writing = threading.Lock()
        self._closed = False
        self._allowed_to: set[tuple[str | None, str]] = set()
        self._expected = 1
        self._longest_wait = 0.0

    async def submit(self, write: Write) -> None:
        """Return when the write is committed.

        Raises:
            HeadgateError: why it can't be written; then nothing of it was.
            WireError: the writer has stopped, or the sender may not write there.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(write, loop, loop.create_future())
        if self._loops_write and self._needs_no_look_up(write):
            self._gather(waiting)
        else:
            self._enqueue([waiting])
        await waiting.done

    def close(self) -> None:
        """Write what is waiting, then stop. May be called twice."""
        with self._loop_is_writing, self._lock:
            if self._closed:
                return
            self._put([waiting for gathered in self._gathered.values() for waiting in gathered])
            self._gathered.clear()
            self._closed = True
            self._queue.put(None)
            thread = self._thread
        if thread is not None:
            thread.join()

    def _gather(self, waiting: _Waiting) -> None:
        with self._lock:
            self._refuse_when_closed()
            gathered = self._gathered.setdefault(waiting.loop, [])
            gathered.append(waiting)
        if len(gathered) == 1:
            waiting.loop.call_soon(self._write_gathered, waiting.loop, 0)

    def _write_gathered(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        """Write what the requests of a loop have brought, in that loop, once a turn of it has brought no more."""
        with self._loop_is_writing:
            with self._lock:
                group = self._gathered.get(loop, [])
                if before < len(group) < _MOST_BATCHES:
                    loop.call_soon(self._write_gathered, loop, len(group))
                    return
                self._gathered.pop(loop, None)
            if not group:
                return
            try:
                small = sum(waiting.write.batch.size for waiting in group) <= _MOST_OF_A_LOOP
                if small and self._queue.empty():
                    self._log([waiting for waiting in group if self._allowed(waiting)], wait=False)
                    _wake(group)
                    return
            except Exception:  # noqa: BLE001 - the thread tries again, with patience, and tells
                for waiting in group:
                    waiting.error = None
            self._enqueue(group)

    def _enqueue(self, group: Sequence[_Waiting]) -> None:
        with self._lock:  # what is put behind the end of the queue would wait for ever
            self._refuse_when_closed()
            self._put(group)

    def _put(self, group: Sequence[_Waiting]) -> None:
        if group and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="headgate-writer", daemon=True)
            self._thread.start()
        for waiting in group:
            self._queue.put(waiting)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise WireError("TEMPORARILY_UNAVAILABLE", "The server is shutting down.")

    def _run(self) -> None:
        while True:
            group, last = self._next_group()
            begin = time.monotonic()
            self._write(group)
            _answer(group)
            self._expected = len(group)
            self._longest_wait = min(time.monotonic() - begin, _LONGEST_WAIT)
            if last:
                return

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        group = [first]
        deadline = time.monotonic() + self._longest_wait
        while len(group) < _MOST_BATCHES:
            seconds = deadline - time.monotonic() if len(group) < self._expected else 0
            try:
                following = self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, True
            group.append(following)
        return group, False

    def _write(self, group: Sequence[_Waiting]) -> None:
        allowed = [waiting for waiting in group if self._allowed(waiting)]
        try:
            self._log(allowed)
        except Exception as error:  # noqa: BLE001 - carried to the requests that wait
            if len(allowed) > 1 and not (isinstance(error, HeadgateError) and error.retryable):
                for waiting in allowed:  # what the database can't take of one request is no other's failure
                    self._write([waiting])
                return
            for waiting in allowed:
                waiting.error = error

    def _log(self, allowed: Sequence[_Waiting], *, wait: bool = True) -> None:
        if not allowed:
            return
        batches = [waiting.write.batch for waiting in allowed]
        for waiting, refusal in zip(allowed, self._store.runs.log_batches(batches, wait=wait), strict=True):
            waiting.error = refusal

    def _needs_no_look_up(self, write: Write) -> bool:
        principal = write.principal
        return principal.experiment_id is None or all((principal.run_id, key) in self._allowed_to for key in write.keys)

    def _allowed(self, waiting: _Waiting) -> bool:
        principal, batch = waiting.write.principal, waiting.write.batch
        if principal.experiment_id is None:
            return True
        asking = Asking(self._store, principal)
        try:
            may_tag(asking, batch.tags)
            for key in waiting.write.keys:
                if (principal.run_id, key) not in self._allowed_to:
                    (may_write_run if key == batch.run_id else may_measure)(asking, key)
                    self._remember(principal.run_id, key)
        except Exception as error:  # noqa: BLE001 - carried to the request that waits
            waiting.error = error
            return False
        return True

    def _remember(self, own: str | None, key: str) -> None:
        """Keep that a run may write to a run or a LoggedModel: where these are never changes."""
        if len(self._allowed_to) >= _MOST_REMEMBERED:
            self._allowed_to.clear()
        self._allowed_to.add((own, key))


def _answer(group: Sequence[_Waiting]) -> None:
    """Wake the requests, with one call per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for waiting in group:
        by_loop.setdefault(waiting.loop, []).append(waiting)
    for loop, of_loop in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed, and with it whoever waited
            loop.call_soon_threadsafe(_wake, of_loop)


def _wake(group: Sequence[_Waiting]) -> None:
    for waiting in group:
        if waiting.done.done():
            continue  # the client went away; what it sent is written all the same
        if waiting.error is None:
            waiting.done.set_result(None)
        else:
            waiting.done.set_exception(waiting.error)
