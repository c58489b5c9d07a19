"""Attempts of one piece of work: each is one run, and a newer one fences off those before it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Event

import pytest

from headgate.store.entities import Metric, Run, RunContext, RunStatus
from headgate.store.errors import InvalidInput, ParamChanged, RunNotActive
from headgate.store.runs import Runs
from headgate.store.store import Store

WORK = RunContext(origin="airflow", pipeline="screening", pipeline_run_id="scheduled__2026", task="train", map_index=2)


def attempt(number: int) -> RunContext:
    return replace(WORK, attempt=number)


def test_a_new_attempt_fences_off_the_one_before(store: Store) -> None:
    first = store.runs.open("0", context=WORK, lease_owner="worker 1", now=100).info

    second = store.runs.open("0", context=WORK, lease_owner="worker 2", now=200).info

    fenced = store.runs.get_info(first.run_id)
    assert (fenced.status, fenced.end_time, fenced.superseded_by) == (RunStatus.KILLED, 200, second.run_id)
    assert (second.context.attempt, second.previous_attempt_id) == (2, first.run_id)
    assert store.leases.get(first.run_id) is None
    assert store.leases.get(second.run_id) is not None
    assert not store.leases.heartbeat(first.run_id, "worker 1", expires_at=900, now=300)


def test_nothing_can_be_written_to_a_fenced_attempt(store: Store) -> None:
    old = store.runs.open("0", context=WORK).info.run_id
    new = store.runs.open("0", context=WORK).info.run_id

    for write in (
        lambda: store.runs.log_batch(old, metrics=[Metric("m", 1.0, 1)]),
        lambda: store.metrics.log(old, [Metric("m", 1.0, 1)]),
        lambda: store.params.log(old, {"a": "1"}),
        lambda: store.tags.set(old, {"a": "1"}),
        lambda: store.datasets.log_inputs(old, []),
        lambda: store.runs.update(old, status=RunStatus.RUNNING),
        lambda: store.runs.finish(old, RunStatus.FINISHED),
        lambda: store.leases.acquire(old, "me", expires_at=9, now=1),
    ):
        with pytest.raises(RunNotActive, match="fenced off") as raised:
            write()
        assert (raised.value.run_id, raised.value.superseded_by) == (old, new)

    assert store.runs.finish(old, RunStatus.KILLED).status is RunStatus.KILLED
    assert store.metrics.latest(old) == {}


def test_an_attempt_that_ended_keeps_its_end(store: Store) -> None:
    failed = store.runs.open("0", context=WORK).info.run_id
    store.runs.finish(failed, RunStatus.FAILED, end_time=5)

    retry = store.runs.open("0", context=WORK, now=50).info

    info = store.runs.get_info(failed)
    assert (info.status, info.end_time, info.superseded_by) == (RunStatus.FAILED, 5, retry.run_id)


def test_the_same_attempt_again_is_the_same_run(store: Store) -> None:
    first = store.runs.open("0", context=attempt(1), params={"a": "1"}, start_time=7)

    again = store.runs.open("0", context=attempt(1), params={"a": "1"}, tags={"t": "1"}, start_time=9)

    assert again.info == first.info
    assert again.tags == {**first.tags, "t": "1"}
    with pytest.raises(ParamChanged):
        store.runs.open("0", context=attempt(1), params={"a": "2"})


def test_opening_the_same_attempt_takes_the_lease(store: Store) -> None:
    run_id = store.runs.open("0", context=attempt(1), lease_owner="before", now=0).info.run_id

    store.runs.open("0", context=attempt(1), lease_owner="after", lease_seconds=1.5, now=1000, host="h", pid=7)

    assert not store.leases.heartbeat(run_id, "before", expires_at=99_000, now=1100)
    lease = store.leases.get(run_id)
    assert lease is not None
    assert (lease.owner, lease.expires_at, lease.heartbeat_at, lease.host, lease.pid) == ("after", 2500, 1000, "h", 7)


def test_an_attempt_that_ended_is_found_but_gets_no_lease(store: Store) -> None:
    run_id = store.runs.open("0", context=attempt(1)).info.run_id
    store.runs.finish(run_id, RunStatus.FINISHED, end_time=3)

    again = store.runs.open("0", context=attempt(1), lease_owner="me")

    assert (again.info.run_id, again.info.status) == (run_id, RunStatus.FINISHED)
    assert store.leases.get(run_id) is None


def test_attempts_may_skip_numbers(store: Store) -> None:
    first = store.runs.open("0", context=attempt(1)).info
    fourth = store.runs.open("0", context=attempt(4)).info
    fifth = store.runs.open("0", context=WORK).info

    assert (fourth.previous_attempt_id, fifth.previous_attempt_id) == (first.run_id, fourth.run_id)
    assert fifth.context.attempt == 5
    assert store.runs.get_info(first.run_id).superseded_by == fourth.run_id


def test_an_attempt_that_comes_too_late_is_refused(store: Store) -> None:
    first = store.runs.open("0", context=attempt(1)).info
    third = store.runs.open("0", context=attempt(3)).info

    with pytest.raises(RunNotActive, match="comes too late: attempt 3") as raised:
        store.runs.open("0", context=attempt(2))
    assert raised.value.superseded_by == third.run_id
    with pytest.raises(RunNotActive, match="fenced off"):
        store.runs.open("0", context=attempt(1))

    assert [info.run_id for info in store.runs.attempts(WORK)] == [first.run_id, third.run_id]
    assert store.runs.get_info(third.run_id).status is RunStatus.RUNNING


def test_different_work_is_not_fenced(store: Store) -> None:
    contexts = [
        WORK,
        replace(WORK, map_index=3),
        replace(WORK, task="evaluate"),
        replace(WORK, task=None),
        replace(WORK, pipeline="other"),
        replace(WORK, pipeline_run_id="manual"),
        replace(WORK, origin="prefect"),
    ]

    runs = [store.runs.open("0", context=context) for context in contexts]
    elsewhere = Runs(store.database, "team-b")

    assert all(store.runs.get_info(run.info.run_id).superseded_by is None for run in runs)
    assert elsewhere.find_by_context(WORK) is None


def test_the_newest_attempt_is_found_by_context(store: Store) -> None:
    assert store.runs.find_by_context(WORK) is None
    assert store.runs.attempts(WORK) == ()
    first = store.runs.open("0", context=WORK)
    second = store.runs.open("0", context=WORK, params={"a": "1"})

    assert store.runs.find_by_context(attempt(1)) == second
    assert [info.context.attempt for info in store.runs.attempts(WORK)] == [1, 2]

    store.runs.delete(second.info.run_id)
    found = store.runs.find_by_context(WORK)
    assert found is not None
    assert found.info.run_id == first.info.run_id


def test_anonymous_contexts_name_no_work(sqlite_store: Store) -> None:
    for call in (sqlite_store.runs.find_by_context, sqlite_store.runs.attempts):
        with pytest.raises(InvalidInput, match="names no piece of work"):
            call(RunContext())


def open_together(store: Store, contexts: list[RunContext]) -> list[Run | RunNotActive]:
    barrier = Barrier(len(contexts))

    def work(context: RunContext) -> Run | RunNotActive:
        barrier.wait()
        try:
            return store.runs.open("0", context=context, params={"a": "1"}, lease_owner="me", lease_seconds=60)
        except RunNotActive as error:
            return error

    with ThreadPoolExecutor(len(contexts)) as pool:
        return list(pool.map(work, contexts))


def test_nothing_slips_past_the_fence(store: Store) -> None:
    old = store.runs.open("0", context=WORK).info.run_id
    writing = Event()

    def log_until_fenced_off() -> int:
        for step in range(100_000):
            try:
                store.runs.log_batch(old, metrics=[Metric("m", 1.0, step, step)], tags={"step": str(step)})
            except RunNotActive:
                return step
            writing.set()
        raise AssertionError("was never fenced off")

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(log_until_fenced_off) for _ in range(2)]
        writing.wait(60)
        store.runs.open("0", context=WORK)
        seen = len(store.metrics.history(old, "m").items), store.runs.get(old)
        written = max(writer.result() for writer in writers)

    assert (len(store.metrics.history(old, "m").items), store.runs.get(old)) == seen
    assert seen[0] == written
    assert seen[1].info.status is RunStatus.KILLED


def test_one_attempt_opened_by_many_at_once_is_one_run(store: Store) -> None:
    opened = open_together(store, [attempt(1)] * 6)

    assert len({run.info.run_id for run in opened if isinstance(run, Run)}) == 1
    assert len(opened) == 6
    assert len(store.runs.attempts(WORK)) == 1


def test_next_attempts_opened_at_once_each_get_a_number(store: Store) -> None:
    open_together(store, [WORK] * 5)

    attempts = store.runs.attempts(WORK)
    assert [info.context.attempt for info in attempts] == [1, 2, 3, 4, 5]
    standing = [info for info in attempts if info.superseded_by is None]
    assert standing == [attempts[-1]]
    assert [info.status for info in attempts[:-1]] == [RunStatus.KILLED] * 4


def test_different_attempts_opened_at_once_leave_one_standing(store: Store) -> None:
    for _ in range(5):
        work = replace(WORK, pipeline_run_id=f"run {_}")
        open_together(store, [replace(work, attempt=number) for number in (1, 2, 3)])

        attempts = store.runs.attempts(work)
        standing = [info for info in attempts if info.superseded_by is None]
        assert standing == [attempts[-1]]
        assert standing[0].context.attempt == 3
        assert all(info.status is RunStatus.KILLED for info in attempts[:-1])
