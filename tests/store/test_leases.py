"""Leases: taken, prolonged, lost, and the runs of lost ones closed exactly once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.store.entities import Lease, RunContext, RunStatus
from headgate.store.errors import InvalidInput, NotFound, RunNotActive
from headgate.store.store import Store


@pytest.fixture
def run_id(store: Store) -> str:
    return store.runs.open("0").info.run_id


def test_open_takes_the_lease_with_the_run(store: Store) -> None:
    run_id = store.runs.open("0", lease_owner="w", lease_seconds=30, host="box", pid=42, now=1000).info.run_id

    assert store.leases.get(run_id) == Lease(run_id, "w", 31_000, 1000, "box", 42)


def test_open_without_an_owner_takes_none(store: Store, run_id: str) -> None:
    assert store.leases.get(run_id) is None


def test_heartbeat_prolongs(store: Store, run_id: str) -> None:
    store.leases.acquire(run_id, "w", expires_at=100, now=40)

    assert store.leases.heartbeat(run_id, "w", expires_at=200, now=90)
    assert store.leases.heartbeat(run_id, "w", expires_at=200, now=90)  # the same again, where nothing changes

    lease = store.leases.get(run_id)
    assert lease is not None
    assert (lease.expires_at, lease.heartbeat_at) == (200, 90)


def test_heartbeat_of_another_owner_changes_nothing(store: Store, run_id: str) -> None:
    lease = store.leases.acquire(run_id, "w", expires_at=100, now=40)

    assert not store.leases.heartbeat(run_id, "x", expires_at=900, now=50)
    assert not store.leases.heartbeat("nothing", "w", expires_at=900, now=50)

    assert store.leases.get(run_id) == lease


def test_acquire_takes_the_lease_over(store: Store, run_id: str) -> None:
    store.leases.acquire(run_id, "before", expires_at=100, now=40)
    for _ in range(2):
        store.leases.acquire(run_id, "after", expires_at=200, now=60)

    assert not store.leases.heartbeat(run_id, "before", expires_at=900, now=70)
    assert store.leases.heartbeat(run_id, "after", expires_at=300, now=70)


def test_release_gives_it_back(store: Store, run_id: str) -> None:
    store.leases.acquire(run_id, "w", expires_at=100, now=40)

    assert not store.leases.release(run_id, "x")
    assert store.leases.release(run_id, "w")
    assert not store.leases.release(run_id, "w")

    assert not store.leases.heartbeat(run_id, "w", expires_at=200, now=50)
    assert store.runs.get_info(run_id).status is RunStatus.RUNNING


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
def test_ended_runs_have_no_lease(store: Store, run_id: str, status: RunStatus) -> None:
    store.leases.acquire(run_id, "w", expires_at=100, now=40)
    store.runs.update(run_id, status=status)

    assert not store.leases.heartbeat(run_id, "w", expires_at=200, now=50)
    with pytest.raises(RunNotActive, match="has ended"):
        store.leases.acquire(run_id, "w", expires_at=100, now=40)


def test_acquire_needs_a_run_and_values_that_fit(store: Store, run_id: str) -> None:
    with pytest.raises(NotFound):
        store.leases.acquire("nothing", "w", expires_at=1, now=0)
    with pytest.raises(InvalidInput, match="owner of a lease"):
        store.leases.acquire(run_id, "x" * 65, expires_at=1, now=0)
    with pytest.raises(InvalidInput, match="end of a lease"):
        store.leases.acquire(run_id, "w", expires_at=-1, now=0)


def test_expired_leases_are_listed_oldest_first(store: Store) -> None:
    ids = [store.runs.open("0").info.run_id for _ in range(4)]
    for run_id, expires_at in zip(ids, (300, 100, 200, 400), strict=True):
        store.leases.acquire(run_id, "w", expires_at=expires_at, now=0)

    assert [lease.run_id for lease in store.leases.expired(300)] == [ids[1], ids[2], ids[0]]
    assert [lease.run_id for lease in store.leases.expired(300, max_results=1)] == [ids[1]]
    assert store.leases.expired(99) == ()


def test_run_of_an_expired_lease_is_killed_once(store: Store, run_id: str) -> None:
    store.leases.acquire(run_id, "w", expires_at=100, now=40)

    assert not store.leases.kill_expired(run_id, now=99)
    assert store.leases.kill_expired(run_id, now=100)
    assert not store.leases.kill_expired(run_id, now=101)

    info = store.runs.get_info(run_id)
    assert (info.status, info.end_time) == (RunStatus.KILLED, 100)
    assert store.leases.expired(1000) == ()
    assert not store.leases.heartbeat(run_id, "w", expires_at=900, now=101)
    with pytest.raises(RunNotActive, match="was killed"):
        store.runs.finish(run_id, RunStatus.FINISHED)


def test_heartbeat_in_time_saves_the_run(store: Store, run_id: str) -> None:
    store.leases.acquire(run_id, "w", expires_at=100, now=40)
    (expired,) = store.leases.expired(150)
    assert store.leases.heartbeat(run_id, "w", expires_at=500, now=151)

    assert not store.leases.kill_expired(expired.run_id, now=152)

    assert store.runs.get_info(run_id).status is RunStatus.RUNNING


def test_run_without_a_lease_is_never_killed(store: Store, run_id: str) -> None:
    assert not store.leases.kill_expired(run_id, now=2**62)
    with pytest.raises(NotFound):
        store.leases.kill_expired("nothing", now=1)


def test_many_reapers_kill_a_run_once(store: Store) -> None:
    run_id = store.runs.open("0", lease_owner="w", lease_seconds=0, now=0).info.run_id

    with ThreadPoolExecutor(5) as pool:
        killed = list(pool.map(lambda now: store.leases.kill_expired(run_id, now=now), range(10, 15)))

    assert sorted(killed) == [False, False, False, False, True]


def test_new_attempt_and_reaper_agree_on_who_ended_the_run(store: Store) -> None:
    context = RunContext(pipeline_run_id="p", task="t")
    first = store.runs.open("0", context=context, lease_owner="w", lease_seconds=0, now=0).info.run_id

    second = store.runs.open("0", context=context, now=50).info.run_id

    assert not store.leases.kill_expired(first, now=60)
    info = store.runs.get_info(first)
    assert (info.status, info.end_time, info.superseded_by) == (RunStatus.KILLED, 50, second)
