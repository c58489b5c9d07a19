"""Who may write to a run. Every writer takes the run's row first, so writers of one run follow one another and no write
slips past a fence; writers of several runs take them in the order of their ids, so they can't deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.dialects import is_mysql
from headgate.store.driver_statements import DriverStatement
from headgate.store.entities import LifecycleStage, RunStatus
from headgate.store.errors import NotFound, RunNotActive
from headgate.store.id_sets import is_in_parameter, set_parameter
from headgate.store.tables import RunRow

RUN = RunRow.__table__

_STATUSES = {status.value: status for status in RunStatus}
_STAGES = {stage.value: stage for stage in LifecycleStage}


@dataclass(frozen=True, slots=True)
class RunState:
    """What a writer must know of a run before it writes."""

    run_id: str
    experiment_id: int
    status: RunStatus
    lifecycle_stage: LifecycleStage
    end_time: int | None
    superseded_by: str | None


_STATE = sa.select(
    RUN.c.run_id, RUN.c.experiment_id, RUN.c.status, RUN.c.lifecycle_stage, RUN.c.end_time, RUN.c.superseded_by
)
# NO KEY UPDATE on PostgreSQL: rows that refer to the run may still be inserted beside it.
_LOCK_ONE = DriverStatement(
    lambda _: _STATE.where(RUN.c.run_id == sa.bindparam("id")).with_for_update(key_share=True), ("id",)
)
_LOCK_MANY = DriverStatement(
    lambda connection: (
        _STATE.where(is_in_parameter(connection, RUN.c.run_id, "ids"))
        .order_by(RUN.c.run_id)
        .with_for_update(key_share=True)
    ),
    ("ids",),
)


def lock_runs(connection: Connection, run_ids: Iterable[str]) -> dict[str, RunState]:
    """Take the runs for this transaction and return their state by id; unknown ids are absent."""
    ids = sorted(set(run_ids))
    if not ids:
        return {}
    if len(ids) > 1 and is_mysql(connection):
        many = _STATE.where(RUN.c.run_id.in_(ids)).order_by(RUN.c.run_id)
        return _states(connection.execute(many.with_for_update(key_share=True)))
    if len(ids) == 1:
        return _states(_LOCK_ONE.run(connection, (ids[0],)))
    return _states(_LOCK_MANY.run(connection, (set_parameter(connection, ids),)))


def _states(rows: Iterable[Any]) -> dict[str, RunState]:
    return {
        run_id: RunState(run_id, experiment_id, _STATUSES[status], _STAGES[stage], end_time, superseded_by)
        for run_id, experiment_id, status, stage, end_time, superseded_by in rows
    }


def lock_run(connection: Connection, run_id: str) -> RunState:
    """Take one run for this transaction.

    Raises:
        NotFound: there is no such run.
    """
    state = lock_runs(connection, [run_id]).get(run_id)
    if state is None:
        raise run_not_found(run_id)
    return state


def lock_writable_run(connection: Connection, run_id: str) -> RunState:
    """Take one run for this transaction, to write to it.

    Raises:
        NotFound: there is no such run.
        RunNotActive: it was deleted, or a newer attempt has taken its place.
    """
    return require_writable(run_id, lock_runs(connection, [run_id]).get(run_id))


def require_writable(run_id: str, state: RunState | None) -> RunState:
    """Return the state of a run that may be written to.

    Raises:
        NotFound: there is no such run.
        RunNotActive: it was deleted, or a newer attempt has taken its place.
    """
    if state is None:
        raise run_not_found(run_id)
    refusal = why_not_writable(state)
    if refusal is not None:
        raise refusal
    return state


def why_not_writable(state: RunState) -> RunNotActive | None:
    """Return the error that a write to this run must end with; None when it may go on."""
    if state.superseded_by is not None:
        return RunNotActive(
            f"Run {state.run_id} is fenced off: a newer attempt, run {state.superseded_by}, took over.",
            remedy="Write to the newer attempt; nothing was written here.",
            run_id=state.run_id,
            superseded_by=state.superseded_by,
        )
    if state.lifecycle_stage is not LifecycleStage.ACTIVE:
        return RunNotActive(
            f"The run {state.run_id} must be in the 'active' state. Current state is deleted.",
            remedy="Restore it before writing to it.",
            run_id=state.run_id,
        )
    return None


def run_not_found(run_id: str) -> NotFound:
    return NotFound(
        f"There is no run {run_id!r}.", remedy="Look it up with: headgate runs list", kind="run", key=run_id
    )
