"""Leases: who keeps a run alive, and until when. A run whose lease ran out is an orphan, which ``reap`` closes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.database import Database
from headgate.store.dialects import upsert
from headgate.store.entities import Lease, RunStatus
from headgate.store.errors import RunNotActive
from headgate.store.run_guard import RUN, lock_run, lock_writable_run
from headgate.store.tables import RunLeaseRow
from headgate.store.validation import check_text, check_timestamp

LEASE = RunLeaseRow.__table__


class Leases:
    """The leases of running runs. All times are epoch ms and given by the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(
        self, run_id: str, owner: str, *, expires_at: int, now: int, host: str = "", pid: int | None = None
    ) -> Lease:
        """Take the lease of a run, from whoever holds it: the orchestrator says who works, and the one before learns
        it from its next heartbeat. May run twice.

        Args:
            owner: names the process that holds the lease, such as a random token; up to 64 characters.

        Raises:
            NotFound: there is no such run.
            RunNotActive: the run has ended, was deleted, or a newer attempt took over.
        """
        lease = _checked(Lease(run_id, owner, expires_at, now, host, pid))

        def work(connection: Connection) -> Lease:
            state = lock_writable_run(connection, run_id)
            if state.status.terminated:
                raise RunNotActive(
                    f"Run {run_id} has ended: it is {state.status.value}.",
                    remedy="Open a new attempt.",
                    run_id=run_id,
                )
            write_lease(connection, lease)
            return lease

        return self._database.transact(work)

    def get(self, run_id: str) -> Lease | None:
        """Return the lease of a run; None when nobody holds one."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(LEASE).where(LEASE.c.run_id == run_id)).first()
            return None if row is None else _lease(row)

    def heartbeat(self, run_id: str, owner: str, *, expires_at: int, now: int) -> bool:
        """Prolong a lease.

        Returns:
            False when the lease is not the owner's any more: the run was closed, a newer attempt fenced it off, or
            another owner took it. The work must then stop. A lease that ran out may be prolonged until it is reaped.
        """
        statement = sa.update(LEASE).where(LEASE.c.run_id == run_id, LEASE.c.owner == owner)
        return self._database.transact(
            lambda connection: (
                connection.execute(statement.values(expires_at=expires_at, heartbeat_at=now)).rowcount == 1
            )
        )

    def release(self, run_id: str, owner: str) -> bool:
        """Give a lease back; the run stays as it is. May run twice.

        Returns:
            Whether the owner held it.
        """
        statement = sa.delete(LEASE).where(LEASE.c.run_id == run_id, LEASE.c.owner == owner)
        return self._database.transact(lambda connection: connection.execute(statement).rowcount == 1)

    def expired(self, now: int, *, max_results: int = 1000) -> tuple[Lease, ...]:
        """Return the leases that ran out, the oldest first."""
        statement = sa.select(LEASE).where(LEASE.c.expires_at <= now)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(LEASE.c.expires_at, LEASE.c.run_id).limit(max_results))
            return tuple(_lease(row) for row in rows)

    def kill_expired(self, run_id: str, *, now: int) -> bool:
        """Close a run as KILLED when its lease has run out, in one transaction. May run twice.

        Returns:
            Whether this call closed it: False when a heartbeat came in between, or somebody else was faster.
        """

        def work(connection: Connection) -> bool:
            state = lock_run(connection, run_id)
            orphaned = sa.and_(LEASE.c.run_id == run_id, LEASE.c.expires_at <= now)
            if connection.execute(sa.delete(LEASE).where(orphaned)).rowcount == 0 or state.status.terminated:
                return False
            killed = sa.update(RUN).where(RUN.c.run_id == run_id)
            connection.execute(killed.values(status=RunStatus.KILLED.value, end_time=now))
            return True

        return self._database.transact(work)


def write_lease(connection: Connection, lease: Lease) -> None:
    """Write the lease of a run that the transaction has taken, over the one that stands there."""
    row = {
        "run_id": lease.run_id,
        "owner": lease.owner,
        "host": lease.host,
        "pid": lease.pid,
        "expires_at": lease.expires_at,
        "heartbeat_at": lease.heartbeat_at,
    }
    update = ("owner", "host", "pid", "expires_at", "heartbeat_at")
    connection.execute(upsert(connection, LEASE, update=update), row)


def remove_lease(connection: Connection, run_id: str) -> None:
    """Remove the lease of a run that ends."""
    connection.execute(sa.delete(LEASE).where(LEASE.c.run_id == run_id))


def _checked(lease: Lease) -> Lease:
    check_text("owner of a lease", lease.owner, 64)
    check_text("host of a lease", lease.host, 255)
    check_timestamp("end of a lease", lease.expires_at)
    check_timestamp("heartbeat of a lease", lease.heartbeat_at)
    return lease


def _lease(row: sa.Row[Any]) -> Lease:
    return Lease(row.run_id, row.owner, row.expires_at, row.heartbeat_at, row.host, row.pid)
