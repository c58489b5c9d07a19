"""The few ASGI types that the application uses, and reading and answering over them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

from headgate.wire.errors import WireError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
InThread = Callable[..., Awaitable[Any]]
Headers = list[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json")


class Disconnected(Exception):
    """The client went away before it had sent its whole body: nothing of the request is to happen."""


class Exchange:
    """One HTTP request and its response, for a handler that streams.

    Args:
        receive: ASGI's.
        send: ASGI's.
        headers: of the request, lower-case names.
        always: headers of the response, whatever answers.
    """

    def __init__(
        self, receive: Receive, send: Send, headers: Mapping[bytes, bytes], always: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self._receive = receive
        self._send = send
        self.headers = headers
        self.started = False
        self._always = always

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece.

        Raises:
            Disconnected: the client went away before the end.
        """
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                return

    async def body(self, most: int) -> bytes:
        """Return the whole body.

        Raises:
            WireError: it is longer than ``most`` bytes.
            Disconnected: the client went away before the end.
        """
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise _too_long(most)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        first: bytes = message.get("body", b"")
        if len(first) > most:
            raise _too_long(most)
        if not message.get("more_body", False):
            return first
        parts = [first]
        size = len(first)
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                raise _too_long(most)
        return b"".join(parts)

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self._always]})

    async def write(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a whole response."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.write(body, more=False)

    async def answer_json(self, status: int, value: Mapping[str, Any], headers: Headers | None = None) -> None:
        await self.answer(status, to_json(value), [JSON_TYPE, *(headers or [])])


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return a JSON document; values are finite by now, as MLflow's clients refuse bare ``NaN`` in some places.

    A lone surrogate, which only an error message can quote from a request, becomes a question mark.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _too_long(most: int) -> WireError:
    return WireError("INVALID_PARAMETER_VALUE", f"The request body is longer than {most} bytes.")
