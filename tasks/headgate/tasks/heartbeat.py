"""The lease of a run, kept by a thread for as long as the work lasts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.errors import Transient
from headgate.tasks.stopping import StopRequest

if TYPE_CHECKING:
    from headgate.store.store import Store

_log = logging.getLogger(__name__)

# So many heartbeats fit into a lease: two may be lost.
_BEATS_PER_LEASE = 3


class Heartbeat:
    """Prolongs a run's lease while the ``with`` block runs, and asks the run to stop when the lease is lost.

    A lease is lost when the store says so: the run was reaped, a newer attempt fenced it off, or another process took
    the same attempt up. A store that does not answer is no loss: nobody can reap the run in it meanwhile either.

    Args:
        owner: who holds the lease.
        stop: asked to stop when the lease is lost.
        clock: gives epoch ms.
    """

    def __init__(
        self, store: Store, run_id: str, owner: str, stop: StopRequest, *, clock: Callable[[], int] = now_ms
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._owner = owner
        self._stop = stop
        self._clock = clock
        self._seconds = store.settings.lease_seconds
        self._over = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep, name=f"headgate-lease-{run_id[:8]}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether the lease is somebody else's now, or nobody's: then the run's end is not ours to record."""
        return self._lost

    def beat(self) -> bool:
        """Prolong the lease now; return whether it is still ours.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        now = self._clock()
        expires_at = now + int(self._seconds * 1000)
        if not self._store.leases.heartbeat(self._run_id, self._owner, expires_at=expires_at, now=now):
            self._lost = True
            self._stop.request("its lease was lost: it was reaped, or another attempt took over")
        return not self._lost

    def _keep(self) -> None:
        while not self._over.wait(self._seconds / _BEATS_PER_LEASE):
            try:
                if not self.beat():
                    return
            except Transient as error:
                _log.warning("The lease of run %s could not be prolonged, trying again: %s", self._run_id, error)
