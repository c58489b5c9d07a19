"""The outbox: what became true, written in the transaction that made it true, to be told to the outside afterwards.

Reading it by id would lose events: a row gets its id when it is written and is seen when its transaction commits, so
on PostgreSQL and MariaDB a row may appear below one that was read already. Rows therefore get a ``position`` once they
are seen, by whoever reads next, under one lock: positions have no gap, appear in their order and never change. Events
of one subject keep the order in which they came true, because their writers hold the lock of the subject's model.

Who has told what to whom is kept in :mod:`headgate.store.deliveries`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, delete, exists, insert, select, update

from headgate.store.database import Database
from headgate.store.dialects import insert_ignore
from headgate.store.entities import DEFAULT_WORKSPACE
from headgate.store.errors import NotFound
from headgate.store.tables import DeliveryRow, OutboxHeadRow, OutboxRow, SubscriptionRow
from headgate.store.tables.base import NAME_LENGTH

_OUTBOX = OutboxRow.__table__
_HEAD = OutboxHeadRow.__table__
_SUBSCRIPTION = SubscriptionRow.__table__
_DELIVERY = DeliveryRow.__table__

# What a delivery says that nobody has tried yet.
UNCLAIMED: Mapping[str, Any] = {"owner": "", "claims": 0, "due_at": 0, "failures": 0, "error": ""}

_ONLY_HEAD = "outbox"
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class OutboxEvent:
    """An event that is to be told. ``event_id`` is the idempotency key: receivers know by it what they were told.

    Args:
        event_id: of a promotion or a rollback, its ``promotion_id``; of a verdict, its ``verdict_id``.
        position: 1, 2, 3, … over the whole store.
        topic: what happened: ``promotion`` (rollbacks and overrides too), ``guard.set``, ``guard.removed``,
            ``stages.set``, ``stages.removed``; ``verdict`` when a gate rejected a candidate.
        subject: to what, such as ``tumor-screening@champion``; events of one subject are told in their order.
        payload: JSON values.
        created_at: UTC epoch ms.
        model_name: the registered model that the subject belongs to.
    """

    event_id: str
    position: int
    workspace: str
    topic: str
    subject: str
    payload: Mapping[str, Any] = field(hash=False)
    created_at: int
    model_name: str = ""


EVENT_COLUMNS = tuple(_OUTBOX.c[column.name] for column in fields(OutboxEvent))


class Outbox:
    """The events of a workspace, in the order of reading.

    Args:
        database: the store's.
        workspace: whose events are read.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def read(
        self, *, after: int = 0, topics: Collection[str] | None = None, max_results: int = 100
    ) -> tuple[OutboxEvent, ...]:
        """Return the events behind a position, in their order. No event ever appears at or below a position that was
        read, so a reader that keeps the last position it saw misses none.

        Args:
            after: the position of the last event that was read; 0 for none.
            topics: only these; None for all.
            max_results: at most that many.
        """
        arrange(self._database)
        behind = and_(_OUTBOX.c.workspace == self._workspace, _OUTBOX.c.position > after)
        if topics is not None:
            behind = and_(behind, _OUTBOX.c.topic.in_(sorted(topics)))
        statement = select(*EVENT_COLUMNS).where(behind).order_by(_OUTBOX.c.position).limit(max_results)
        with self._database.read() as conn:
            return tuple(as_event(row) for row in conn.execute(statement))

    def get(self, event_id: str) -> OutboxEvent:
        """Return one event.

        Raises:
            NotFound: the workspace has none such.
        """
        one = select(*EVENT_COLUMNS).where(_OUTBOX.c.event_id == event_id, _OUTBOX.c.workspace == self._workspace)
        row = read_placed(self._database, one)
        if row is None:
            raise no_such_event(event_id)
        return as_event(row)

    def prune(self, *, before: int, at_once: int = _ROWS_AT_ONCE) -> int:
        """Delete old events that have been told to every channel that wanted them; return how many that were.

        What is on its way or dead stays, and so does the newest event of each subject. The history of promotions is
        another table, and keeps everything. Each transaction is short; writers wait for none.

        Args:
            before: events made earlier than this, epoch ms.
            at_once: how many are looked at in a transaction.
        """
        arrange(self._database)
        pruned, after_id = 0, 0
        while True:
            step = partial(prune_outbox, workspace=self._workspace, before=before, after_id=after_id, at_once=at_once)
            gone, after_id = self._database.transact(step)
            pruned += gone
            if after_id == 0:
                return pruned


def prune_outbox(conn: Connection, workspace: str, *, before: int, after_id: int, at_once: int) -> tuple[int, int]:
    """Delete what has been told of the next ``at_once`` old events, within the caller's transaction.

    Args:
        before: events made earlier than this, epoch ms.
        after_id: rows with a higher id only.

    Returns:
        How many were deleted, and the id to go on behind; 0 when that was all.
    """
    newer = _OUTBOX.alias("newer")
    old = and_(_OUTBOX.c.workspace == workspace, _OUTBOX.c.outbox_id > after_id, _OUTBOX.c.created_at < before)
    looked_at = (
        select(_OUTBOX.c.outbox_id, _OUTBOX.c.topic, _OUTBOX.c.subject, _OUTBOX.c.position)
        .where(old)
        .order_by(_OUTBOX.c.outbox_id)
        .limit(at_once)
    )
    rows = conn.execute(looked_at).all()
    if not rows:
        return 0, 0
    ids = [row.outbox_id for row in rows if row.position is not None]
    waiting = select(_DELIVERY.c.outbox_id).where(_DELIVERY.c.outbox_id.in_(ids), _DELIVERY.c.delivered_at.is_(None))
    kept = set(conn.execute(waiting).scalars())
    # A subject's newest event stays: it says what stands, to whoever asks later.
    followed = exists().where(
        newer.c.workspace == _OUTBOX.c.workspace,
        newer.c.topic == _OUTBOX.c.topic,
        newer.c.subject == _OUTBOX.c.subject,
        newer.c.outbox_id > _OUTBOX.c.outbox_id,
    )
    told = [outbox_id for outbox_id in ids if outbox_id not in kept]
    gone = list(conn.execute(select(_OUTBOX.c.outbox_id).where(_OUTBOX.c.outbox_id.in_(told), followed)).scalars())
    if gone:
        conn.execute(delete(_DELIVERY).where(_DELIVERY.c.outbox_id.in_(gone)))
        conn.execute(delete(_OUTBOX).where(_OUTBOX.c.outbox_id.in_(gone)))
    return len(gone), rows[-1].outbox_id if len(rows) == at_once else 0


def announce(
    conn: Connection,
    workspace: str,
    topic: str,
    subject: str,
    payload: Mapping[str, Any],
    now: int,
    *,
    model_name: str,
    event_id: str | None = None,
) -> int:
    """Add an event to the outbox within the caller's transaction.

    Args:
        conn: in a write transaction that holds the lock of what the subject is part of.
        workspace: whose event it is.
        topic: what happened, such as ``promotion`` or ``guard.set``.
        subject: to what, such as ``tumor-screening@champion``.
        payload: JSON values; no NaN or infinity.
        now: UTC epoch ms.
        model_name: the registered model that the subject belongs to.
        event_id: the idempotency key, up to 36 characters; None makes one.

    Returns:
        The row's id, for what is written beside it in this transaction.
    """
    row = {
        "event_id": event_id or f"e-{uuid.uuid4().hex}",
        "workspace": workspace,
        "topic": topic,
        "subject": short_subject(subject),
        "model_name": model_name,
        "payload": dict(payload),
        "created_at": now,
    }
    (outbox_id,) = conn.execute(insert(_OUTBOX).values(row)).inserted_primary_key or (None,)
    assert isinstance(outbox_id, int)
    return outbox_id


def read_placed(database: Database, one: Select[Any]) -> Row[Any] | None:
    """Return the row of a statement that finds at most one event, with its position."""
    with database.read() as conn:
        row = conn.execute(one).first()
    if row is None or row.position is not None:
        return row
    arrange(database)  # this row is seen, so it has a position afterwards
    with database.read() as conn:
        return conn.execute(one).first()


def arrange(database: Database) -> None:
    """Give every event that is seen and has no position one, and a delivery to each channel that wants it."""
    unplaced = select(_OUTBOX.c.outbox_id).where(_OUTBOX.c.position.is_(None)).limit(1)
    while True:
        # Most readers find nothing new: they write nothing and take no lock.
        with database.read() as conn:
            if conn.execute(unplaced).first() is None:
                return
        database.transact(place_events)


def place_events(conn: Connection, at_once: int | None = _ROWS_AT_ONCE) -> None:
    """Do what :func:`arrange` does to the next ``at_once`` events (None: to all), within a write transaction.

    It waits for whoever does the same, and keeps others waiting until the transaction ends.
    """
    conn.execute(insert_ignore(conn, _HEAD), {"name": _ONLY_HEAD, "position": 0})
    last: int = conn.execute(select(_HEAD.c.position).where(_HEAD.c.name == _ONLY_HEAD).with_for_update()).scalar_one()
    columns = (_OUTBOX.c.outbox_id, _OUTBOX.c.workspace, _OUTBOX.c.topic, _OUTBOX.c.subject, _OUTBOX.c.model_name)
    new = select(*columns).where(_OUTBOX.c.position.is_(None)).order_by(_OUTBOX.c.outbox_id)
    rows = conn.execute(new if at_once is None else new.limit(at_once)).all()
    if not rows:
        return
    place = update(_OUTBOX).where(_OUTBOX.c.outbox_id == bindparam("of")).values(position=bindparam("at"))
    conn.execute(place, [{"of": row.outbox_id, "at": last + nth} for nth, row in enumerate(rows, 1)])
    conn.execute(update(_HEAD).where(_HEAD.c.name == _ONLY_HEAD).values(position=last + len(rows)))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        _hand_out(conn, rows[start : start + _ROWS_AT_ONCE])


def _hand_out(conn: Connection, rows: Sequence[Row[Any, Any, Any, Any, Any]]) -> None:
    """Write a delivery of each event for each channel that is subscribed to it; one that a writer claimed stays."""
    subjects = {row.subject for row in rows} | {""}
    wanted = select(_SUBSCRIPTION).where(
        _SUBSCRIPTION.c.workspace.in_({row.workspace for row in rows}),
        _SUBSCRIPTION.c.topic.in_({row.topic for row in rows}),
        _SUBSCRIPTION.c.subject.in_(subjects),
    )
    channels: dict[tuple[str, str, str], list[str]] = {}
    for found in conn.execute(wanted):
        channels.setdefault((found.workspace, found.topic, found.subject), []).append(found.channel)
    deliveries = [
        {
            "channel": channel,
            "outbox_id": row.outbox_id,
            "workspace": row.workspace,
            "subject": row.subject,
            "model_name": row.model_name,
            **UNCLAIMED,
        }
        for row in rows
        for channel in {
            *channels.get((row.workspace, row.topic, row.subject), ()),
            *channels.get((row.workspace, row.topic, ""), ()),
        }
    ]
    if deliveries:
        conn.execute(insert_ignore(conn, _DELIVERY), deliveries)


def short_subject(subject: str) -> str:
    """Return a subject as it is stored, for finding, ordering and showing; the payload holds the names in full."""
    return subject[:NAME_LENGTH]


def as_event(row: Row[Any]) -> OutboxEvent:
    return OutboxEvent(**{column.name: getattr(row, column.name) for column in fields(OutboxEvent)})


def no_such_event(event_id: str) -> NotFound:
    return NotFound(
        f"There is no event {event_id!r} in the outbox.",
        remedy="The event of a promotion has the promotion's id.",
        kind="event",
        key=event_id,
    )
