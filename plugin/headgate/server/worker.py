"""One process of the server: opens the store and makes the application."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

from headgate.server.options import ServerOptions
from headgate.store.clock import now_ms
from headgate.store.settings import set_log_level
from headgate.store.store import open_store
from headgate.wire.app import create_app
from headgate.wire.credentials import TokenCredentials
from headgate.wire.security import Security

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from headgate.store.store import Store
    from headgate.wire.app import WireApplication
    from headgate.wire.asgi import Message, Receive, Scope, Send

_DELIVER_EVERY_SECONDS = 5.0
_JOIN_SECONDS = 15.0  # a request that is under way ends within its own timeout

OPTIONS_VARIABLE = "HEADGATE_SERVER_OPTIONS"


def application(options: ServerOptions) -> DeliveringApplication:
    """Return the application for the options; it closes its store when it is shut down.

    Raises:
        HeadgateError: as :func:`headgate.store.open_store`.
    """
    store = open_store(options.store_url, artifact_root=options.artifact_root)
    credentials = TokenCredentials(store.tokens, clock=now_ms) if options.auth else None
    security = Security(
        credentials=credentials, allowed_hosts=options.allowed_hosts, allowed_origins=options.allowed_origins
    )
    return DeliveringApplication(create_app(store, security=security, clock=now_ms, owns_store=True), store)


def application_from_environment() -> DeliveringApplication:
    """Return the application of a worker process, whose parent left the options in the environment."""
    _end_with_parent()
    set_log_level()
    return application(ServerOptions.from_json(os.environ[OPTIONS_VARIABLE]))


class DeliveringApplication:
    """The wire application of a server, which sends due webhooks from its startup to its shutdown.

    Args:
        inner: answers the requests, and owns the store.
        store: whose webhooks are sent.
    """

    def __init__(self, inner: WireApplication, store: Store) -> None:
        self._inner = inner
        self._store = store
        self._stop = threading.Event()
        self._sender: threading.Thread | None = None
        self._starting = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._inner(scope, receive, send)
            return

        async def receive_and_act() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._start()
            elif message["type"] == "lifespan.shutdown":  # before the application closes the store
                await asyncio.get_running_loop().run_in_executor(None, self._end)
            return message

        await self._inner(scope, receive_and_act, send)

    def close(self) -> None:
        """Stop sending, then close the application inside. May be called twice."""
        self._end()
        self._inner.close()

    def _start(self) -> None:
        from headgate.tasks.webhooks.deliver import keep_delivering

        with self._starting:
            if self._sender is None:
                sender = partial(keep_delivering, self._store, self._stop, every=_DELIVER_EVERY_SECONDS)
                self._sender = threading.Thread(target=sender, name="headgate-webhooks", daemon=True)
                self._sender.start()

    def _end(self) -> None:
        self._stop.set()
        if self._sender is not None:
            self._sender.join(_JOIN_SECONDS)


def _end_with_parent() -> None:
    """Stop this worker when its parent was killed: an orphan would keep the port from whoever starts next."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent,), name="headgate-parent", daemon=True).start()


def _wait_for(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
