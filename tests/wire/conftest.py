"""Servers to talk to: Headgate's, on a store of its own, in the test's process or beside it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import uvicorn

from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire import Security, create_app
from headgate.wire.app import Limits
from headgate.wire.sockets import listen
from tests.databases import empty

PATIENCE = 120.0  # seconds until a server that does not answer or end counts as hung


class ServedStore:
    """A store and the URL that serves it."""

    def __init__(
        self, store: Store, security: Security | None = None, prefix: str = "", limits: Limits | None = None
    ) -> None:
        self.store = store
        self._socket: socket.socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}{prefix}"
        application = create_app(store, security=security, prefix=prefix, limits=limits)
        config = uvicorn.Config(application, log_config=None, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> ServedStore:
        self._thread.start()
        wait_for(f"{self.url}/health")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server did not end"
        self._socket.close()


def wait_for(url: str, seconds: float = PATIENCE) -> None:
    """Return when a server answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedStore]:
    """An empty store, served, on SQLite and on PostgreSQL."""
    url = f"sqlite:///{tmp_path}/headgate.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_database"))
        empty(url)
    root = str(tmp_path / "artifacts")
    with open_store(url, artifact_root=root, settings=Settings()) as store, ServedStore(store) as serving:
        yield serving


@pytest.fixture
def sqlite_served(tmp_path: Path) -> Iterator[ServedStore]:
    """An empty store on SQLite, served."""
    url = f"sqlite:///{tmp_path}/headgate.db"
    root = str(tmp_path / "artifacts")
    with open_store(url, artifact_root=root, settings=Settings()) as store, ServedStore(store) as serving:
        yield serving
