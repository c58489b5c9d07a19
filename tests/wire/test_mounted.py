"""The application below a path of another one, as a host mounts it, and the real client that is sent there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from fastapi import FastAPI

from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire import create_app
from headgate.wire.app import WireApplication
from headgate.wire.sockets import listen
from tests.wire.conftest import PATIENCE, wait_for
from tests.wire.test_client import client_said

App = Callable[..., Awaitable[None]]


def in_fastapi(wire: WireApplication) -> App:
    """Mount it as the docs say: the host tells it when to end, as hosts pass no lifespan on."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(wire.close)

    host = FastAPI(lifespan=lifespan)

    @host.get("/own")
    def own() -> str:
        return "the host's"

    host.mount("/ml/headgate", wire)
    return host


class StrippingHost:
    """A host that cuts the path off, as ASGI servers behind some proxies do, and passes lifespan on."""

    def __init__(self, wire: WireApplication) -> None:
        self._wire = wire

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].removeprefix("/ml/headgate"), "root_path": "/ml/headgate"}
        await self._wire(scope, receive, send)


HOSTS: dict[str, Callable[[WireApplication], App]] = {
    "fastapi": in_fastapi,
    "stripping": StrippingHost,
    "prefix": lambda wire: wire,
}


@contextmanager
def served(app: App) -> Iterator[str]:
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
    assert not thread.is_alive()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    root = str(tmp_path / "artifacts")
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=root, settings=Settings()) as opened:
        yield opened


@pytest.mark.parametrize("host", HOSTS)
def test_a_mounted_application_answers_below_its_path_and_ends_with_its_host(store: Store, host: str) -> None:
    wire = create_app(store, prefix="/ml/headgate" if host == "prefix" else "")
    run_id = store.runs.open("0").info.run_id
    with served(HOSTS[host](wire)) as url:
        wait_for(f"{url}/ml/headgate/health")
        said = {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}
        api = f"{url}/ml/headgate/api/2.0/mlflow"
        requests.post(f"{api}/runs/log-metric", json=said, timeout=PATIENCE).raise_for_status()
        found = requests.get(f"{api}/runs/get", params={"run_id": run_id}, timeout=PATIENCE).json()
        elsewhere = requests.get(f"{url}/ml/other/api/2.0/mlflow/runs/get", timeout=PATIENCE)
        if host == "fastapi":
            assert requests.get(f"{url}/own", timeout=PATIENCE).json() == "the host's"
        assert _writers()

    assert found["run"]["data"]["metrics"][0]["value"] == 1
    assert elsewhere.status_code == 404
    assert not _writers(), "the host's end is the application's"
    assert store.runs.get(run_id).metrics["m"].value == 1, "the store was opened by the host, and is its to close"


def test_the_real_client_works_below_a_path(store: Store, tmp_path: Path) -> None:
    with served(in_fastapi(create_app(store))) as url:
        wait_for(f"{url}/ml/headgate/health")
        parts = ["runs", "files", "asynchronous", "external", "registry"]
        said = client_said("newest", "client_script.py", f"{url}/ml/headgate", tmp_path / "client", *parts)

    assert said["parts"] == parts


def test_an_application_that_was_closed_takes_no_more_and_may_be_closed_again(store: Store) -> None:
    wire = create_app(store, owns_store=True)
    run_id = store.runs.open("0").info.run_id
    with served(in_fastapi(wire)) as url:
        wait_for(f"{url}/ml/headgate/health")
        wire.close()
        said = {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}
        api = f"{url}/ml/headgate/api/2.0/mlflow"
        late = requests.post(f"{api}/runs/log-metric", json=said, timeout=PATIENCE)
        later = requests.get(f"{api}/runs/get", params={"run_id": run_id}, timeout=PATIENCE)
        wire.close()

    for answer in (late, later):
        assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def _writers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("headgate-w")]
