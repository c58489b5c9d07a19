"""Runs: opening, reading, changing and ending them, on every database."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from headgate.store.entities import (
    Dataset,
    DatasetInput,
    LifecycleStage,
    Metric,
    ModelInput,
    ModelOutput,
    Run,
    RunContext,
    RunStatus,
)
from headgate.store.errors import InvalidInput, NotFound, RunNotActive
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.store import Store


def test_open_records_what_it_is_given(store: Store) -> None:
    experiment = store.experiments.create("screening")
    parent = store.runs.open(experiment.experiment_id)
    context = RunContext(
        origin="airflow", task="train", map_index=3, logical_date=10, data_interval_start=5, data_interval_end=10
    )

    run = store.runs.open(
        experiment.experiment_id,
        context=context,
        name="first",
        tags={"mlflow.source.name": "train.py"},
        params={"depth": "6"},
        user_id="ann",
        parent_run_id=parent.info.run_id,
        start_time=1234,
    )

    info = run.info
    assert len(info.run_id) == 32
    assert (info.name, info.status, info.start_time, info.end_time) == ("first", RunStatus.RUNNING, 1234, None)
    assert info.artifact_uri == f"{experiment.artifact_location}/{info.run_id}/artifacts"
    assert (info.user_id, info.parent_run_id, info.experiment_id) == ("ann", parent.info.run_id, "1")
    assert info.context == RunContext("airflow", None, None, "train", 3, 1, 10, 5, 10)
    assert run.params == {"depth": "6"}
    assert run.tags == {
        "mlflow.source.name": "train.py",
        "mlflow.runName": "first",
        "mlflow.parentRunId": parent.info.run_id,
    }
    assert store.runs.get(info.run_id) == run
    assert pickle.loads(pickle.dumps(run)) == run


def test_open_names_runs_that_nobody_named(sqlite_store: Store) -> None:
    names = {sqlite_store.runs.open("0").info.name for _ in range(20)}

    assert len(names) > 15
    for name in names:
        adjective, animal, number = name.split("-")
        assert adjective.isalpha()
        assert animal.isalpha()
        assert 0 <= int(number) < 1000


def test_open_takes_attributes_from_mlflow_tags(store: Store) -> None:
    parent = store.runs.open("0").info.run_id

    run = store.runs.open("0", tags={"mlflow.runName": "n", "mlflow.user": "u", "mlflow.parentRunId": parent})

    assert (run.info.name, run.info.user_id, run.info.parent_run_id) == ("n", "u", parent)
    assert store.runs.get(run.info.run_id) == run


def test_open_refuses_a_name_that_differs_from_the_tag(sqlite_store: Store) -> None:
    with pytest.raises(InvalidInput, match="with different values"):
        sqlite_store.runs.open("0", name="a", tags={"mlflow.runName": "b"})

    assert sqlite_store.runs.open("0", name="a", tags={"mlflow.runName": "a"}).info.name == "a"


def test_anonymous_contexts_make_a_run_each_time(store: Store) -> None:
    first, second = store.runs.open("0"), store.runs.open("0")

    assert first.info.run_id != second.info.run_id
    assert (first.info.superseded_by, second.info.previous_attempt_id) == (None, None)


def test_open_with_a_run_id_runs_twice(store: Store) -> None:
    other = store.experiments.create("other").experiment_id

    first = store.runs.open("0", run_id="mine", params={"a": "1"}, start_time=7)
    second = store.runs.open("0", run_id="mine", params={"a": "1", "b": "2"}, tags={"t": "1"}, start_time=9)

    assert second.info == first.info
    assert (second.params, second.tags["t"]) == ({"a": "1", "b": "2"}, "1")
    with pytest.raises(InvalidInput, match="in experiment 0"):
        store.runs.open(other, run_id="mine")


def test_open_needs_an_experiment_and_an_existing_parent(store: Store) -> None:
    with pytest.raises(NotFound, match="no experiment 77"):
        store.runs.open("77")
    with pytest.raises(NotFound, match="to be the parent"):
        store.runs.open("0", parent_run_id="nobody")


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "x" * 251},
        {"tags": {"mlflow.runName": "x" * 251}},
        {"user_id": "x" * 257},
        {"tags": {"mlflow.user": "x" * 257}},
        {"run_id": "a/b"},
        {"run_id": "x" * 37},
        {"start_time": -1},
        {"start_time": 1.5},
        {"params": {"a,b": "1"}},
        {"tags": {"a": "nul\0"}},
        {"lease_owner": "x" * 65},
        {"lease_owner": "me", "host": "x" * 256},
        {"context": RunContext(origin="x" * 33)},
        {"context": RunContext(pipeline="x" * 251)},
        {"context": RunContext(pipeline_run_id="x" * 251)},
        {"context": RunContext(task="nul\0")},
        {"context": RunContext(map_index=-2)},
        {"context": RunContext(map_index=2**31)},
        {"context": RunContext(attempt=0)},
        {"context": RunContext(logical_date=-1)},
    ],
)
def test_open_refuses_what_no_column_holds(sqlite_store: Store, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as raised:
        sqlite_store.runs.open("0", **arguments)  # type: ignore[arg-type]

    assert raised.value.remedy
    assert sqlite_store.experiments.get("0")
    assert sqlite_store.runs.get_many(["mine"]) == ()


def test_longest_values_fit_their_columns(store: Store) -> None:
    context = RunContext("ü" * 32, "ü" * 250, "ü" * 250, "ü" * 250, 2**31 - 1, 2**31 - 1, 2**63 - 1)

    run = store.runs.open(
        "0",
        context=context,
        name="😀" * 250,
        user_id="😀" * 256,
        params={"p": "😀" * 6000},
        tags={"t": "😀" * 8000},
        run_id="r" * 36,
        lease_owner="o" * 64,
        host="h" * 255,
        pid=2**31,
    )

    assert store.runs.get("r" * 36) == run


def test_get_reads_everything_of_a_run(store: Store) -> None:
    model = store.logged_models.create("0", name="model", now=1)
    run_id = store.runs.open("0").info.run_id
    store.runs.log_batch(run_id, metrics=[Metric("loss", 0.5, 1, 1), Metric("loss", 0.4, 2, 2)], params={"a": "1"})
    store.datasets.log_inputs(run_id, [DatasetInput(Dataset("train", "d1"))], [ModelInput(model.model_id)])
    store.datasets.log_outputs(run_id, [ModelOutput(model.model_id, 2)])

    run = store.runs.get(run_id)

    assert run.metrics == {"loss": Metric("loss", 0.4, 2, 2, run_id=run_id)}
    assert run.params == {"a": "1"}
    assert [item.dataset.name for item in run.dataset_inputs] == ["train"]
    assert run.model_inputs == (ModelInput(model.model_id),)
    assert run.model_outputs == (ModelOutput(model.model_id, 2),)


def test_unknown_runs_are_not_found(store: Store) -> None:
    for call in (
        store.runs.get,
        store.runs.get_info,
        store.runs.update,
        store.runs.delete,
        store.runs.restore,
        lambda run_id: store.runs.finish(run_id, RunStatus.FINISHED),
        lambda run_id: store.runs.log_batch(run_id, tags={"a": "b"}),
    ):
        with pytest.raises(NotFound, match="no run 'nothing'") as raised:
            call("nothing")
        assert (raised.value.kind, raised.value.key) == ("run", "nothing")


def test_get_many_keeps_the_order_and_takes_any_number(store: Store) -> None:
    ids = [store.runs.open("0", params={"n": str(n)}).info.run_id for n in range(5)]
    strangers = [f"{n:032x}" for n in range(70_000)]

    runs = store.runs.get_many([ids[3], *strangers, ids[0]])

    assert [run.params["n"] for run in runs] == ["3", "0"]
    assert store.runs.get_many([]) == ()


def test_reading_many_runs_takes_as_many_queries_as_one(store: Store) -> None:
    ids = [store.runs.open("0").info.run_id for _ in range(6)]
    for run_id in ids:
        store.runs.log_batch(run_id, metrics=[Metric("m", 1.0, 1)], params={"a": "1"}, tags={"t": "1"})
        store.datasets.log_inputs(run_id, [DatasetInput(Dataset("d", run_id), {"k": "v"})])

    with counted_queries(store) as one:
        store.runs.get_many(ids[:1])
    with counted_queries(store) as six:
        store.runs.get_many(ids)

    assert len(one) == len(six) <= 8


def test_update_changes_what_is_given(store: Store) -> None:
    run_id = store.runs.open("0", name="before", start_time=1).info.run_id

    renamed = store.runs.update(run_id, name="after")
    assert (renamed.name, renamed.status, renamed.end_time) == ("after", RunStatus.RUNNING, None)
    assert store.tags.get(run_id)["mlflow.runName"] == "after"

    for _ in range(2):
        ended = store.runs.update(run_id, status=RunStatus.FINISHED, end_time=9)
        assert (ended.name, ended.status, ended.end_time) == ("after", RunStatus.FINISHED, 9)

    assert store.runs.update(run_id) == ended == store.runs.get_info(run_id)
    resumed = store.runs.update(run_id, status=RunStatus.RUNNING)
    assert (resumed.status, resumed.end_time) == (RunStatus.RUNNING, 9)


def test_update_refuses_what_no_column_holds(sqlite_store: Store) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    for arguments in ({"name": "x" * 251}, {"end_time": -1}, {"end_time": "now"}, {"status": "DONE"}):
        with pytest.raises(InvalidInput):
            sqlite_store.runs.update(run_id, **{"status": RunStatus.FAILED, **arguments})  # type: ignore[arg-type]

    assert sqlite_store.runs.get_info(run_id).status is RunStatus.RUNNING


def test_finish_ends_a_run_once(store: Store) -> None:
    run_id = store.runs.open("0", lease_owner="me").info.run_id

    first = store.runs.finish(run_id, RunStatus.FAILED, end_time=5, message="exit code 1")
    second = store.runs.finish(run_id, RunStatus.FAILED, end_time=6, message="again")

    assert (first.status, first.end_time) == (RunStatus.FAILED, 5)
    assert second == first == store.runs.get_info(run_id)
    assert store.tags.get(run_id)[STATUS_MESSAGE_TAG] == "exit code 1"
    assert store.leases.get(run_id) is None


def test_finish_corrects_what_a_script_said_of_itself(store: Store) -> None:
    run_id = store.runs.open("0").info.run_id
    store.runs.finish(run_id, RunStatus.FINISHED, end_time=5)

    assert store.runs.finish(run_id, RunStatus.FAILED, end_time=6).status is RunStatus.FAILED


def test_killed_run_never_ends_green(store: Store) -> None:
    run_id = store.runs.open("0").info.run_id
    store.runs.finish(run_id, RunStatus.KILLED, end_time=5)

    for status in (RunStatus.FINISHED, RunStatus.FAILED):
        with pytest.raises(RunNotActive, match="was killed"):
            store.runs.finish(run_id, status)

    assert store.runs.finish(run_id, RunStatus.KILLED, end_time=6).end_time == 5


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.SCHEDULED])
def test_finish_needs_an_end(sqlite_store: Store, status: RunStatus) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput, match="can't end as"):
        sqlite_store.runs.finish(run_id, status)


def test_deleted_run_is_read_but_not_written(store: Store) -> None:
    run_id = store.runs.open("0").info.run_id

    store.runs.delete(run_id, now=9)
    store.runs.delete(run_id, now=10)

    assert store.runs.get_info(run_id).lifecycle_stage is LifecycleStage.DELETED
    for write in (
        lambda: store.runs.update(run_id, name="x"),
        lambda: store.runs.finish(run_id, RunStatus.FINISHED),
        lambda: store.runs.log_batch(run_id, params={"a": "1"}),
        lambda: store.runs.open("0", run_id=run_id),
    ):
        with pytest.raises(RunNotActive, match="is deleted"):
            write()

    store.runs.restore(run_id)
    store.runs.restore(run_id)

    store.runs.log_batch(run_id, params={"a": "1"})
    assert store.runs.get(run_id).params == {"a": "1"}


def test_children_by_start_time(store: Store) -> None:
    parent = store.runs.open("0").info.run_id
    late = store.runs.open("0", parent_run_id=parent, start_time=20)
    early = store.runs.open("0", parent_run_id=parent, start_time=10)
    gone = store.runs.open("0", parent_run_id=parent, start_time=5)
    store.runs.delete(gone.info.run_id)

    assert store.runs.children(parent) == (early.info, late.info)
    assert store.runs.children(early.info.run_id) == ()


def test_children_are_newest_attempts_unless_all_are_asked_for(store: Store) -> None:
    parent = store.runs.open("0").info.run_id
    context = RunContext(pipeline_run_id="p", task="train")
    first = store.runs.open("0", context=context, parent_run_id=parent)
    second = store.runs.open("0", context=context, parent_run_id=parent)

    assert [info.run_id for info in store.runs.children(parent)] == [second.info.run_id]
    assert {info.run_id for info in store.runs.children(parent, all_attempts=True)} == {
        first.info.run_id,
        second.info.run_id,
    }


def test_opened_run_equals_the_run_that_is_read(store: Store) -> None:
    opened: list[Run] = [
        store.runs.open("0"),
        store.runs.open("0", context=RunContext(pipeline_run_id="p", task="t", attempt=4)),
        store.runs.open("0", context=RunContext(pipeline_run_id="p", task="t"), status=RunStatus.SCHEDULED),
    ]

    read = store.runs.get_many([run.info.run_id for run in opened])

    assert read[0] == opened[0]
    assert read[1].info.superseded_by == opened[2].info.run_id
    assert read[2] == opened[2]


@contextmanager
def counted_queries(store: Store) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(store.database.engine, "before_cursor_execute", note)
