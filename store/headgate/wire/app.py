"""The application: from an HTTP request to a handler and back.

What comes before a handler, in this order: the host and the origin, the route, who asks and whether they may, the body.
Handlers of kind ``json`` run in worker threads, as the store is synchronous; handlers of kind ``grouped`` only read the
body and leave the writing to :mod:`headgate.wire.writer`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.errors import InvalidSettings
from headgate.wire.asgi import JSON_TYPE, Disconnected, Exchange, Headers, Message, Receive, Scope, Send
from headgate.wire.call import Call
from headgate.wire.endpoints import all_routes
from headgate.wire.errors import WireError, as_wire_error
from headgate.wire.principal import Principal, Role
from headgate.wire.routes import Found, Route, Table
from headgate.wire.security import Security
from headgate.wire.writer import Writer

if TYPE_CHECKING:
    from headgate.store.store import Store

log = logging.getLogger(__name__)

_EMPTY = b"{}"
_UNAUTHENTICATED: Headers = [(b"www-authenticate", b'Basic realm="headgate"')]
_THREADS = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a request.

    Args:
        body_bytes: longest JSON body.
    """

    body_bytes: int = 64 << 20


def create_app(
    store: Store,
    *,
    prefix: str = "",
    security: Security | None = None,
    limits: Limits | None = None,
    clock: Callable[[], int] | None = None,
    owns_store: bool = False,
    more_routes: Iterable[Route] = (),
) -> WireApplication:
    """Return the ASGI application that serves a store in MLflow's REST words.

    Args:
        store: stays open until the application's shutdown.
        prefix: the path that the application is mounted under, such as ``/headgate``; also taken from ASGI's
            ``root_path``.
        security: who is let in; everybody on this machine when None.
        limits: bounds of a request.
        clock: the time, epoch ms.
        owns_store: close the store at the application's shutdown.
        more_routes: of this application alone, beside those of MLflow.

    A host that mounts the application without passing it ASGI's lifespan calls :meth:`WireApplication.close`.
    """
    table = Table((*all_routes(), *more_routes))
    return WireApplication(
        store, prefix, table, security or Security(), limits or Limits(), clock or now_ms, owns_store=owns_store
    )


class WireApplication:
    """An ASGI application. Its writer and threads start with the first request that needs them."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        table: Table,
        security: Security,
        limits: Limits,
        clock: Callable[[], int],
        *,
        owns_store: bool,
    ) -> None:
        self.store = store
        self._owns_store = owns_store
        self._prefix = prefix.rstrip("/")
        self._security = security
        self._limits = limits
        self._clock = clock
        self._table = table
        self._writer = Writer(store)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="headgate-wire")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def close(self) -> None:
        """Finish what was accepted, then stop the writer and the threads. May be called twice."""
        self._writer.close()
        self._threads.shutdown(wait=True)
        if self._owns_store:
            self.store.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.get_running_loop().run_in_executor(None, self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        exchange = Exchange(receive, send, headers, self._security.response_headers(headers))
        try:
            await self._answer(scope, headers, exchange)
        except Disconnected:
            return
        except Exception as error:
            if exchange.started:
                raise
            refusal = as_wire_error(error)
            if refusal is None:
                log.exception("%s %s failed", scope["method"], scope["path"])
                refusal = WireError("INTERNAL_ERROR", "Headgate failed to answer this request; its log says why.")
            elif refusal.code == "TEMPORARILY_UNAVAILABLE" or isinstance(error, InvalidSettings):
                log.warning("%s %s: %s", scope["method"], scope["path"], error)
            extra = _UNAUTHENTICATED if refusal.code == "UNAUTHENTICATED" else None
            await exchange.answer_json(refusal.status, refusal.body(), extra)

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], exchange: Exchange) -> None:
        method: str = scope["method"]
        path = self._below_prefix(scope)
        found = self._table.find(method, path)
        if found is None or found.route.role is not Role.NOBODY:
            self._security.check_host(headers)
            preflight = self._security.preflight(method, headers)
            if preflight is not None:
                await exchange.answer(204, b"", preflight)
                return
            self._security.check_origin(method, headers)
        if found is None:
            raise self._not_found(method, path)
        principal = await self._let_in(found, headers)
        call = Call(
            store=self.store,
            method=method,
            path=path,
            arguments=found.arguments,
            query=scope["query_string"],
            body=b"",
            headers=headers,
            principal=principal,
            now=self._clock(),
        )
        await self._run(found, call, exchange)

    async def _run(self, found: Found, call: Call, exchange: Exchange) -> None:
        kind = found.route.kind
        if kind == "stream":
            await found.route.handler(call, exchange, self._in_thread)
            return
        if call.method != "GET":
            call.body = await exchange.body(self._limits.body_bytes)
        if kind == "grouped":
            await self._writer.submit(found.route.handler(call))
            await exchange.answer(200, _EMPTY, [JSON_TYPE])
            return
        answer: Any = await self._in_thread(found.route.handler, call)
        if kind == "text":
            await exchange.answer(200, str(answer).encode(), [(b"content-type", b"text/plain; charset=utf-8")])
        elif isinstance(answer, bytes):
            await exchange.answer(200, answer, [JSON_TYPE])
        else:
            await exchange.answer_json(200, answer)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            answer = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        except RuntimeError as error:  # they take no more work: the application was closed
            raise WireError("TEMPORARILY_UNAVAILABLE", "The server is shutting down.") from error
        return await answer

    def _below_prefix(self, scope: Scope) -> str:
        path: str = scope["path"]
        for prefix in (scope.get("root_path", ""), self._prefix):
            if prefix and path.startswith(prefix + "/"):
                path = path[len(prefix) :]
        return path

    async def _let_in(self, found: Found, headers: Mapping[bytes, bytes]) -> Principal:
        needed = found.route.role
        if needed is Role.NOBODY:
            return Principal("", Role.NOBODY)
        principal = await self._security.principal(headers, self._in_thread)
        if principal is None:
            raise WireError("UNAUTHENTICATED", "You are not authenticated. Send a token of this Headgate server.")
        if principal.run_id is not None and (not found.route.scoped or not principal.may(needed)):
            raise WireError(
                "PERMISSION_DENIED",
                f"The process of run {principal.run_id} may not do this: it logs to its own experiment and registers "
                "versions. Promote with a gate's verdict, and do the rest on a Headgate server.",
            )
        if not principal.may(needed):
            raise WireError(
                "PERMISSION_DENIED",
                f"{principal.name} may not do this: it needs the role {needed.name.lower()}, and the token has "
                f"{principal.role.name.lower()}.",
            )
        return principal

    def _not_found(self, method: str, path: str) -> WireError:
        if self._table.knows(path):
            return WireError("ENDPOINT_NOT_FOUND", f"{path} does not answer to {method}.")
        return WireError("ENDPOINT_NOT_FOUND", f"Headgate has no endpoint {method} {path}.")
