"""Closing the runs that nobody keeps alive any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import Lease
from headgate.store.errors import RunNotActive

if TYPE_CHECKING:
    from headgate.store.store import Store

REAPED_TAG = "headgate.reaped"


def reap(store: Store, now: int | None = None) -> tuple[str, ...]:
    """Close every run whose lease has run out as KILLED, with a tag that says why.

    A run's process prolongs its lease while it lives, so these runs have no process, or one that is cut off from the
    store: it is told to stop by its next heartbeat. May run twice and in several processes at once; each run is closed
    by one of them.

    Args:
        now: epoch ms; None takes the current time.

    Returns:
        The ids of the runs that this call closed, the one that has been dead for longest first.

    Raises:
        StoreUnavailable: the store did not answer; a retry may help.
    """
    now = now_ms() if now is None else now
    closed: list[str] = []
    seen: set[str] = set()
    while leases := [lease for lease in store.leases.expired(now) if lease.run_id not in seen]:
        for lease in leases:
            seen.add(lease.run_id)
            if store.leases.kill_expired(lease.run_id, now=now):
                closed.append(lease.run_id)
                _say_why(store, lease)
    return tuple(closed)


def _say_why(store: Store, lease: Lease) -> None:
    from headgate.store.run_ending import STATUS_MESSAGE_TAG

    why = (
        f"Its process ({lease.pid or 'unknown'} on {lease.host or 'an unknown host'}) gave no sign of life after "
        f"{_utc(lease.heartbeat_at)}."
    )
    try:
        store.tags.set(lease.run_id, {STATUS_MESSAGE_TAG: why, REAPED_TAG: "true"})
    except RunNotActive:
        return  # deleted, or taken over by a newer attempt meanwhile: that says enough


def _utc(time_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
