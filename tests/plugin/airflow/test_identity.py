"""One run per DAG run, one child per try: found again after clears, in backfills, and without any date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk import DAG
from airflow.timetables.base import DataInterval
from airflow.utils.types import DagRunType

from headgate.airflow import RunProjectOperator
from headgate.airflow.identity import run_context, task_run
from headgate.store import RunContext, Store
from headgate.store.entities import RunInfo
from headgate.store.errors import RunNotActive
from tests.plugin.airflow.dag_runs import (
    DagRun,
    clear_dag_run,
    create_dag_run,
    delete_dag_run,
    finish_dag_run,
)

PROJECT = "../../environments/project"
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)

RunDag = Callable[..., DagRun]


def one_task(dag_id: str, schedule: str | None = None) -> DAG:
    with DAG(dag_id, schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        RunProjectOperator(task_id="train", project=PROJECT)
    return dag


def attempts(store: Store, dag: DAG, run_id: str) -> tuple[RunInfo, ...]:
    return store.runs.attempts(RunContext("airflow", dag.dag_id, run_id, "train"))


def parent(store: Store, dag: DAG, run_id: str) -> RunInfo:
    (found,) = store.runs.attempts(RunContext("airflow", dag.dag_id, run_id))
    return found


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def test_a_backfill_has_the_dates_of_what_it_fills(airflow_database: None, store: Store) -> None:
    dag = one_task("fills_back", "0 3 * * 1")
    interval = DataInterval(MONDAY - timedelta(days=7), MONDAY)
    create_dag_run(
        dag,
        "backfill__2026-01-05",
        run_type=DagRunType.BACKFILL_JOB,
        logical_date=MONDAY,
        data_interval=interval,
        run_after=MONDAY,
    )
    finish_dag_run(dag, "backfill__2026-01-05")
    (child,) = attempts(store, dag, "backfill__2026-01-05")
    for info in (child, parent(store, dag, "backfill__2026-01-05")):
        assert info.context.logical_date == ms(MONDAY)
        assert info.context.data_interval_start == ms(interval.start)
        assert info.context.data_interval_end == ms(interval.end)
    assert store.runs.get(str(child.parent_run_id)).tags["airflow.run_type"] == "backfill"


def test_without_a_logical_date_a_run_stands_for_the_moment_it_was_wanted_at(run_dag: RunDag, store: Store) -> None:
    dag = one_task("has_no_date")
    ran = run_dag(dag, logical_date=None, run_after=MONDAY)
    (child,) = attempts(store, dag, ran.run_id)
    assert child.context.logical_date == ms(MONDAY)
    assert (child.context.data_interval_start, child.context.data_interval_end) == (None, None)


def test_a_cleared_task_is_a_new_attempt_below_the_same_parent(run_dag: RunDag, store: Store) -> None:
    dag = one_task("cleared_alone")
    run_id = run_dag(dag).run_id
    before = parent(store, dag, run_id)
    clear_dag_run(dag, run_id)
    assert finish_dag_run(dag, run_id).states == {"train": "success"}
    first, second = attempts(store, dag, run_id)
    assert [(info.context.attempt, info.status) for info in (first, second)] == [(1, "FINISHED"), (2, "FINISHED")]
    assert (second.previous_attempt_id, first.superseded_by) == (first.run_id, second.run_id)
    after = parent(store, dag, run_id)
    assert (after.run_id, after.status) == (before.run_id, "FINISHED")
    assert (after.end_time or 0) > (before.end_time or 0)
    assert [child.run_id for child in store.runs.children(after.run_id)] == [second.run_id]


def test_a_dag_run_that_was_deleted_and_made_again_runs_again(airflow_database: None, store: Store) -> None:
    dag = one_task("made_again")
    for _ in range(2):
        create_dag_run(dag, "manual__again")
        assert finish_dag_run(dag, "manual__again").states == {"train": "success"}
        delete_dag_run(dag, "manual__again")
    first, second = attempts(store, dag, "manual__again")
    assert (first.context.attempt, second.context.attempt) == (1, 2)
    assert store.runs.get(second.run_id).tags["airflow.try_number"] == "1"
    assert parent(store, dag, "manual__again").status == "FINISHED"


def context(number: int, try_number: int = 1, **dag_run: Any) -> Any:
    """What of Airflow's context says which try this is; ids of version 7 grow with time."""
    instance = SimpleNamespace(
        dag_id="screening",
        run_id="manual__1",
        task_id="train",
        map_index=-1,
        try_number=try_number,
        id=UUID(int=(0x019A << 112) + number),
    )
    dates = {"logical_date": None, "run_after": MONDAY, "data_interval_start": None, "data_interval_end": None}
    return {"ti": instance, "dag_run": SimpleNamespace(run_type="manual", **{**dates, **dag_run})}


def opened(store: Store, which: Any) -> RunInfo:
    task = task_run(store, which)
    return store.runs.open("0", context=task.context, tags=task.tags, parent_run_id=task.parent_run_id).info


def test_the_same_try_finds_its_run_again(store: Store) -> None:
    assert opened(store, context(7)).run_id == opened(store, context(7)).run_id


def test_a_try_that_comes_after_a_later_one_is_refused(store: Store) -> None:
    later = opened(store, context(9, try_number=2))
    with pytest.raises(RunNotActive, match="comes too late") as caught:
        task_run(store, context(7, try_number=1))
    assert caught.value.run_id == later.run_id
    assert store.runs.get_info(later.run_id).status == "RUNNING"


def test_a_parent_that_was_closed_is_opened_again_by_the_next_task(store: Store) -> None:
    parent_run_id = task_run(store, context(1)).parent_run_id
    for status in ("FINISHED", "FAILED", "KILLED"):
        store.runs.update(parent_run_id, status=status)  # type: ignore[arg-type]
        assert task_run(store, context(2)).parent_run_id == parent_run_id
        assert store.runs.get_info(parent_run_id).status == "RUNNING"


def test_who_triggered_it_is_in_the_record(store: Store) -> None:
    parent_run_id = task_run(store, context(1, triggering_user_name="ada")).parent_run_id
    assert store.runs.get_info(parent_run_id).user_id == "airflow:screening (ada)"


def test_an_attempt_is_the_try_of_a_task() -> None:
    found = run_context(context(1, try_number=3, logical_date=MONDAY, data_interval_end=MONDAY))
    assert found == RunContext(
        "airflow", "screening", "manual__1", "train", -1, 3, logical_date=ms(MONDAY), data_interval_end=ms(MONDAY)
    )
