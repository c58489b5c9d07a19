from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.errors import StoreUnavailable
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks.heartbeat import Heartbeat
from headgate.tasks.stopping import StopRequest
from tests.tasks.processes import wait_for


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = Settings(lease_seconds=0.06)
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=settings) as opened:
        yield opened


def beats(store: Store, run_id: str) -> int:
    lease = store.leases.get(run_id)
    assert lease is not None
    return lease.heartbeat_at


def test_prolongs_the_lease(store: Store) -> None:
    run_id = store.runs.open("0", lease_owner="me", now=1).info.run_id
    clock = itertools.count(1000, 1000)
    stop = StopRequest()
    with Heartbeat(store, run_id, "me", stop, clock=lambda: next(clock)) as heartbeat:
        wait_for(lambda: beats(store, run_id) >= 3000, "three heartbeats")
        assert heartbeat.beat()
    lease = store.leases.get(run_id)
    assert lease is not None
    assert lease.expires_at == lease.heartbeat_at + 60
    assert (heartbeat.lost, stop.reason) == (False, None)


def test_ends_with_the_block(store: Store) -> None:
    run_id = store.runs.open("0", lease_owner="me").info.run_id
    with Heartbeat(store, run_id, "me", StopRequest()):
        assert any(thread.name == f"headgate-lease-{run_id[:8]}" for thread in threading.enumerate())
    assert not any(thread.name == f"headgate-lease-{run_id[:8]}" for thread in threading.enumerate())


def test_asks_to_stop_when_the_lease_is_lost(store: Store) -> None:
    run_id = store.runs.open("0", lease_owner="me").info.run_id
    stop = StopRequest()
    with Heartbeat(store, run_id, "me", stop) as heartbeat:
        store.leases.release(run_id, "me")
        wait_for(lambda: stop.reason is not None, "the request")
    assert stop.reason is not None
    assert "its lease was lost" in stop.reason
    assert heartbeat.lost
    assert not heartbeat.beat()


def test_a_store_that_does_not_answer_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = store.runs.open("0", lease_owner="me", now=1).info.run_id
    real, calls = store.leases.heartbeat, itertools.count()

    def sometimes(*arguments: str, **times: int) -> bool:
        if next(calls) < 2:
            raise StoreUnavailable("The database is away.")
        return real(*arguments, **times)

    monkeypatch.setattr(store.leases, "heartbeat", sometimes)
    stop = StopRequest()
    with Heartbeat(store, run_id, "me", stop):
        wait_for(lambda: beats(store, run_id) > 1, "a heartbeat")
    assert stop.reason is None
    assert caplog.text.count("The database is away.") == 2
