"""A client that costs next to nothing: requests are made beforehand, and answers are only counted.

It sends what mlflow's own client sends, headers included, on connections that are kept alive. Eight clients are eight
connections that one loop serves, so that the servers have the processors to themselves.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

_SECONDS = 600.0
_PIECE = 1 << 18
_HEADERS = (
    "Host: 127.0.0.1\r\n"
    "User-Agent: mlflow-python-client/3.17.2\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Accept: */*\r\n"
    "Connection: keep-alive\r\n"
    "X-MLflow-Client-Version: 3.17.2\r\n"
)


class GaveUp(Exception):
    """The server took longer than the client was willing to wait."""


class Connection:
    """A kept-alive connection to a server.

    Args:
        url: of the server.
        patience: seconds to wait for an answer.
    """

    def __init__(self, url: str, patience: float = _SECONDS) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        self.socket = socket.create_connection((place.hostname, place.port), timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Ask, and return what the JSON says."""
        return json.loads(self.answer(get(path, query)))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send, and return what the JSON says."""
        return json.loads(self.answer(post(path, body)))

    def answer(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer, which has to be a success.

        Raises:
            GaveUp: no answer came in time.
        """
        self.socket.sendall(request)
        answer = _Answer()
        try:
            while not answer.take(self.socket.recv(_PIECE)):
                pass
        except TimeoutError as error:
            raise GaveUp from error
        return answer.body()


def get(path: str, query: Mapping[str, Any] | None = None) -> bytes:
    """Return a whole GET request."""
    asked = f"?{urlencode(query)}" if query else ""
    return f"GET {path}{asked} HTTP/1.1\r\n{_HEADERS}\r\n".encode()


def post(path: str, body: Mapping[str, Any]) -> bytes:
    """Return a whole POST request."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\n{_HEADERS}Content-Length: {len(data)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + data


def seconds_at_once(clients: Sequence[tuple[Connection, Iterable[bytes]]]) -> float:
    """Return how long clients take that all send at once, each its next request when the one before is answered."""
    left = {connection: deque(requests) for connection, requests in clients}
    with selectors.DefaultSelector() as selector:
        for connection in left:
            selector.register(connection.socket, selectors.EVENT_READ, (connection, _Answer()))
        begin = time.perf_counter()
        for connection, requests in left.items():
            connection.socket.sendall(requests.popleft())
        busy = len(left)
        while busy:
            ready = selector.select(_SECONDS)
            if not ready:
                raise GaveUp
            for key, _ in ready:
                connection, answer = key.data
                if not answer.take(connection.socket.recv(_PIECE)):
                    continue
                answer.check()
                if left[connection]:
                    answer.__init__()
                    connection.socket.sendall(left[connection].popleft())
                else:
                    busy -= 1
        return time.perf_counter() - begin


class _Answer:
    """A response as it comes in."""

    __slots__ = ("_missing", "_parts", "_start")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._start = 0
        self._missing: int | None = None

    def take(self, piece: bytes) -> bool:
        """Take what was received; say whether this is the whole of it."""
        if not piece:
            raise ConnectionError("the server closed the connection")
        self._parts.append(piece)
        if self._missing is not None:
            self._missing -= len(piece)
            return self._missing <= 0
        head = b"".join(self._parts) if len(self._parts) > 1 else piece
        end = head.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._parts = [head]
        self._start = end + 4
        self._missing = self._start + _content_length(head[:end]) - len(head)
        return self._missing <= 0

    def check(self) -> None:
        if not self._parts[0].startswith(b"HTTP/1.1 200 "):
            raise AssertionError(b"".join(self._parts)[:500].decode())

    def body(self) -> bytes:
        self.check()
        return b"".join(self._parts)[self._start :]


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at < 0:
        raise AssertionError(f"an answer of unknown length: {head!r}")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0])
