"""Faults: nothing that was answered is lost, nothing is written by half or twice, and a retry is worth its while."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa

from headgate.store.entities import Param
from headgate.store.errors import StoreUnavailable
from headgate.store.run_batches import RunBatch
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.wire import create_app
from headgate.wire.principal import ANYBODY
from headgate.wire.writer import Write, Writer
from tests.databases import empty
from tests.wire.conftest import PATIENCE, ServedStore

NOW = 1_790_000_000_000
API = "/api/2.0/mlflow"
LOG_BATCH = f"{API}/runs/log-batch"


@pytest.fixture
def on_postgresql(postgresql_database: str, tmp_path: Path) -> Iterator[ServedStore]:
    empty(postgresql_database)
    root = str(tmp_path / "artifacts")
    with (
        open_store(postgresql_database, artifact_root=root, settings=Settings()) as store,
        ServedStore(store) as served,
    ):
        yield served


def _run(store: Store) -> str:
    experiment = store.experiments.get_by_name("faults") or store.experiments.create("faults")
    return store.runs.open(experiment.experiment_id, now=NOW).info.run_id


def _metrics(steps: range, key: str = "m") -> list[dict[str, Any]]:
    return [{"key": key, "value": step / 7, "timestamp": NOW + step, "step": step} for step in steps]


def _batch(run_id: str, steps: range = range(3)) -> dict[str, Any]:
    return {"run_id": run_id, "metrics": _metrics(steps), "params": [{"key": "a", "value": "b"}]}


def _post(served: ServedStore, path: str, body: Any) -> requests.Response:
    return requests.post(served.url + path, json=body, timeout=PATIENCE)


def _steps(store: Store, run_id: str, key: str = "m") -> list[int]:
    return [point.step for point in store.metrics.history(run_id, key).items]


def test_many_clients_at_once_lose_nothing(served: ServedStore) -> None:
    run_ids = [_run(served.store) for _ in range(2)]

    def client(number: int) -> None:
        run_id, key = run_ids[number % 2], f"client {number}"
        with requests.Session() as session:
            for metric in _metrics(range(10), key):
                body = {"run_id": run_id, **metric}
                session.post(f"{served.url}{API}/runs/log-metric", json=body, timeout=PATIENCE).raise_for_status()
            for start in (10, 50):
                body = {"run_id": run_id, "metrics": _metrics(range(start, start + 40), key)}
                session.post(served.url + LOG_BATCH, json=body, timeout=PATIENCE).raise_for_status()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(client, range(16)))

    for number in range(16):
        assert _steps(served.store, run_ids[number % 2], f"client {number}") == list(range(90))


def test_a_retried_batch_doubles_nothing(served: ServedStore) -> None:
    run_id = _run(served.store)
    for _ in range(2):
        _post(served, LOG_BATCH, _batch(run_id)).raise_for_status()

    assert _steps(served.store, run_id) == [0, 1, 2]


@pytest.mark.parametrize("moment", ["before_cursor_execute", "commit"])
def test_a_dropped_database_connection_is_worth_a_retry(on_postgresql: ServedStore, moment: str) -> None:
    store = on_postgresql.store
    run_id = _run(store)
    with _dropped_once(store, moment):
        failed = _post(on_postgresql, LOG_BATCH, _batch(run_id))

    assert failed.status_code == 503
    assert failed.json() == {
        "error_code": "TEMPORARILY_UNAVAILABLE",
        "message": "The store did not answer. Try again.",
    }
    assert _steps(store, run_id) == []
    assert _post(on_postgresql, LOG_BATCH, _batch(run_id)).status_code == 200
    assert _steps(store, run_id) == [0, 1, 2]
    assert store.runs.get(run_id).params == {"a": "b"}


def test_clients_that_retry_outlive_a_database_that_drops_everybody(on_postgresql: ServedStore) -> None:
    run_id = _run(on_postgresql.store)

    def client(number: int) -> None:
        for metric in _metrics(range(20), f"client {number}"):
            statuses = [503]
            while statuses[-1] == 503:
                statuses.append(
                    _post(on_postgresql, f"{API}/runs/log-metric", {"run_id": run_id, **metric}).status_code
                )
            assert statuses[-1] == 200

    admin = sa.create_engine(on_postgresql.store.url, isolation_level="AUTOCOMMIT")
    with ThreadPoolExecutor(4) as threads, admin.connect() as connection:
        clients = [threads.submit(client, number) for number in range(4)]
        pause = 0.1
        while not all(done.done() for done in clients):
            connection.exec_driver_sql(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            connection.exec_driver_sql(f"select pg_sleep({pause})")
            pause *= 1.1  # so that clients get through in the end, however slow the machine
        for done in clients:
            done.result()
    admin.dispose()

    for number in range(4):
        assert _steps(on_postgresql.store, run_id, f"client {number}") == list(range(20))


def test_a_full_disk_is_worth_a_retry_and_loses_nothing(sqlite_served: ServedStore) -> None:
    store = sqlite_served.store
    run_id = _run(store)
    answered: list[int] = []
    with _little_space(store):
        for start in range(0, 100_000, 500):
            answer = _post(sqlite_served, LOG_BATCH, _batch(run_id, range(start, start + 500)))
            if answer.status_code != 200:
                break
            answered.extend(range(start, start + 500))
        assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert _steps(store, run_id) == answered

    _post(sqlite_served, LOG_BATCH, _batch(run_id, range(start, start + 500))).raise_for_status()
    assert _steps(store, run_id) == [*answered, *range(start, start + 500)]


def test_a_full_disk_of_postgresql_is_worth_a_retry(on_postgresql: ServedStore) -> None:
    store = on_postgresql.store
    run_id = _run(store)
    full = sa.create_engine(store.url)
    with full.begin() as connection:  # a disk can't be filled here: the database says of every metric that it is
        connection.exec_driver_sql(
            "create function full_disk() returns trigger language plpgsql as $$ begin "
            "raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$"
        )
        connection.exec_driver_sql(
            "create trigger full_disk before insert on headgate_metric_point for each row execute function full_disk()"
        )
    try:
        failed = _post(on_postgresql, LOG_BATCH, _batch(run_id))
        assert (failed.status_code, failed.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert (_steps(store, run_id), store.runs.get(run_id).params) == ([], {})
    finally:
        with full.begin() as connection:
            connection.exec_driver_sql("drop function full_disk cascade")
        full.dispose()

    assert _post(on_postgresql, LOG_BATCH, _batch(run_id)).status_code == 200
    assert _steps(store, run_id) == [0, 1, 2]


def test_a_full_disk_refuses_uploads_for_now(sqlite_served: ServedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{sqlite_served.url}/api/2.0/mlflow-artifacts/artifacts/0/file"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", full)
        assert requests.put(url, data=b"data", timeout=PATIENCE).status_code == 503
    assert requests.get(url, timeout=PATIENCE).status_code == 404
    assert requests.put(url, data=b"data", timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", LOG_BATCH), ("POST", f"{API}/runs/set-tag"), ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/file")],
)
def test_a_client_that_goes_away_within_its_body_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    root = str(tmp_path / "artifacts")
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=root, settings=Settings()) as store:
        run_id = _run(store)
        body = json.dumps({**_batch(run_id), "key": "k", "value": "v"}).encode()  # whole, but more was announced
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": True},
            {"type": "http.disconnect"},
        ]
        sent = _call(store, method, path, messages)

        assert sent == []
        found = store.runs.get(run_id)
        assert (found.metrics, found.params, "k" in found.tags) == ({}, {}, False)
        assert not store.artifacts(root).list("")
        assert list(spool.iterdir()) == []


@pytest.mark.parametrize("odd", ["\0", "9" * 30, "\ud800", "x" * 100_000], ids=["nul", "huge", "surrogate", "long"])
def test_what_no_database_holds_is_the_clients_mistake(served: ServedStore, odd: str) -> None:
    asked = [
        ("runs/search", {"experiment_ids": [odd]}),
        ("runs/delete", {"run_id": odd}),
        ("runs/create", {"experiment_id": odd}),
        ("runs/log-metric", {"run_id": odd, "key": "m", "value": 1, "timestamp": 1}),
        ("experiments/create", {"name": odd, "tags": [{"key": odd, "value": odd}]}),
        ("experiments/delete", {"experiment_id": odd}),
        ("logged-models", {"experiment_id": "0", "name": odd, "source_run_id": odd}),
        ("registered-models/create", {"name": odd, "description": odd}),
        ("registered-models/alias", {"name": odd, "alias": odd, "version": "9" * 30}),
        ("model-versions/set-tag", {"name": odd, "version": "9" * 30, "key": odd, "value": odd}),
    ]

    statuses = {path: _post(served, f"{API}/{path}", body).status_code for path, body in asked}

    assert {path: status for path, status in statuses.items() if status >= 500} == {}


def test_slow_clients_hold_up_nobody(sqlite_served: ServedStore) -> None:
    address = urlsplit(sqlite_served.url)
    run_id = _run(sqlite_served.store)
    begun = (
        b"POST /api/2.0/mlflow/runs/log-batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"PUT /api/2.0/mlflow-artifacts/artifacts/0/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx",
        b"GET /health HTT",
    )
    with ExitStack() as stack:
        for number in range(60):
            slow = stack.enter_context(socket.create_connection((address.hostname, address.port), 30))
            slow.sendall(begun[number % len(begun)])

        assert _post(sqlite_served, LOG_BATCH, _batch(run_id)).status_code == 200
        assert requests.get(f"{sqlite_served.url}{API}/runs/get?run_id={run_id}", timeout=PATIENCE).status_code == 200
    assert _steps(sqlite_served.store, run_id) == [0, 1, 2]


def test_a_fault_of_ours_is_logged_and_not_told(
    sqlite_served: ServedStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(type(sqlite_served.store.experiments), "get", broken)
    with caplog.at_level(logging.ERROR):
        answer = requests.get(f"{sqlite_served.url}{API}/experiments/get?experiment_id=0", timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "canary" not in answer.text
    assert "GET /api/2.0/mlflow/experiments/get failed" in caplog.text
    assert "RuntimeError: canary" in caplog.text


def test_a_batch_that_the_database_cannot_take_hinders_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=str(tmp_path), settings=Settings()) as store:
        run_id = _run(store)
        write_all = store.runs.log_batches

        def choosy(batches: list[RunBatch]) -> Any:
            if any("poison" in batch.params for batch in batches):
                raise ValueError("poison")
            return write_all(batches)

        monkeypatch.setattr(type(store.runs), "log_batches", lambda _, batches, **__: choosy(batches))
        answers = _submitted(store, run_id, ["a", "poison", "b"])

        assert [type(answer) for answer in answers] == [type(None), ValueError, type(None)]
        assert store.runs.get(run_id).params == {"a": "1", "b": "1"}


def test_a_group_that_meets_a_dead_database_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=str(tmp_path), settings=Settings()) as store:
        run_id = _run(store)
        tries: list[int] = []

        def dead(batches: list[RunBatch], *, wait: bool = True) -> None:
            if wait:
                tries.append(len(batches))
            raise StoreUnavailable("gone")

        monkeypatch.setattr(type(store.runs), "log_batches", lambda _, *said, **also: dead(*said, **also))
        answers = _submitted(store, run_id, ["a", "b", "c"])

        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert sum(tries) == 3


def _submitted(store: Store, run_id: str, params: list[str]) -> list[BaseException | None]:
    """Write one batch per param, all of them waiting before the writer starts; give what each was answered."""
    writer = Writer(store)

    async def submit() -> list[BaseException | None]:
        writes = [Write(RunBatch.of(run_id, params=[Param(name, "1")]), ANYBODY) for name in params]
        return await asyncio.gather(*(writer.submit(write) for write in writes), return_exceptions=True)

    try:
        return asyncio.run(submit())
    finally:
        writer.close()


def test_a_writer_that_was_closed_writes_what_it_has_and_takes_no_more(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", artifact_root=str(tmp_path), settings=Settings()) as store:
        run_id = _run(store)
        writer = Writer(store)

        async def closing() -> list[Any]:
            writes = [Write(RunBatch.of(run_id, params=[Param(str(n), "1")]), ANYBODY) for n in range(50)]
            submitted = [asyncio.ensure_future(writer.submit(write)) for write in writes]
            await asyncio.sleep(0)
            await asyncio.to_thread(writer.close)
            late = asyncio.ensure_future(writer.submit(writes[0]))
            return await asyncio.gather(*submitted, late, return_exceptions=True)

        *answers, late = asyncio.run(closing())

        assert answers == [None] * 50
        assert late.code == "TEMPORARILY_UNAVAILABLE"
        assert len(store.runs.get(run_id).params) == 50


def _call(store: Store, method: str, path: str, messages: list[dict[str, Any]]) -> list[Any]:
    """Send one request to the application without a server; give what it answered."""
    app = create_app(store)
    sent: list[Any] = []
    waiting = iter(messages)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"10000")],
    }

    async def receive() -> dict[str, Any]:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    app.close()
    return sent


@contextmanager
def _dropped_once(store: Store, moment: str) -> Iterator[None]:
    """Let the database end the connection that next reaches a moment of a transaction."""
    engine = store.database.engine
    admin = sa.create_engine(store.url, isolation_level="AUTOCOMMIT")
    dropped: list[int] = []

    def drop(connection: sa.Connection, *_: object) -> None:
        if dropped:
            return
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        dropped.append(pid)
        with admin.connect() as other:
            other.exec_driver_sql(f"select pg_terminate_backend({pid}, 60000)")

    sa.event.listen(engine, moment, drop)
    try:
        yield
    finally:
        sa.event.remove(engine, moment, drop)
        admin.dispose()


@contextmanager
def _little_space(store: Store) -> Iterator[None]:
    """Let a SQLite database grow by a few pages only."""
    engine = store.database.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("pragma page_count").scalar_one()

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"pragma max_page_count={pages + 30}")

    sa.event.listen(engine, "connect", limit)
    engine.dispose()
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", limit)
        engine.dispose()
