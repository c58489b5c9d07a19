"""Runs by pipeline, pipeline run and task, on each database; the number of statements does not grow with the runs."""

from __future__ import annotations

import pytest

from headgate.store.entities import Metric, RunContext, RunStatus
from headgate.store.store import Store
from tests.store.lineage_world import counted_queries, run_pipeline

NOW = 1_700_000_000_000


def open_run(store: Store, pipeline: str, pipeline_run: str, task: str | None, at: int = 0, **options: int) -> str:
    context = RunContext("airflow", pipeline, pipeline_run, task, options.pop("map_index", -1), **options)
    run = store.runs.open("0", context=context, name=task or pipeline, now=NOW + at)
    return run.info.run_id


def test_a_pipeline_run_has_its_parent_and_the_newest_attempts(store: Store) -> None:
    parent = open_run(store, "train", "r1", None)
    prepare = open_run(store, "train", "r1", "prepare", 10)
    open_run(store, "train", "r1", "fit", 20, map_index=0, attempt=1)
    fit = open_run(store, "train", "r1", "fit", 30, map_index=0, attempt=2)
    other = open_run(store, "train", "r1", "fit", 40, map_index=1, attempt=1)
    deleted = open_run(store, "train", "r1", "debug", 50)
    store.runs.delete(deleted)
    open_run(store, "train", "r2", "prepare")
    open_run(store, "score", "r1", "prepare")
    store.metrics.log(fit, [Metric("f1", 0.9, timestamp=NOW)])

    found = store.pipeline_runs.get("airflow", "train", "r1")

    assert found.parent is not None
    assert found.parent.info.run_id == parent
    assert [run.info.run_id for run in found.runs] == [prepare, fit, other]
    assert found.runs[1].metrics["f1"].value == 0.9
    assert not found.truncated
    assert store.pipeline_runs.get("prefect", "train", "r1").runs == ()


@pytest.mark.parametrize("with_parent", [True, False])
def test_a_limit_leaves_out_runs_and_says_so(store: Store, with_parent: bool) -> None:
    if with_parent:
        open_run(store, "train", "r1", None)
    ids = [open_run(store, "train", "r1", f"t{number}", number + 1) for number in range(4)]

    for limit, cut in ((3, True), (4, False)):
        found = store.pipeline_runs.get("airflow", "train", "r1", limit=limit)
        assert [run.info.run_id for run in found.runs] == ids[:limit]
        assert found.truncated is cut
        assert (found.parent is not None) is with_parent


def test_the_statements_of_a_pipeline_run_do_not_grow_with_its_runs(sqlite_store: Store) -> None:
    counts = []
    for number in (2, 30):
        for index in range(number):
            open_run(sqlite_store, "train", f"r{number}", "fit", index, map_index=index)
        with counted_queries(sqlite_store) as statements:
            sqlite_store.pipeline_runs.get("airflow", "train", f"r{number}")
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_the_newest_pipeline_runs_come_first_with_the_states_of_their_tasks(store: Store) -> None:
    first = open_run(store, "train", "r1", None, 0)
    for task, status in (("prepare", RunStatus.FINISHED), ("fit", RunStatus.FAILED)):
        store.runs.finish(open_run(store, "train", "r1", task, 1), status)
    store.runs.finish(first, RunStatus.FAILED)
    open_run(store, "train", "r2", "prepare", 100)
    open_run(store, "score", "r9", None, 200)

    second, oldest = store.pipeline_runs.newest("airflow", "train")

    assert (second.pipeline_run_id, second.parent, second.start_time) == ("r2", None, NOW + 100)
    assert dict(second.counts) == {RunStatus.RUNNING: 1}
    assert oldest.parent is not None
    assert (oldest.parent.run_id, oldest.parent.status) == (first, RunStatus.FAILED)
    assert dict(oldest.counts) == {RunStatus.FINISHED: 1, RunStatus.FAILED: 1}
    assert [each.pipeline_run_id for each in store.pipeline_runs.newest("airflow", "train", limit=1)] == ["r2"]
    assert store.pipeline_runs.newest("airflow", "nothing") == ()


def test_the_newest_runs_of_a_task(store: Store) -> None:
    ids = [open_run(store, "train", f"r{number}", "fit", number) for number in range(3)]
    open_run(store, "train", "r0", "prepare", 9)

    found = store.pipeline_runs.newest_of_task("airflow", "train", "fit", limit=2)

    assert [run.info.run_id for run in found] == [ids[2], ids[1]]


def test_contexts_say_what_runs_and_models_belong_to(store: Store) -> None:
    pipeline = run_pipeline(store, promote=False)
    orphan = store.logged_models.create("0", name="by hand", now=NOW)

    runs, models = store.pipeline_runs.contexts(
        [pipeline.prepare.info.run_id, "0" * 32], [pipeline.model.model_id, orphan.model_id, "m-" + "0" * 32]
    )

    assert runs[pipeline.prepare.info.run_id].task == "prepare"
    assert models == {pipeline.model.model_id: pipeline.train.info.context, orphan.model_id: None}
    assert runs.keys() == {pipeline.prepare.info.run_id, pipeline.train.info.run_id}


def test_a_nested_run_belongs_to_the_work_of_the_run_around_it(store: Store) -> None:
    outer = open_run(store, "train", "r1", "fit")
    inner = store.runs.open("0", parent_run_id=outer, now=NOW).info.run_id
    innermost = store.runs.open("0", parent_run_id=inner, now=NOW).info.run_id
    alone = store.runs.open("0", now=NOW).info.run_id

    runs, _ = store.pipeline_runs.contexts([innermost, alone], ())

    assert (runs[innermost].pipeline, runs[innermost].task) == ("train", "fit")
    assert runs[alone].pipeline is None


def test_runs_nested_too_deep_or_in_a_circle_belong_to_nobody(sqlite_store: Store) -> None:
    run_id = open_run(sqlite_store, "train", "r1", "fit")
    for _ in range(20):
        run_id = sqlite_store.runs.open("0", parent_run_id=run_id, now=NOW).info.run_id
    one = sqlite_store.runs.open("0", now=NOW).info.run_id
    other = sqlite_store.runs.open("0", parent_run_id=one, now=NOW).info.run_id
    sqlite_store.tags.set(one, {"mlflow.parentRunId": other})

    runs, _ = sqlite_store.pipeline_runs.contexts([run_id, one, other], ())

    assert runs == {}
