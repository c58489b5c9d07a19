"""What a host does about runs whose worker could not: end them, and find the pipeline runs that are still open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.runs import Runs
from headgate.store.store import Store

PIPELINE = RunContext(origin="airflow", pipeline="screening", pipeline_run_id="scheduled__2026")
WORK = replace(PIPELINE, task="train")


def test_a_run_that_is_running_is_ended_and_its_worker_learns_it(store: Store) -> None:
    run_id = store.runs.open("0", context=WORK, lease_owner="worker", now=100).info.run_id
    assert store.runs.end_if_running(run_id, RunStatus.KILLED, end_time=200, message="The task was marked failed.")
    run = store.runs.get(run_id)
    assert (run.info.status, run.info.end_time) == (RunStatus.KILLED, 200)
    assert run.tags[STATUS_MESSAGE_TAG] == "The task was marked failed."
    assert not store.leases.heartbeat(run_id, "worker", expires_at=900, now=300)


def test_a_run_that_has_ended_stays_as_it_is(store: Store) -> None:
    run_id = store.runs.open("0", context=WORK).info.run_id
    store.runs.finish(run_id, RunStatus.FINISHED, end_time=5)
    before = store.runs.get(run_id)
    assert not store.runs.end_if_running(run_id, RunStatus.KILLED, message="too late")
    assert store.runs.get(run_id) == before


def test_a_fenced_attempt_and_a_deleted_run_stay_as_they_are(store: Store) -> None:
    fenced = store.runs.open("0", context=WORK).info.run_id
    newer = store.runs.open("0", context=WORK).info.run_id
    assert not store.runs.end_if_running(fenced, RunStatus.KILLED)
    store.runs.delete(newer)
    assert not store.runs.end_if_running(newer, RunStatus.KILLED)
    assert store.runs.get_info(newer).status is RunStatus.RUNNING


def test_a_run_ends_only_with_an_end(sqlite_store: Store) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id
    with pytest.raises(InvalidInput, match="can't end as RUNNING"):
        sqlite_store.runs.end_if_running(run_id, RunStatus.RUNNING)
    with pytest.raises(NotFound):
        sqlite_store.runs.end_if_running("nobody", RunStatus.KILLED)


def test_the_pipeline_runs_that_are_open(store: Store) -> None:
    open_one = store.runs.open("0", context=PIPELINE, now=100).info.run_id
    older = store.runs.open("0", context=replace(PIPELINE, pipeline_run_id="manual__1"), now=50).info.run_id
    ended = store.runs.open("0", context=replace(PIPELINE, pipeline_run_id="manual__2")).info.run_id
    store.runs.finish(ended, RunStatus.FINISHED)
    deleted = store.runs.open("0", context=replace(PIPELINE, pipeline_run_id="manual__3")).info.run_id
    store.runs.delete(deleted)
    store.runs.open("0", context=WORK)
    store.runs.open("0", context=replace(PIPELINE, origin="prefect"))
    store.runs.open("0", context=RunContext(origin="airflow"))
    assert [info.run_id for info in store.runs.open_pipeline_runs("airflow")] == [older, open_one]
    assert [info.run_id for info in store.runs.open_pipeline_runs("airflow", max_results=1)] == [older]
    assert Runs(store.database, "another").open_pipeline_runs("airflow") == ()
