"""Starting, attaching to and ending runs."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headgate.store.clock import now_ms
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import InvalidInput, NotFound, RunNotActive
from headgate.store.store import Store
from headgate.tasks import tracking
from headgate.tasks.reap import reap
from tests.tasks.tracking.conftest import RunScript


def test_a_run_ends_with_its_block(store: Store) -> None:
    assert tracking.active_run() is None
    with tracking.start_run(run_name="first", tags={"team": "a", "size": 3}, description="why") as run:
        assert tracking.active_run() is run
        assert store.runs.get(run.run_id).info.status is RunStatus.RUNNING
    assert tracking.active_run() is None
    recorded = store.runs.get(run.run_id)
    assert (recorded.info.status, recorded.info.name) == (RunStatus.FINISHED, "first")
    assert recorded.info.experiment_id == "0"
    assert {"team": "a", "size": "3", "mlflow.note.content": "why"}.items() <= recorded.tags.items()
    assert recorded.tags["mlflow.source.type"] == "LOCAL"
    assert recorded.info.user_id == recorded.tags["mlflow.user"] != ""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("canary-secret"), RunStatus.FAILED),
        (KeyboardInterrupt(), RunStatus.KILLED),
        (SystemExit(2), RunStatus.FAILED),
        (SystemExit(0), RunStatus.FINISHED),
    ],
)
def test_an_exception_ends_the_run(error: BaseException, status: RunStatus, store: Store) -> None:
    with pytest.raises(type(error)), tracking.start_run() as run:
        raise error
    recorded = store.runs.get(run.run_id)
    assert recorded.info.status is status
    assert recorded.info.end_time is not None
    assert "canary-secret" not in str(recorded)
    if status is not RunStatus.FINISHED:
        assert recorded.tags["headgate.statusMessage"] == type(error).__name__


def test_end_run_says_how_it_ended(store: Store) -> None:
    run = tracking.start_run()
    with pytest.raises(InvalidInput, match="can't end as 'RUNNING'"):
        tracking.end_run("RUNNING")
    tracking.end_run("FAILED")
    tracking.end_run()
    assert store.runs.get_info(run.run_id).status is RunStatus.FAILED


def test_a_second_run_must_be_nested(store: Store) -> None:
    with tracking.start_run() as outer:
        with pytest.raises(InvalidInput, match=f"{outer.run_id} is already active"):
            tracking.start_run()
        with tracking.start_run(nested=True) as inner:
            assert tracking.active_run() is inner
            with tracking.start_run(nested=True, run_name="deeper") as deeper:
                tracking.log_metric("depth", 3)
        assert tracking.active_run() is outer
    assert store.runs.get_info(inner.run_id).parent_run_id == outer.run_id
    assert store.runs.get_info(deeper.run_id).parent_run_id == inner.run_id
    assert store.runs.get(deeper.run_id).tags["mlflow.parentRunId"] == inner.run_id
    assert store.metrics.latest(deeper.run_id)["depth"].value == 3


def test_a_run_may_be_gone_on_with(store: Store) -> None:
    with tracking.start_run() as first:
        tracking.log_metric("loss", 1.0, step=1)
    with tracking.start_run(first.run_id, run_name="again", tags={"resumed": True}) as second:
        assert store.runs.get_info(first.run_id).status is RunStatus.RUNNING
        tracking.log_metric("loss", 0.5, step=2)
    assert second.run_id == first.run_id
    recorded = store.runs.get(first.run_id)
    assert (recorded.info.status, recorded.info.name) == (RunStatus.FINISHED, "again")
    assert recorded.tags["resumed"] == "True"
    assert [point.value for point in store.metrics.history(first.run_id, "loss").items] == [1.0, 0.5]
    with pytest.raises(NotFound):
        tracking.start_run("0" * 32)
    assert tracking.active_run() is None


def test_experiments_are_chosen_by_name_or_id(store: Store) -> None:
    chosen = tracking.set_experiment("screening")
    assert tracking.set_experiment("screening") == chosen
    with tracking.start_run() as run:
        assert run.info.experiment_id == chosen.experiment_id
    assert tracking.set_experiment(experiment_id="0").name == "Default"
    with tracking.start_run(experiment_id=chosen.experiment_id) as run, tracking.start_run(nested=True) as child:
        assert run.info.experiment_id == child.info.experiment_id == chosen.experiment_id
    with pytest.raises(InvalidInput):
        tracking.set_experiment()
    with pytest.raises(InvalidInput):
        tracking.set_experiment("a", experiment_id="0")
    with pytest.raises(NotFound):
        tracking.set_experiment(experiment_id="77")


def test_the_run_of_the_process_is_attached_to_and_left_open(given_run: str, store: Store) -> None:
    tracking.log_param("before", 1)
    with tracking.start_run(run_name="renamed", tags={"a": 1}) as run:
        assert run.run_id == given_run
        assert run.is_attached
        tracking.log_param("inside", 2)
    tracking.log_param("after", 3)
    tracking.end_run("FAILED")
    recorded = store.runs.get(given_run)
    assert recorded.info.status is RunStatus.RUNNING
    assert recorded.info.name == "renamed"
    assert recorded.params == {"before": "1", "inside": "2", "after": "3"}
    assert recorded.tags["a"] == "1"


def test_an_exception_leaves_the_attached_run_to_its_opener(given_run: str, store: Store) -> None:
    with pytest.raises(ValueError, match="boom"), tracking.start_run():
        raise ValueError("boom")
    assert store.runs.get_info(given_run).status is RunStatus.RUNNING


def test_later_runs_of_the_process_stand_below_its_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    context = RunContext(
        "airflow", "dag", "scheduled__1", "train", logical_date=86_400_000, data_interval_start=1, data_interval_end=2
    )
    given = store.runs.open("0", context=context)
    monkeypatch.setenv("HEADGATE_RUN_ID", given.info.run_id)
    with tracking.start_run() as first, tracking.start_run(nested=True) as nested:
        pass
    with tracking.start_run() as second:
        assert second.run_id != given.info.run_id
    with tracking.start_run(given.info.run_id) as again:
        assert again.is_attached
    assert first.run_id == given.info.run_id
    for child in (nested, second):
        info = store.runs.get_info(child.run_id)
        assert info.parent_run_id == given.info.run_id
        assert info.context.logical_date == 86_400_000, "the child stands for the same data"
        assert info.context.pipeline_run_id is None, "and is no attempt of the same work"
        assert info.status is RunStatus.FINISHED
    assert store.runs.get_info(given.info.run_id).status is RunStatus.RUNNING


def test_an_unknown_run_of_the_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_RUN_ID", "f" * 32)
    with pytest.raises(NotFound, match="f" * 32):
        tracking.log_param("a", 1)


def test_an_attempt_that_was_fenced_off_can_log_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    context = RunContext("airflow", "dag", "scheduled__1", "train")
    old = store.runs.open("0", context=context)
    monkeypatch.setenv("HEADGATE_RUN_ID", old.info.run_id)
    tracking.log_metric("loss", 1)
    store.runs.open("0", context=context)
    for attempt in (
        lambda: tracking.log_metric("loss", 2),
        lambda: tracking.log_param("a", 1),
        lambda: tracking.set_tag("a", 1),
        lambda: tracking.log_model(sum, "late"),
    ):
        with pytest.raises(RunNotActive):
            attempt()


def test_a_run_that_was_killed_does_not_end_green(store: Store) -> None:
    with pytest.raises(RunNotActive), tracking.start_run() as run:
        store.runs.finish(run.run_id, RunStatus.KILLED)
    assert store.runs.get_info(run.run_id).status is RunStatus.KILLED


def test_a_run_that_was_killed_does_not_hide_the_error(store: Store) -> None:
    def work() -> None:
        with tracking.start_run() as run:
            store.runs.finish(run.run_id, RunStatus.KILLED)
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom") as caught:
        work()
    assert "could not be recorded" in caught.value.__notes__[0]
    assert tracking.active_run() is None


def test_two_threads_have_runs_of_their_own(store: Store) -> None:
    both_started = threading.Barrier(2)

    def work(number: int) -> str:
        with tracking.start_run(run_name=f"thread-{number}") as run:
            both_started.wait()
            for step in range(20):
                tracking.log_metric("value", number, step=step)
            tracking.log_param("number", number)
            both_started.wait()
            return run.run_id

    with ThreadPoolExecutor(2) as pool:
        run_ids = list(pool.map(work, range(2)))
    assert len(set(run_ids)) == 2
    for number, run_id in enumerate(run_ids):
        assert store.params.get(run_id) == {"number": str(number)}
        assert [point.value for point in store.metrics.history(run_id, "value").items] == [number] * 20


def test_worker_threads_log_to_the_run_of_their_program(store: Store) -> None:
    with tracking.start_run() as run, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda step: tracking.log_metric("loss", 1.0, step=step), range(16)))
        with tracking.start_run(nested=True):
            pool.submit(tracking.set_tag, "from", "a worker").result()
    assert len(store.metrics.history(run.run_id, "loss").items) == 16
    assert store.tags.get(run.run_id)["from"] == "a worker"


def test_a_thread_without_a_run_beside_several_must_say_which(store: Store) -> None:
    release, ready = threading.Event(), threading.Barrier(3)

    def hold() -> None:
        with tracking.start_run():
            ready.wait()
            release.wait()

    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(hold) for _ in range(2)]
        ready.wait()
        with pytest.raises(InvalidInput, match="2 are active in the process"):
            tracking.log_metric("loss", 1)
        with tracking.start_run() as mine:
            tracking.log_metric("loss", 1)
        release.set()
        for one in held:
            one.result()
    assert store.metrics.latest(mine.run_id)["loss"].value == 1


def test_a_copied_context_takes_the_run_along(store: Store) -> None:
    with tracking.start_run(), tracking.start_run(nested=True) as inner:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(tracking.log_param, "from", "thread"))
        thread.start()
        thread.join()
    assert store.params.get(inner.run_id) == {"from": "thread"}


def test_asyncio_tasks_have_runs_of_their_own(store: Store) -> None:
    async def work(number: int) -> str:
        with tracking.start_run(nested=True) as run:
            await asyncio.sleep(0)
            tracking.log_param("number", number)
            await asyncio.sleep(0)
            return run.run_id

    async def program() -> list[str]:
        with tracking.start_run():
            return await asyncio.gather(*(work(number) for number in range(3)))

    run_ids = asyncio.run(program())
    assert [store.params.get(run_id)["number"] for run_id in run_ids] == ["0", "1", "2"]


def test_logging_without_a_run_starts_one_that_ends_with_the_process(run_script: RunScript, store: Store) -> None:
    run_script("tracking.log_metric('a', 1)\ntracking.log_param('b', 2)\n")
    run_script("tracking.log_metric('a', 1)\nraise SystemError('boom')\n", code=1)
    run_script("run = tracking.start_run()\ntracking.start_run(nested=True)\n")
    found = store.runs.get_many(_all_run_ids(store))
    by_status = sorted(run.info.status for run in found)
    assert by_status == [RunStatus.FAILED, RunStatus.FINISHED, RunStatus.FINISHED, RunStatus.FINISHED]
    assert all(run.tags["mlflow.source.name"].endswith("script.py") for run in found)


def _all_run_ids(store: Store) -> list[str]:
    from sqlalchemy import text

    with store.database.read() as connection:
        return list(connection.scalars(text("SELECT run_id FROM headgate_run")))


def test_a_forked_child_does_not_end_the_run_of_its_parent(run_script: RunScript, store: Store) -> None:
    run_id = run_script(
        """
import os, sys
run = tracking.start_run()
child = os.fork()
if child == 0:
    tracking.log_param("from", "child")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
from headgate.store.store import open_store
print(run.run_id, open_store().runs.get_info(run.run_id).status)
"""
    )
    assert run_id.split()[1] == "RUNNING"
    recorded = store.runs.get(run_id.split()[0])
    assert recorded.info.status is RunStatus.FINISHED
    assert recorded.params == {"from": "child"}


def test_a_run_of_a_process_that_dies_is_reaped(run_script: RunScript, store: Store) -> None:
    printed = run_script(
        """
import os
first = tracking.start_run()
tracking.end_run()
first = tracking.start_run(first.run_id)
second = tracking.start_run(nested=True)
print(first.run_id, second.run_id, flush=True)
os._exit(9)
""",
        code=9,
        HEADGATE_LEASE_SECONDS="0.1",
    )
    run_ids = printed.split()
    assert {store.runs.get_info(run_id).status for run_id in run_ids} == {RunStatus.RUNNING}
    assert set(reap(store, now=now_ms() + 1000)) == set(run_ids)
    assert {store.runs.get_info(run_id).status for run_id in run_ids} == {RunStatus.KILLED}


def test_a_run_is_kept_alive_while_its_process_lives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_LEASE_SECONDS", "0.3")
    with tracking.start_run() as run:
        lease = store.leases.get(run.run_id)
        assert lease is not None
        later = store.leases.get(run.run_id)
        for _ in range(3000):
            later = store.leases.get(run.run_id)
            assert later is not None
            if later.heartbeat_at > lease.heartbeat_at:
                break
            time.sleep(0.02)
        assert later.expires_at > lease.expires_at
    assert store.leases.get(run.run_id) is None
    assert store.runs.get_info(run.run_id).status is RunStatus.FINISHED


def test_another_store_may_be_named(tmp_path: Path) -> None:
    from headgate.store.store import open_store

    url = f"sqlite:///{tmp_path}/other/store.db"
    tracking.set_store(url)
    with tracking.start_run() as run:
        tracking.log_text("x", "a.txt")
    with open_store(url, artifact_root=str(tmp_path / "ignored")) as other:
        assert other.runs.get_info(run.run_id).status is RunStatus.FINISHED
    # The artifact root of the environment stands until another one is said.
    assert run.info.artifact_uri.startswith(f"{tmp_path}/artifacts/")
