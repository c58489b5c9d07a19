"""Who is let in: host and origin checks as MLflow 3 has them, and credentials.

A page of another site that a browser shows can send requests to a server on this machine. It can't choose the ``Host``
header (DNS rebinding is caught by it) and can't hide its ``Origin``.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from headgate.wire.asgi import Headers, InThread
from headgate.wire.errors import WireError
from headgate.wire.principal import ANYBODY, Principal

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - names to compare with
_LOCAL_ORIGINS = ("localhost", "127.0.0.1", "::1")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Of every response: a browser takes it for what it says it is, and shows it in no other site's frame.
_ALWAYS: Headers = [(b"x-content-type-options", b"nosniff"), (b"x-frame-options", b"SAMEORIGIN")]
_METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"
_PREFLIGHT_SECONDS = b"600"


class Credentials(Protocol):
    """Knows who a secret belongs to. ``user_name`` is None for a bearer token."""

    def remembered(self, user_name: str | None, secret: str) -> Principal | None:
        """Answer at once from memory; None when it has to be looked up."""

    def find(self, user_name: str | None, secret: str) -> Principal | None:
        """Look the secret up; None when it is nobody's."""


@dataclass(frozen=True, slots=True)
class Security:
    """The rules that every request is held to before anything else is read.

    Args:
        credentials: tells whose a secret is; None lets everybody in.
        allowed_hosts: patterns (``*.example.org``) of further host names; ``*`` switches the check off. This machine
            and private networks' addresses are always allowed.
        allowed_origins: origins (``https://example.org``, ``https://*.example.org``) of pages that may read answers and
            write; ``*`` allows all, without the browser's own credentials. Pages of this machine always may.
    """

    credentials: Credentials | None = None
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()

    def check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a request that was sent to a name that is not ours.

        Raises:
            WireError: ``PERMISSION_DENIED``.
        """
        if "*" in self.allowed_hosts:
            return
        said = headers.get(b"host", b"").decode("latin-1").lower()
        host = _host_name(said)
        if host in LOCAL_HOSTS or _is_private(host):
            return
        if any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in self.allowed_hosts for name in (host, said)):
            return
        raise WireError("PERMISSION_DENIED", "Invalid Host header - possible DNS rebinding attack detected")

    def check_origin(self, method: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a write that a page of another site sends.

        Raises:
            WireError: ``PERMISSION_DENIED``.
        """
        if method not in _SAFE_METHODS and b"origin" in headers and not self._allows_origin(headers):
            raise WireError("PERMISSION_DENIED", "Cross-origin request blocked")

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> Headers | None:
        """Return the answer to a browser that asks what a page of another site may send; None for any other request.

        Raises:
            WireError: ``PERMISSION_DENIED``: that page may send nothing.
        """
        if method != "OPTIONS" or b"origin" not in headers or b"access-control-request-method" not in headers:
            return None
        if not self._allows_origin(headers):
            raise WireError("PERMISSION_DENIED", "Cross-origin request blocked")
        return [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"*")),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]

    def response_headers(self, headers: Mapping[bytes, bytes]) -> Headers:
        """Return what every response to this request says; to an allowed page of another site, that it may read it."""
        if b"origin" not in headers:
            return _ALWAYS
        if not self._allows_origin(headers):
            return [*_ALWAYS, (b"vary", b"origin")]
        if "*" in self.allowed_origins:
            return [*_ALWAYS, (b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"*")]
        return [
            *_ALWAYS,
            (b"access-control-allow-origin", headers[b"origin"]),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        ]

    def _allows_origin(self, headers: Mapping[bytes, bytes]) -> bool:
        origin = headers[b"origin"].decode("latin-1").lower()
        if any(fnmatch.fnmatchcase(origin, pattern.lower().rstrip("/")) for pattern in self.allowed_origins):
            return True
        scheme, separator, place = origin.partition("://")
        if scheme not in ("http", "https") or not separator:
            return False
        return _host_name(place) in _LOCAL_ORIGINS or place == headers.get(b"host", b"").decode("latin-1").lower()

    async def principal(self, headers: Mapping[bytes, bytes], in_thread: InThread) -> Principal | None:
        """Return who sends the request; None when the credentials are absent or nobody's."""
        if self.credentials is None:
            return ANYBODY
        said = _credentials(headers.get(b"authorization", b""))
        if said is None:
            return None
        remembered = self.credentials.remembered(*said)
        if remembered is not None:
            return remembered
        found: Principal | None = await in_thread(self.credentials.find, *said)
        return found


def _credentials(header: bytes) -> tuple[str | None, str] | None:
    scheme, _, value = header.decode("latin-1").partition(" ")
    value = value.strip()
    if not value:
        return None
    if scheme.lower() == "bearer":
        return None, value
    if scheme.lower() == "basic":
        try:
            user, separator, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, secret) if separator else None
    return None


@lru_cache(maxsize=1024)  # a server is called by few names
def _host_name(said: str) -> str:
    """Return the host of ``host:port``; nothing when it is anything else."""
    if any(mark in said for mark in "@/\\?#"):
        return ""
    try:
        return urlsplit(f"//{said}").hostname or ""
    except ValueError:  # a bracket that is not closed
        return ""


@lru_cache(maxsize=1024)
def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
