"""The attempts of one piece of work: numbered, and only the newest may be written to. The others are fenced off."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.database import Database
from headgate.store.entities import RunContext, RunInfo, RunStatus
from headgate.store.errors import InvalidInput, RunNotActive
from headgate.store.leases import LEASE
from headgate.store.run_guard import RUN, lock_runs, why_not_writable

_ENDED = tuple(status.value for status in RunStatus if status.terminated)


def attempts_of(context: RunContext, workspace: str) -> sa.ColumnElement[bool]:
    """Return the condition that a run is an attempt of a context's work.

    Raises:
        InvalidInput: the context is anonymous and names no work.
    """
    work_key = context.work_key(workspace)
    if work_key is None:
        raise InvalidInput("An anonymous context names no piece of work.", remedy="Give the context a pipeline_run_id.")
    return RUN.c.work_key == work_key


def place_among_attempts(
    connection: Connection, work_key: str, wanted: int | None
) -> tuple[str | None, int, str | None]:
    """Return the existing run of the wanted attempt, or the number of the new one and the run before it.

    Raises:
        RunNotActive: the attempt was deleted, or a newer one exists.
    """
    statement = sa.select(RUN.c.run_id, RUN.c.attempt).where(RUN.c.work_key == work_key).order_by(RUN.c.attempt)
    attempts = connection.execute(statement.with_for_update(key_share=True)).all()
    newest = attempts[-1] if attempts else None
    attempt = wanted or (newest.attempt + 1 if newest else 1)
    for row in attempts:
        if row.attempt == attempt:
            refusal = why_not_writable(lock_runs(connection, [row.run_id])[row.run_id])
            if refusal is not None:
                raise refusal
            return row.run_id, attempt, None
    if newest is not None and newest.attempt > attempt:
        raise RunNotActive(
            f"Attempt {attempt} of this work comes too late: attempt {newest.attempt} (run {newest.run_id}) exists.",
            remedy="Stop this one; the newer attempt does the work.",
            superseded_by=newest.run_id,
        )
    return None, attempt, newest.run_id if newest else None


def fence_older_attempts(connection: Connection, work_key: str, attempt: int, newest: str, now: int) -> None:
    """Close the attempts before ``attempt``: none can be written to any more, and those still running were KILLED."""
    older = sa.and_(RUN.c.work_key == work_key, RUN.c.attempt < attempt)
    running = RUN.c.status.not_in(_ENDED)
    # One statement: a run that is committed between two would be fenced by the second and not closed by the first.
    # MySQL sets columns in the order given and reads what it has set: the end comes before the status that decides it.
    connection.execute(
        sa.update(RUN)
        .where(older, sa.or_(running, RUN.c.superseded_by.is_(None)))
        .ordered_values(
            (RUN.c.end_time, sa.case((running, now), else_=RUN.c.end_time)),
            (RUN.c.status, sa.case((running, RunStatus.KILLED.value), else_=RUN.c.status)),
            (RUN.c.superseded_by, sa.func.coalesce(RUN.c.superseded_by, newest)),
        )
    )
    connection.execute(sa.delete(LEASE).where(LEASE.c.run_id.in_(sa.select(RUN.c.run_id).where(older))))


def fence_attempts_opened_at_once(database: Database, opened: RunInfo, work_key: str, now: int) -> None:
    """Fence older attempts once more, after the commit.

    Two attempts that are opened at the same time do not see each other; whoever commits last sees both.

    Raises:
        RunNotActive: what was opened is not the newest attempt.
    """
    standing = sa.select(RUN.c.run_id, RUN.c.attempt).where(RUN.c.work_key == work_key, RUN.c.superseded_by.is_(None))
    with database.read() as connection:
        attempts = connection.execute(standing.order_by(RUN.c.attempt)).all()
    if len(attempts) < 2:
        return
    newest = attempts[-1]

    def work(connection: Connection) -> None:
        fence_older_attempts(connection, work_key, newest.attempt, newest.run_id, now)

    database.transact(work)
    if newest.run_id != opened.run_id:
        raise RunNotActive(
            f"Run {opened.run_id} is fenced off: attempt {newest.attempt}, run {newest.run_id}, took over.",
            remedy="Stop this attempt; the newer one does the work.",
            run_id=opened.run_id,
            superseded_by=newest.run_id,
        )
