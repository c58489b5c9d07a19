"""Closing runs that nobody keeps alive, on every database that is there for the tests of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.entities import RunContext, RunStatus
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.store import Store
from headgate.tasks.reap import REAPED_TAG, reap

NOW = 1_700_000_000_000
MINUTE = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db") as opened:
        yield opened


def leased(store: Store, expires_at: int) -> str:
    return store.runs.open(
        "0", lease_owner="gone", host="worker-7", pid=4711, lease_seconds=60, now=expires_at - MINUTE
    ).info.run_id


def test_only_runs_whose_lease_ran_out(store: Store) -> None:
    dead, older = leased(store, NOW), leased(store, NOW - MINUTE)
    alive, without = leased(store, NOW + 1), store.runs.open("0", now=NOW - MINUTE).info.run_id
    finished = leased(store, NOW - MINUTE)
    store.runs.finish(finished, RunStatus.FINISHED, end_time=NOW - MINUTE)
    assert reap(store, NOW) == (older, dead)
    statuses = [store.runs.get_info(run_id).status for run_id in (dead, older, alive, without, finished)]
    assert statuses == [*[RunStatus.KILLED] * 2, *[RunStatus.RUNNING] * 2, RunStatus.FINISHED]
    run = store.runs.get(dead)
    assert run.info.end_time == NOW
    assert run.tags[REAPED_TAG] == "true"
    assert run.tags[STATUS_MESSAGE_TAG] == (
        "Its process (4711 on worker-7) gave no sign of life after 2023-11-14T22:12:20Z."
    )
    assert store.leases.get(dead) is None


def test_may_run_twice(store: Store) -> None:
    run_id = leased(store, NOW)
    assert reap(store, NOW) == (run_id,)
    before = store.runs.get(run_id)
    assert reap(store, NOW + MINUTE) == ()
    assert store.runs.get(run_id) == before


def test_several_at_once_close_each_run_once(store: Store) -> None:
    runs = {leased(store, NOW) for _ in range(12)}
    with ThreadPoolExecutor(4) as pool:
        closed = [run_id for ids in pool.map(lambda _: reap(store, NOW), range(4)) for run_id in ids]
    assert sorted(closed) == sorted(runs)


def test_more_than_a_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [leased(store, NOW + number) for number in range(5)]
    expired = store.leases.expired
    monkeypatch.setattr(store.leases, "expired", lambda now: expired(now, max_results=2))
    assert reap(store, NOW + MINUTE) == tuple(runs)


def test_a_heartbeat_in_between_saves_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = leased(store, NOW)
    expired = store.leases.expired

    def and_then_a_heartbeat(now: int) -> object:
        found = expired(now)
        store.leases.heartbeat(run_id, "gone", expires_at=NOW + MINUTE, now=NOW)
        return found

    monkeypatch.setattr(store.leases, "expired", and_then_a_heartbeat)
    assert reap(store, NOW) == ()
    assert store.runs.get_info(run_id).status is RunStatus.RUNNING


def test_a_run_that_was_deleted_meanwhile(store: Store) -> None:
    run_id = leased(store, NOW)
    store.runs.delete(run_id)
    assert reap(store, NOW) == (run_id,)
    assert REAPED_TAG not in store.runs.get(run_id).tags


def test_a_reaped_attempt_is_followed_by_the_next(store: Store) -> None:
    work = RunContext(pipeline="p", pipeline_run_id="r", task="t")
    first = store.runs.open("0", context=work, lease_owner="gone", lease_seconds=60, now=NOW - MINUTE).info.run_id
    assert reap(store, NOW) == (first,)
    second = store.runs.open("0", context=work, now=NOW)
    assert second.info.previous_attempt_id == first


def test_the_time_is_now_unless_it_is_said(store: Store) -> None:
    run_id = leased(store, NOW)
    assert reap(store) == (run_id,)
