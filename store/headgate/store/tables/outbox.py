"""The outbox: events to be told to the outside, the order they are read in, who wants which, and who told what."""

from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    ID_LENGTH,
    NAME_LENGTH,
    WORKSPACE_LENGTH,
    Base,
    BigId,
    BigInteger,
    Json,
    Text,
    table_args,
)
from headgate.store.tables.registry import MODEL_NAME_LENGTH

TOPIC_LENGTH = 64
CHANNEL_LENGTH = 64
OWNER_LENGTH = 1024


class OutboxRow(Base, table=True):
    """An event, written in the transaction that made it true.

    Ids are given out when a row is written and seen when its transaction commits, which on a server is another order.
    ``position`` is the order of reading: given afterwards, to committed rows only, without a gap.
    """

    __tablename__ = "headgate_outbox"
    __table_args__ = table_args(
        UniqueConstraint("event_id"),
        UniqueConstraint("position"),
        Index("ix_headgate_outbox_subject", "workspace", "subject", "outbox_id"),
    )

    outbox_id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    event_id: str = Field(max_length=ID_LENGTH)
    position: int | None = Field(default=None, sa_type=BigInteger)
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    topic: str = Field(max_length=TOPIC_LENGTH)
    subject: str = Field(max_length=NAME_LENGTH)
    model_name: str = Field(default="", max_length=MODEL_NAME_LENGTH)
    payload: dict[str, Any] = Field(sa_type=Json)
    created_at: int = Field(sa_type=BigInteger)


class OutboxHeadRow(Base, table=True):
    """One row: the last position that was given. Whoever gives positions holds its lock."""

    __tablename__ = "headgate_outbox_head"
    __table_args__ = table_args()

    name: str = Field(primary_key=True, max_length=16)
    position: int = Field(sa_type=BigInteger)


class SubscriptionRow(Base, table=True):
    """A channel wants the events of a topic, of one subject or (an empty subject) of all of them."""

    __tablename__ = "headgate_subscription"
    __table_args__ = table_args(Index("ix_headgate_subscription_topic", "workspace", "topic", "subject"))

    workspace: str = Field(primary_key=True, max_length=WORKSPACE_LENGTH)
    channel: str = Field(primary_key=True, max_length=CHANNEL_LENGTH)
    topic: str = Field(primary_key=True, max_length=TOPIC_LENGTH)
    subject: str = Field(primary_key=True, max_length=NAME_LENGTH)
    created_at: int = Field(sa_type=BigInteger)


class DeliveryRow(Base, table=True):
    """An event on its way into a channel: undelivered and nobody's, claimed by an owner until ``due_at``, delivered; or
    dead, when every try has failed."""

    __tablename__ = "headgate_delivery"
    __table_args__ = table_args(
        Index("ix_headgate_delivery_pending", "workspace", "channel", "delivered_at", "outbox_id"),
        Index("ix_headgate_delivery_subject", "channel", "subject", "delivered_at"),
        Index("ix_headgate_delivery_model", "channel", "model_name", "delivered_at"),
    )

    channel: str = Field(primary_key=True, max_length=CHANNEL_LENGTH)
    outbox_id: int = Field(
        primary_key=True, sa_type=BigInteger, foreign_key="headgate_outbox.outbox_id", ondelete="CASCADE"
    )
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    subject: str = Field(max_length=NAME_LENGTH)
    model_name: str = Field(default="", max_length=MODEL_NAME_LENGTH)
    owner: str = Field(default="", max_length=OWNER_LENGTH)
    claims: int = Field(default=0)
    due_at: int = Field(default=0, sa_type=BigInteger)
    delivered_at: int | None = Field(default=None, sa_type=BigInteger)
    failures: int = Field(default=0)
    dead_at: int | None = Field(default=None, sa_type=BigInteger)
    error: str = Field(default="", sa_type=Text)
