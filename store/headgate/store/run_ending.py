"""How a run ends: what is checked of its end, who may still end it, and what is written then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.clock import now_ms
from headgate.store.entities import RunStatus
from headgate.store.errors import InvalidInput, RunNotActive
from headgate.store.leases import remove_lease
from headgate.store.params_and_tags import write_tags
from headgate.store.run_guard import RUN, RunState, why_not_writable
from headgate.store.validation import MAX_TAG_VALUE_LENGTH, check_status, check_text, check_timestamp

STATUS_MESSAGE_TAG = "headgate.statusMessage"
"""The tag of a run that says why it ended as it did."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ends, checked."""

    status: RunStatus
    end_time: int
    tags: Mapping[str, str]


def checked_end(run_id: str, status: RunStatus, end_time: int | None, message: str | None) -> RunEnd:
    """Return the end of a run; the arguments are those of :meth:`headgate.store.runs.Runs.finish`.

    Raises:
        InvalidInput: the status does not end a run, or the time is not valid.
    """
    status = check_status(status)
    if not status.terminated:
        raise InvalidInput(
            f"A run can't end as {status.value}.", remedy="End it as FINISHED, FAILED or KILLED.", run_id=run_id
        )
    said = check_text("status message", message or "", MAX_TAG_VALUE_LENGTH, truncate=True)
    return RunEnd(
        status,
        now_ms() if end_time is None else check_timestamp("end time of the run", end_time),
        {STATUS_MESSAGE_TAG: said} if said else {},
    )


def require_may_end(state: RunState, status: RunStatus) -> None:
    """Refuse an end that the run's own work can't have any more.

    Raises:
        RunNotActive: the run was killed, deleted, or a newer attempt took over.
    """
    refusal = why_not_writable(state)
    if refusal is None and state.status is RunStatus.KILLED:
        refusal = RunNotActive(
            f"Run {state.run_id} was killed; it can't end as {status.value}.",
            remedy="Open a new attempt of the work.",
            run_id=state.run_id,
        )
    if refusal is not None:
        raise refusal


def write_end(connection: Connection, state: RunState, end: RunEnd) -> None:
    """Write the end of a run that this transaction has locked, and remove its lease."""
    ended = sa.update(RUN).where(RUN.c.run_id == state.run_id)
    connection.execute(ended.values(status=end.status.value, end_time=end.end_time))
    write_tags(connection, state.run_id, state.experiment_id, end.tags)
    remove_lease(connection, state.run_id)
