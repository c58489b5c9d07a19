"""Checks credentials against the store's tokens."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from headgate.wire.principal import Principal, Role

if TYPE_CHECKING:
    from headgate.store.tokens import Tokens

# How long a found token is remembered: a revoked one works for as long as this at most.
REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 1024


class TokenCredentials:
    """Answers who a secret belongs to, asking the store once in a few seconds per token.

    Args:
        tokens: the store's.
        clock: the time, epoch ms.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self, tokens: Tokens, *, clock: Callable[[], int], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._monotonic = monotonic
        self._remembered: dict[bytes, tuple[float, Principal]] = {}
        self._lock = threading.Lock()

    def remembered(self, user_name: str | None, secret: str) -> Principal | None:
        known = self._remembered.get(_key(user_name, secret))
        return known[1] if known is not None and known[0] > self._monotonic() else None

    def find(self, user_name: str | None, secret: str) -> Principal | None:
        key = _key(user_name, secret)
        token = self._tokens.find(secret, user_name=user_name, now=self._clock())
        if token is None:
            with self._lock:
                self._remembered.pop(key, None)
            return None
        principal = Principal(token.user_name, Role[token.role.name])
        seconds = REMEMBERED_SECONDS
        if token.expires_at is not None:
            seconds = min(seconds, (token.expires_at - self._clock()) / 1000)
        with self._lock:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = (self._monotonic() + seconds, principal)
        return principal


class OneSecret:
    """Lets in the one process that was given a secret: that of a project run."""

    def __init__(self, secret: str, principal: Principal) -> None:
        self._secret = secret.encode()
        self._principal = principal

    def remembered(self, user_name: str | None, secret: str) -> Principal | None:
        return self._principal if hmac.compare_digest(secret.encode(), self._secret) else None

    def find(self, user_name: str | None, secret: str) -> Principal | None:
        return None


def _key(user_name: str | None, secret: str) -> bytes:
    kind = "bearer" if user_name is None else f"basic\0{user_name}"
    return hashlib.sha256(f"{kind}\0{secret}".encode()).digest()
