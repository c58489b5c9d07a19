"""Webhooks: which events of the outbox are sent where, each webhook a channel of its own.

Neither a secret nor a URL that is one has to be in the database: both may be the name of an environment variable, which
whoever sends the events has set.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headgate.store.database import Database
from headgate.store.deliveries import subscribe_within
from headgate.store.entities import DEFAULT_WORKSPACE
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound
from headgate.store.model_names import check_registered_model_name
from headgate.store.outbox import arrange
from headgate.store.tables import DeliveryRow, SubscriptionRow, WebhookRow
from headgate.store.tables.base import KEY_LENGTH
from headgate.store.targets import checked_actor
from headgate.store.validation import check_text

TOPICS = ("promotion", "guard.set", "guard.removed", "stages.set", "stages.removed")
ENV_PREFIX = "env:"

_WEBHOOK = WebhookRow.__table__
_DELIVERY = DeliveryRow.__table__
_SUBSCRIPTION = SubscriptionRow.__table__
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,249}")
_MAX_URL = 2000


class WebhookForm(StrEnum):
    """What the body of a request looks like."""

    MLFLOW = "mlflow"
    SLACK = "slack"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events are sent.

    Args:
        url: ``https://…``, or ``env:NAME`` for the variable that holds it.
        secret_env: the variable that holds the key of the signatures; empty for unsigned requests.
        topics: of the events that it wants.
        model_name: only the events of this registered model; empty for all.
        active: whether it is sent anything; what comes meanwhile waits.
    """

    webhook_id: str
    name: str
    url: str
    form: WebhookForm
    topics: tuple[str, ...]
    created_at: int
    secret_env: str = ""
    model_name: str = ""
    active: bool = True
    created_by: str = ""
    workspace: str = DEFAULT_WORKSPACE

    @property
    def channel(self) -> str:
        """The outbox's channel that it reads."""
        return f"webhook:{self.webhook_id}"

    @property
    def shown_url(self) -> str:
        """The URL for people: without what may be a secret of it, which is everything behind the host."""
        if self.url.startswith(ENV_PREFIX):
            return self.url
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port is not None else ""
        return f"{parts.scheme}://{parts.hostname}{port}/…"


class Webhooks:
    """The webhooks of a workspace. Timestamps are UTC epoch milliseconds.

    Args:
        database: the store's.
        workspace: whose events they are sent.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def create(
        self,
        name: str,
        url: str,
        *,
        secret_env: str = "",
        form: WebhookForm = WebhookForm.MLFLOW,
        topics: Iterable[str] = ("promotion",),
        model_name: str | None = None,
        now: int,
        created_by: str = "",
    ) -> Webhook:
        """Make a webhook, which is sent every event of its topics that is committed from now on.

        Args:
            name: what people call it, unique in the workspace.
            url: ``https://…`` (``http`` only leads to hosts that are allowed to be private), or ``env:NAME``.
            secret_env: the name of the environment variable that holds the key of the signatures.
            form: of the requests' bodies.
            topics: see :data:`TOPICS`.
            model_name: only the events of this registered model, which need not exist yet.
            now: when it is made.
            created_by: who makes it, for the record.

        Raises:
            InvalidInput: a value of these can't be used.
            AlreadyExists: there is another webhook of this name.
        """
        webhook = Webhook(
            webhook_id=uuid.uuid4().hex,
            name=_checked_name(name),
            url=_checked_url(url),
            form=WebhookForm(form),
            topics=_checked_topics(topics),
            created_at=now,
            secret_env=_checked_variable(secret_env) if secret_env else "",
            model_name=model_name or "",
            created_by=checked_actor(created_by),
            workspace=self._workspace,
        )
        if model_name:
            check_registered_model_name(model_name)
        row = {field.name: getattr(webhook, field.name) for field in fields(Webhook)}
        row |= {"form": str(webhook.form), "topics": list(webhook.topics)}

        def work(conn: Connection) -> None:
            conn.execute(insert(_WEBHOOK).values(**row))
            subscribe_within(conn, self._workspace, webhook.channel, webhook.topics, now=now)

        arrange(self._database)
        try:
            self._database.transact(work)
        except IntegrityError as error:
            raise AlreadyExists(
                f"There is a webhook {name!r} already.",
                remedy="Delete it first, or use another name.",
                kind="webhook",
                key=name,
            ) from error
        return webhook

    def get(self, name: str) -> Webhook:
        """Return a webhook by its name or its id.

        Raises:
            NotFound: there is none.
        """
        with self._database.read() as conn:
            row = conn.execute(select(_WEBHOOK).where(self._named(name))).mappings().first()
        if row is None:
            raise NotFound(
                f"There is no webhook {name!r}.", remedy="See: headgate webhooks list", kind="webhook", key=name
            )
        return _entity(row)

    def list(self) -> tuple[Webhook, ...]:
        """Return the webhooks, by name."""
        statement = select(_WEBHOOK).where(_WEBHOOK.c.workspace == self._workspace).order_by(_WEBHOOK.c.name)
        with self._database.read() as conn:
            return tuple(_entity(row) for row in conn.execute(statement).mappings())

    def set_active(self, name: str, active: bool) -> Webhook:
        """Let a webhook rest, or go on; what came meanwhile is sent then.

        Raises:
            NotFound: there is none.
        """
        found = self.get(name)
        one = update(_WEBHOOK).where(_WEBHOOK.c.webhook_id == found.webhook_id)
        self._database.transact(lambda conn: conn.execute(one.values(active=active)))
        return self.get(found.webhook_id)

    def delete(self, name: str) -> Webhook:
        """Delete a webhook; what is on its way to it, or dead, is forgotten.

        Raises:
            NotFound: there is none.
        """
        found = self.get(name)

        def work(conn: Connection) -> None:
            conn.execute(delete(_SUBSCRIPTION).where(_SUBSCRIPTION.c.channel == found.channel))
            conn.execute(delete(_DELIVERY).where(_DELIVERY.c.channel == found.channel))
            conn.execute(delete(_WEBHOOK).where(_WEBHOOK.c.webhook_id == found.webhook_id))

        self._database.transact(work)
        return found

    def _named(self, name: str) -> Any:
        return and_(
            _WEBHOOK.c.workspace == self._workspace, (_WEBHOOK.c.name == name) | (_WEBHOOK.c.webhook_id == name)
        )


def _checked_name(name: str) -> str:
    if not name.strip():
        raise InvalidInput("A webhook needs a name.", remedy="Call it what it is for, such as deploy.")
    check_text("name of the webhook", name, KEY_LENGTH)
    return name


def _checked_url(url: str) -> str:
    """Return a URL that a request can be sent to, as far as its text says. It is not repeated: it may be a secret."""
    if url.startswith(ENV_PREFIX):
        return ENV_PREFIX + _checked_variable(url.removeprefix(ENV_PREFIX))
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        sound = False
    if not sound or len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput(
            "The URL of the webhook can't be used.", remedy="Write it as https://host/path, or env:NAME_OF_A_VARIABLE."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "The URL of the webhook holds credentials.", remedy="Sign the requests instead: give a secret's variable."
        )
    return url


def _checked_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise InvalidInput(
            "That is not the name of an environment variable.",
            remedy="Give the name of the variable that holds the value, such as DEPLOY_HOOK_SECRET; never the value.",
        )
    return name


def _checked_topics(topics: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(topics))
    unknown = [topic for topic in wanted if topic not in TOPICS]
    if unknown or not wanted:
        raise InvalidInput(
            f"{unknown[0]!r} is no topic." if unknown else "A webhook wants at least one topic.",
            remedy=f"Use {', '.join(TOPICS)}.",
        )
    return wanted


def _entity(row: Any) -> Webhook:
    values = {field.name: row[field.name] for field in fields(Webhook)}
    return Webhook(**values | {"form": WebhookForm(row["form"]), "topics": tuple(row["topics"])})
