"""A server sends webhooks from its startup to its shutdown, and no longer."""

from __future__ import annotations

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headgate.server.options import ServerOptions
from headgate.server.worker import application
from headgate.store.settings import Settings
from headgate.store.store import open_store
from tests.store.promotion_cases import MODEL, candidate, promote

PATIENCE = 60.0


def test_a_server_sends_what_is_due_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    monkeypatch.setenv("HEADGATE_WEBHOOK_PRIVATE_HOSTS", "127.0.0.1")
    url = f"sqlite:///{tmp_path}/headgate.db"
    with open_store(url, settings=Settings()) as store:
        store.webhooks.create("deploy", f"http://127.0.0.1:{receiver.server_address[1]}/", now=1)
        promote(store, candidate(store))
    app = application(ServerOptions(store_url=url))

    async def run() -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        answers: list[str] = []

        async def send(message: Any) -> None:
            answers.append(message["type"])

        running = asyncio.ensure_future(app({"type": "lifespan"}, messages.get, send))
        await messages.put({"type": "lifespan.startup"})
        deadline = time.monotonic() + PATIENCE
        while not told:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await messages.put({"type": "lifespan.shutdown"})
        await running
        assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(run())
    receiver.shutdown()
    receiver.server_close()
    assert MODEL.encode() in told[0]
    assert not any(thread.name == "headgate-webhooks" for thread in threading.enumerate())
