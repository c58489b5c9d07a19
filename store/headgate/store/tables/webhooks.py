"""Webhooks: where the store's events are sent to over HTTP."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from headgate.store.tables.base import (
    ID_LENGTH,
    KEY_LENGTH,
    WORKSPACE_LENGTH,
    Base,
    BigInteger,
    Json,
    Text,
    table_args,
)
from headgate.store.tables.registry import MODEL_NAME_LENGTH


class WebhookRow(Base, table=True):
    """A webhook. Its secret is not here: ``secret_env`` names the environment variable that holds it."""

    __tablename__ = "headgate_webhook"
    __table_args__ = table_args(UniqueConstraint("workspace", "name"))

    webhook_id: str = Field(primary_key=True, max_length=ID_LENGTH)
    workspace: str = Field(max_length=WORKSPACE_LENGTH)
    name: str = Field(max_length=KEY_LENGTH)
    url: str = Field(sa_type=Text)
    secret_env: str = Field(default="", max_length=250)
    form: str = Field(max_length=16)
    topics: list[str] = Field(sa_type=Json)
    model_name: str = Field(default="", max_length=MODEL_NAME_LENGTH)
    active: bool = Field(default=True)
    created_at: int = Field(sa_type=BigInteger)
    created_by: str = Field(default="", max_length=256)
