"""Ending runs in the stead of those who could not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.entities import RunContext, RunStatus
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.store import Store
from headgate.tasks.settle import close_pipeline_run, settle_pipeline_run, settle_run

PIPELINE = RunContext(origin="airflow", pipeline="screening", pipeline_run_id="scheduled__2026", attempt=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db") as opened:
        yield opened


def opened(store: Store, context: RunContext, parent: str | None = None) -> str:
    run = store.runs.open("0", context=context, parent_run_id=parent, start_time=1_000, lease_owner="worker")
    return run.info.run_id


def statuses(store: Store, *run_ids: str) -> list[RunStatus]:
    return [store.runs.get_info(run_id).status for run_id in run_ids]


def test_a_run_and_what_runs_below_it(store: Store) -> None:
    run = opened(store, replace(PIPELINE, task="train"))
    nested = opened(store, RunContext(), run)
    below = opened(store, RunContext(), nested)
    done = opened(store, RunContext(), run)
    store.runs.finish(done, RunStatus.FINISHED)
    assert settle_run(store, run, message="The task was marked failed.", now=7_000) == (below, nested, run)
    assert statuses(store, run, nested, below, done) == [*[RunStatus.KILLED] * 3, RunStatus.FINISHED]
    assert store.runs.get(below).tags[STATUS_MESSAGE_TAG] == "The task was marked failed."
    assert store.runs.get_info(run).end_time == 7_000
    assert settle_run(store, run, message="again") == ()


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
def test_a_pipeline_run_ends_as_its_orchestrator_says(store: Store, status: RunStatus) -> None:
    parent = opened(store, PIPELINE)
    running = opened(store, replace(PIPELINE, task="train"), parent)
    done = opened(store, replace(PIPELINE, task="prepare"), parent)
    store.runs.finish(done, RunStatus.FINISHED)
    assert settle_pipeline_run(store, PIPELINE, status, now=9_000) == (running, parent)
    assert statuses(store, parent, running, done) == [status, RunStatus.KILLED, RunStatus.FINISHED]
    assert store.runs.get_info(parent).end_time == 9_000
    assert settle_pipeline_run(store, PIPELINE, status) == ()


def test_a_pipeline_run_that_ran_again_ends_again(store: Store) -> None:
    parent = opened(store, PIPELINE)
    settle_pipeline_run(store, PIPELINE, RunStatus.KILLED, message="marked failed by hand")
    assert settle_pipeline_run(store, PIPELINE, RunStatus.FINISHED, only_running=True) == ()
    assert settle_pipeline_run(store, PIPELINE, RunStatus.FINISHED) == (parent,)
    assert statuses(store, parent) == [RunStatus.FINISHED]


def test_a_pipeline_run_without_a_run_is_no_news(store: Store) -> None:
    assert settle_pipeline_run(store, PIPELINE, RunStatus.FINISHED) == ()
    assert store.runs.find_by_context(PIPELINE) is None


def test_only_the_run_of_a_pipeline_run_is_closed(store: Store) -> None:
    parent = store.runs.open("0", context=RunContext("prefect", "retraining", "monday"))
    child = store.runs.open("0", parent_run_id=parent.info.run_id)
    work = RunContext("prefect", "retraining", "monday")
    assert close_pipeline_run(store, work, RunStatus.FINISHED, message="it is Rejected") == (parent.info.run_id,)
    assert close_pipeline_run(store, work, RunStatus.FINISHED) == ()
    assert close_pipeline_run(store, RunContext("prefect", "retraining", "tuesday"), RunStatus.FINISHED) == ()
    closed = store.runs.get(parent.info.run_id)
    assert (closed.info.status, closed.tags[STATUS_MESSAGE_TAG]) == ("FINISHED", "it is Rejected")
    assert store.runs.get_info(child.info.run_id).status == "RUNNING"
