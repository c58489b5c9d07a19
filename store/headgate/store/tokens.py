"""Tokens that open the store's API: made, found by their secret, listed and revoked. Only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from headgate.store.database import Database
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.tables import TokenRow

_TOKENS = TokenRow.__table__
_PREFIX = "hg_"


class TokenRole(StrEnum):
    """What a token's holder may do at most; each role may do what those before it may."""

    READ = "read"
    WRITE = "write"
    PROMOTE = "promote"
    OVERRIDE = "override"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. Times are epoch ms."""

    token_id: str
    user_name: str
    role: TokenRole
    created_at: int
    created_by: str = ""
    description: str = ""
    expires_at: int | None = None
    revoked_at: int | None = None

    def usable(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Tokens:
    """The tokens of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        user_name: str,
        role: TokenRole,
        *,
        now: int,
        expires_at: int | None = None,
        description: str = "",
        created_by: str = "",
    ) -> tuple[Token, str]:
        """Make a token.

        Returns:
            The token and its secret. The secret is not kept and can't be shown again.

        Raises:
            InvalidInput: the user name is empty, too long or holds a colon, the description is too long, or the expiry
                is not in the future.
        """
        if not user_name or len(user_name) > 256 or ":" in user_name:
            raise InvalidInput(
                f"A token can't belong to {user_name!r}.",
                remedy="Give a user name of 1 to 256 characters without a colon.",
            )
        if len(description) > 500:
            raise InvalidInput("The description of a token is longer than 500 characters.", remedy="Say it in fewer.")
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("The token would expire before it is made.", remedy="Give an expiry in the future.")
        secret = _PREFIX + secrets.token_urlsafe(32)
        token = Token(uuid.uuid4().hex, user_name, role, now, created_by, description, expires_at)
        row = {
            "token_id": token.token_id,
            "user_name": user_name,
            "role": role.value,
            "secret_hash": _hash(secret),
            "description": description,
            "created_at": now,
            "created_by": created_by,
            "expires_at": expires_at,
        }
        self._database.transact(lambda connection: connection.execute(sa.insert(_TOKENS), row))
        return token, secret

    def find(self, secret: str, *, user_name: str | None, now: int) -> Token | None:
        """Return the usable token with this secret; None when there is none.

        Args:
            user_name: from basic credentials, and then it has to be the token's; None for a bearer token.
            now: epoch ms.
        """
        statement = sa.select(_TOKENS).where(_TOKENS.c.secret_hash == _hash(secret))
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        token = _token(row)
        if user_name is not None and not hmac.compare_digest(token.user_name.encode(), user_name.encode()):
            return None
        return token if token.usable(now) else None

    def list(self) -> tuple[Token, ...]:
        """Return every token, revoked ones too, the newest first."""
        statement = sa.select(_TOKENS).order_by(_TOKENS.c.created_at.desc(), _TOKENS.c.token_id)
        with self._database.read() as connection:
            return tuple(_token(row) for row in connection.execute(statement))

    def revoke(self, token_id: str, *, now: int) -> Token:
        """Make a token unusable; revoking it again changes nothing.

        Raises:
            NotFound: there is no such token.
        """

        def work(connection: Connection) -> Token:
            usable = (_TOKENS.c.token_id == token_id) & _TOKENS.c.revoked_at.is_(None)
            connection.execute(sa.update(_TOKENS).where(usable).values(revoked_at=now))
            row = connection.execute(sa.select(_TOKENS).where(_TOKENS.c.token_id == token_id)).one_or_none()
            if row is None:
                raise NotFound(
                    f"There is no token {token_id}.", remedy="See: headgate tokens list", kind="token", key=token_id
                )
            return _token(row)

        return self._database.transact(work)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(
        row.token_id,
        row.user_name,
        TokenRole(row.role),
        row.created_at,
        row.created_by,
        row.description,
        row.expires_at,
        row.revoked_at,
    )
