"""Deliveries: which channel wants which events of the outbox, who is telling them, and what has been told.

A channel is a way out: one Airflow, one Prefect, one webhook. It subscribes to a topic, or to one subject of it, and
gets every event that is committed afterwards. A delivery is then *claimed* by an owner, told, and *confirmed*::

    nobody's ──claim──▶ claimed until due_at ──confirm──▶ delivered
        ▲                       │
        └──────release──────────┴──bury──▶ dead ──replay──▶ nobody's

Between telling and confirming an owner may die. Then nobody but the owner knows whether the event was told. Its claim
runs out and shows up among the due ones with the dead owner's name: whoever can find out what became of that owner
*takes it over*, or confirms it in its name. Claims are compared and set, so of many who try one succeeds: an event is
told at least once, and exactly once as far as the owner's end can be told from outside.

Events of one subject are told in their order: the next one is not due while an earlier one is undelivered. A channel
may ask for the same of all events of a model. What is dead holds nobody up; replayed, it comes when it comes, and its
payload says by ``sequence`` where it belongs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, exists, func, insert, or_, select, update

from headgate.store.database import Database
from headgate.store.dialects import insert_ignore
from headgate.store.entities import DEFAULT_WORKSPACE
from headgate.store.errors import InvalidInput
from headgate.store.outbox import (
    EVENT_COLUMNS,
    UNCLAIMED,
    OutboxEvent,
    arrange,
    as_event,
    no_such_event,
    place_events,
    read_placed,
    short_subject,
)
from headgate.store.tables import DeliveryRow, OutboxRow, SubscriptionRow
from headgate.store.tables.outbox import CHANNEL_LENGTH, OWNER_LENGTH, TOPIC_LENGTH
from headgate.store.validation import check_text

_OUTBOX = OutboxRow.__table__
_SUBSCRIPTION = SubscriptionRow.__table__
_DELIVERY = DeliveryRow.__table__
_EARLIER = _DELIVERY.alias("earlier")
_STATE = tuple(
    _DELIVERY.c[name]
    for name in ("channel", "owner", "claims", "due_at", "delivered_at", "error", "failures", "dead_at")
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is going to tell an event into a channel, and until when nobody else may, UTC epoch ms."""

    channel: str
    owner: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way into a channel.

    Args:
        owner: who claimed it last; empty when nobody has, or it was given back.
        claims: how often it was claimed; tells one claim of an owner from the next.
        due_at: before this nobody else may claim it, UTC epoch ms: the end of the claim, or the time of the next try.
        delivered_at: UTC epoch ms; None until it is.
        error: why the last try failed.
        failures: tries that failed since it was handed out or replayed.
        dead_at: when it was given up, UTC epoch ms; None while it is not.
    """

    event: OutboxEvent
    channel: str
    owner: str
    claims: int
    due_at: int
    delivered_at: int | None
    error: str = ""
    failures: int = 0
    dead_at: int | None = None


class Deliveries:
    """The deliveries of a workspace's events. Timestamps are UTC epoch milliseconds; every call may run twice.

    Args:
        database: the store's.
        workspace: whose events they are.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def subscribe(self, channel: str, topic: str, subject: str | None = None, *, now: int) -> bool:
        """Let a channel have every event of a topic that is committed from now on; earlier ones it does not get.

        Args:
            channel: up to 64 characters.
            topic: such as ``promotion``.
            subject: only the events of this one; None for all of the topic.

        Returns:
            Whether this is new: a channel that is subscribed already stays so, and gets what it has not had yet.
        """
        row = _subscription(self._workspace, channel, topic, subject)
        with self._database.read() as conn:
            if _is_subscribed(conn, row):
                return False
        arrange(self._database)
        return self._database.transact(
            lambda conn: bool(subscribe_within(conn, self._workspace, channel, [topic], subject, now=now))
        )

    def unsubscribe(self, channel: str, topic: str, subject: str | None = None) -> bool:
        """Let a channel have no further events of a topic or subject; those on their way to it stay.

        Returns:
            Whether it was subscribed.
        """
        row = _subscription(self._workspace, channel, topic, subject)
        gone = delete(_SUBSCRIPTION).where(_same(_SUBSCRIPTION, row))
        return self._database.transact(lambda conn: conn.execute(gone).rowcount == 1)

    def due(
        self,
        channel: str,
        *,
        now: int,
        subjects: Collection[str] | None = None,
        max_results: int = 100,
        order: Literal["subject", "model"] = "subject",
    ) -> tuple[Delivery, ...]:
        """Return what may be claimed: of each subject the earliest undelivered event, where it is nobody's or its claim
        ran out (``owner`` says whose). In the order of the events.

        Args:
            subjects: only the events of these; None for all.
            order: whose earliest event: ``model`` tells those of a model's targets one after the other, too.
        """
        arrange(self._database)
        undelivered = and_(
            _DELIVERY.c.workspace == self._workspace,
            _DELIVERY.c.channel == channel,
            _DELIVERY.c.delivered_at.is_(None),
            _DELIVERY.c.dead_at.is_(None),
        )
        lane = _DELIVERY.c.subject if order == "subject" else _DELIVERY.c.model_name
        if subjects is not None:
            undelivered = and_(undelivered, _DELIVERY.c.subject.in_(sorted({short_subject(name) for name in subjects})))
        earlier = exists().where(
            _EARLIER.c.workspace == _DELIVERY.c.workspace,
            _EARLIER.c.channel == _DELIVERY.c.channel,
            _EARLIER.c[lane.name] == lane,
            _EARLIER.c.delivered_at.is_(None),
            _EARLIER.c.dead_at.is_(None),
            _EARLIER.c.outbox_id < _DELIVERY.c.outbox_id,
        )
        statement = _deliveries().where(
            undelivered, _DELIVERY.c.due_at <= now, ~earlier, _OUTBOX.c.position.is_not(None)
        )
        with self._database.read() as conn:
            rows = conn.execute(statement.order_by(_DELIVERY.c.outbox_id).limit(max_results))
            return tuple(_delivery(row) for row in rows)

    def get(self, channel: str, event_id: str) -> Delivery | None:
        """Return how the delivery of an event into a channel stands; None when the channel does not get it."""
        row = read_placed(self._database, _deliveries().where(self._of(event_id), _DELIVERY.c.channel == channel))
        return _delivery(row) if row is not None else None

    def claim(self, event_id: str, claim: Claim, *, now: int, over: Delivery | None = None) -> bool:
        """Claim the delivery of an event, whether the channel is subscribed to it or not.

        It succeeds for an undelivered event that is nobody's and due, and for one that the owner claimed before. A
        claim of somebody else's that ran out is not taken without ``over``: that owner may have told the event before
        it died.

        Args:
            over: the delivery as it was read (see :meth:`due`), to take over the claim that it shows.

        Raises:
            NotFound: there is no such event.
        """
        _checked(claim)

        def work(conn: Connection) -> bool:
            columns = (_OUTBOX.c.outbox_id, _OUTBOX.c.workspace, _OUTBOX.c.subject, _OUTBOX.c.model_name)
            found = conn.execute(select(*columns).where(self._of(event_id))).first()
            if found is None:
                raise no_such_event(event_id)
            blank = {**found._mapping, "channel": claim.channel, **UNCLAIMED}
            conn.execute(insert_ignore(conn, _DELIVERY), [blank])
            free: ColumnElement[bool] = and_(_DELIVERY.c.owner == "", _DELIVERY.c.due_at <= now)
            if over is not None:
                free = and_(*_unchanged(over), _DELIVERY.c.due_at <= now)
            taken = (
                update(_DELIVERY)
                .where(_DELIVERY.c.channel == claim.channel, _DELIVERY.c.outbox_id == found.outbox_id)
                .where(_DELIVERY.c.delivered_at.is_(None), _DELIVERY.c.dead_at.is_(None))
                .where(or_(_DELIVERY.c.owner == claim.owner, free))
                .values(owner=claim.owner, claims=_DELIVERY.c.claims + 1, due_at=claim.expires_at)
            )
            return conn.execute(taken).rowcount == 1

        return self._database.transact(work)

    def confirm(self, channel: str, event_id: str, owner: str, *, now: int) -> bool:
        """Record that the owner of a claim has told the event.

        Returns:
            False when the claim is another's by now, or was never made; confirming twice is True twice.
        """

        def work(conn: Connection) -> bool:
            of_owner = self._owned(channel, event_id, owner)
            told = update(_DELIVERY).where(of_owner, _DELIVERY.c.delivered_at.is_(None))
            if conn.execute(told.values(delivered_at=now, error="")).rowcount == 1:
                return True
            return conn.execute(select(_DELIVERY.c.channel).where(of_owner)).first() is not None

        return self._database.transact(work)

    def prolong(self, channel: str, event_id: str, owner: str, *, expires_at: int) -> bool:
        """Move the end of a claim; False when it is another's by now, or the event was delivered."""
        longer = update(_DELIVERY).where(self._owned(channel, event_id, owner), _DELIVERY.c.delivered_at.is_(None))
        return self._database.transact(lambda conn: conn.execute(longer.values(due_at=expires_at)).rowcount == 1)

    def release(self, channel: str, event_id: str, owner: str, *, due_at: int, error: str = "") -> bool:
        """Give a claim back, the event not told, to be claimed by anybody from ``due_at`` on.

        Returns:
            False when the claim is another's by now, or the event was delivered.
        """
        back = update(_DELIVERY).where(self._owned(channel, event_id, owner), _DELIVERY.c.delivered_at.is_(None))
        values = {"owner": "", "due_at": due_at, "error": error, "failures": _DELIVERY.c.failures + (1 if error else 0)}
        return self._database.transact(lambda conn: conn.execute(back.values(**values)).rowcount == 1)

    def bury(self, channel: str, event_id: str, owner: str, *, error: str, now: int) -> bool:
        """Give an event up: it is claimed no more until somebody replays it, and holds up none behind it.

        Returns:
            False when the claim is another's by now, or the event was delivered.
        """
        dead = update(_DELIVERY).where(self._owned(channel, event_id, owner), _DELIVERY.c.delivered_at.is_(None))
        values = {"owner": "", "error": error, "failures": _DELIVERY.c.failures + 1, "dead_at": now}
        return self._database.transact(lambda conn: conn.execute(dead.values(**values)).rowcount == 1)

    def dead(self, channel: str | None = None, *, max_results: int = 100) -> tuple[Delivery, ...]:
        """Return the events that were given up, in their order; of one channel, or of all."""
        of_dead = and_(_DELIVERY.c.workspace == self._workspace, _DELIVERY.c.dead_at.is_not(None))
        if channel is not None:
            of_dead = and_(of_dead, _DELIVERY.c.channel == channel)
        statement = _deliveries().where(of_dead, _OUTBOX.c.position.is_not(None))
        with self._database.read() as conn:
            return tuple(
                _delivery(row) for row in conn.execute(statement.order_by(_DELIVERY.c.outbox_id).limit(max_results))
            )

    def replay(self, channel: str, event_id: str | None = None, *, now: int) -> int:
        """Make what was given up due again, as if nobody had tried it yet; return how many events that are.

        Args:
            event_id: only this one; None for all of the channel.
        """
        again = update(_DELIVERY).where(
            _DELIVERY.c.workspace == self._workspace, _DELIVERY.c.channel == channel, _DELIVERY.c.dead_at.is_not(None)
        )
        if event_id is not None:
            again = again.where(
                _DELIVERY.c.outbox_id == select(_OUTBOX.c.outbox_id).where(self._of(event_id)).scalar_subquery()
            )
        values = {"owner": "", "due_at": now, "failures": 0, "dead_at": None}
        return self._database.transact(lambda conn: conn.execute(again.values(**values)).rowcount)

    def pending(self, channel: str) -> int:
        """Return how many events are on their way into a channel, dead ones not counted."""
        arrange(self._database)
        of_channel = and_(_DELIVERY.c.workspace == self._workspace, _DELIVERY.c.channel == channel)
        waiting = and_(of_channel, _DELIVERY.c.delivered_at.is_(None), _DELIVERY.c.dead_at.is_(None))
        with self._database.read() as conn:
            return int(conn.execute(select(func.count()).select_from(_DELIVERY).where(waiting)).scalar_one())

    def _of(self, event_id: str) -> ColumnElement[bool]:
        return and_(_OUTBOX.c.event_id == event_id, _OUTBOX.c.workspace == self._workspace)

    def _owned(self, channel: str, event_id: str, owner: str) -> ColumnElement[bool]:
        outbox_id = select(_OUTBOX.c.outbox_id).where(self._of(event_id)).scalar_subquery()
        return and_(_DELIVERY.c.channel == channel, _DELIVERY.c.owner == owner, _DELIVERY.c.outbox_id == outbox_id)


def subscribe_within(
    conn: Connection, workspace: str, channel: str, topics: Collection[str], subject: str | None = None, *, now: int
) -> int:
    """Do what :meth:`Deliveries.subscribe` does for several topics in a write transaction; return how many are new.

    What is not placed yet is placed here: after :func:`headgate.store.outbox.arrange` that is next to nothing.
    """
    place_events(conn, at_once=None)  # what was committed until now is not for this channel
    rows = [_subscription(workspace, channel, topic, subject) for topic in topics]
    new = [row for row in rows if not _is_subscribed(conn, row)]
    for row in new:
        conn.execute(insert(_SUBSCRIPTION).values(created_at=now, **row))
    return len(new)


def write_claim(
    conn: Connection, outbox_id: int, workspace: str, subject: str, claim: Claim, *, model_name: str
) -> None:
    """Claim the delivery of an event within the transaction that writes it, so that nobody can be faster."""
    _checked(claim)
    row = {"outbox_id": outbox_id, "workspace": workspace, "subject": short_subject(subject), "model_name": model_name}
    taken = {"channel": claim.channel, "owner": claim.owner, "claims": 1, "due_at": claim.expires_at}
    conn.execute(insert(_DELIVERY).values({**row, **UNCLAIMED, **taken}))


def _subscription(workspace: str, channel: str, topic: str, subject: str | None) -> dict[str, Any]:
    check_text("name of a channel", channel, CHANNEL_LENGTH)
    check_text("topic", topic, TOPIC_LENGTH)
    return {
        "workspace": workspace,
        "channel": channel,
        "topic": topic,
        "subject": "" if subject is None else short_subject(subject),
    }


def _is_subscribed(conn: Connection, row: dict[str, Any]) -> bool:
    return conn.execute(select(_SUBSCRIPTION.c.channel).where(_same(_SUBSCRIPTION, row))).first() is not None


def _checked(claim: Claim) -> None:
    check_text("name of a channel", claim.channel, CHANNEL_LENGTH)
    check_text("owner of a claim", claim.owner, OWNER_LENGTH)
    if not claim.owner:
        raise InvalidInput("A claim needs an owner.", remedy="Name the process or the task that tells the event.")


def _deliveries() -> Select[Any]:
    joined = _DELIVERY.join(_OUTBOX, _OUTBOX.c.outbox_id == _DELIVERY.c.outbox_id)
    return select(*EVENT_COLUMNS, *_STATE).select_from(joined)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(as_event(row), **{column.name: getattr(row, column.name) for column in _STATE})


def _unchanged(seen: Delivery) -> tuple[ColumnElement[bool], ...]:
    return (_DELIVERY.c.owner == seen.owner, _DELIVERY.c.claims == seen.claims)


def _same(table: Any, row: dict[str, Any]) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in row.items()))
