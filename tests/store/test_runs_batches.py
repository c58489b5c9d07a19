"""Batches of metrics, params and tags: each as a whole or not at all, alone and in a group."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.store.entities import Metric, Param, RunContext, Tag
from headgate.store.errors import InvalidInput, NotFound, ParamChanged, RunNotActive
from headgate.store.run_batches import RunBatch
from headgate.store.store import Store


@pytest.fixture
def run_id(store: Store) -> str:
    return store.runs.open("0", name="n").info.run_id


def test_batch_writes_all_of_it(store: Store, run_id: str) -> None:
    for _ in range(2):  # a retry changes nothing
        store.runs.log_batch(
            run_id,
            metrics=[Metric("loss", 0.5, 1, 1), Metric("loss", 0.4, 2, 2), Metric("acc", 0.9, 2, 2)],
            params=[Param("a", "1"), Param("b", "2")],
            tags=[Tag("t", "1"), Tag("mlflow.runName", "renamed")],
        )

    run = store.runs.get(run_id)
    assert {key: point.value for key, point in run.metrics.items()} == {"loss": 0.4, "acc": 0.9}
    assert len(store.metrics.history(run_id, "loss").items) == 2
    assert run.params == {"a": "1", "b": "2"}
    assert run.tags == {"t": "1", "mlflow.runName": "renamed"}
    assert run.info.name == "renamed"


def test_empty_batch_still_asks_for_the_run(store: Store, run_id: str) -> None:
    store.runs.log_batch(run_id)

    with pytest.raises(NotFound):
        store.runs.log_batch("nothing")


def test_changed_param_leaves_nothing_of_the_batch(store: Store, run_id: str) -> None:
    store.params.log(run_id, {"a": "1"})
    before = store.runs.get(run_id)

    with pytest.raises(ParamChanged):
        store.runs.log_batch(run_id, metrics=[Metric("m", 1.0, 1)], params={"new": "1", "a": "2"}, tags={"t": "1"})

    assert store.runs.get(run_id) == before


def test_unknown_model_leaves_nothing_of_the_batch(store: Store, run_id: str) -> None:
    before = store.runs.get(run_id)

    with pytest.raises(NotFound, match="no LoggedModel 'm-nothing'"):
        store.runs.log_batch(run_id, metrics=[Metric("m", 1.0, 1, model_id="m-nothing")], params={"a": "1"})

    assert store.runs.get(run_id) == before


@pytest.mark.parametrize(
    "batch",
    [
        {"metrics": [Metric("good", 1.0, 1), Metric("a,b", 1.0, 1)]},
        {"metrics": [Metric("good", 1.0, 1)], "params": {"a,b": "1"}},
        {"metrics": [Metric("good", 1.0, 1)], "params": [Param("a", "1"), Param("a", "1")]},
        {"metrics": [Metric("good", 1.0, 1)], "tags": {"a": "nul\0"}},
        {"metrics": [Metric("good", 1.0, 1, model_id="m-1", dataset_name="x" * 501)]},
    ],
)
def test_invalid_value_leaves_nothing_of_the_batch(sqlite_store: Store, batch: dict[str, object]) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput):
        sqlite_store.runs.log_batch(run_id, **batch)  # type: ignore[arg-type]

    assert sqlite_store.metrics.latest(run_id) == {}


def test_metric_of_a_model_is_recorded_on_run_and_model_with_its_dataset(store: Store, run_id: str) -> None:
    model_id = store.logged_models.create("0", name="model", now=1).model_id
    point = Metric("recall", 0.97, 5, 1, model_id=model_id, dataset_name="holdout", dataset_digest="abc")

    for _ in range(2):
        store.runs.log_batch(run_id, metrics=[point, Metric("loss", 0.1, 5, 1)])

    assert store.metrics.latest(run_id)["recall"].value == 0.97
    (found,) = store.logged_models.get(model_id).metrics
    assert (found.key, found.value, found.timestamp, found.step) == ("recall", 0.97, 5, 1)
    assert (found.run_id, found.model_id) == (run_id, model_id)
    assert (found.dataset_name, found.dataset_digest) == ("holdout", "abc")


def test_group_writes_good_batches_and_answers_each(store: Store, run_id: str) -> None:
    other = store.runs.open("0").info.run_id
    model_id = store.logged_models.create("0", name="model", now=1).model_id
    context = RunContext(pipeline_run_id="p")
    old, new = (store.runs.open("0", context=context).info.run_id for _ in range(2))
    store.params.log(other, {"fixed": "1"})

    answers = store.runs.log_batches(
        [
            RunBatch.of(run_id, metrics=[Metric("m", 1.0, 1, 1)], params={"a": "1"}),
            RunBatch.of("nothing", metrics=[Metric("m", 1.0, 1)]),
            RunBatch.of(other, metrics=[Metric("m", 9.0, 9, 9)], params={"fixed": "2"}),
            RunBatch.of(run_id, metrics=[Metric("m", 2.0, 2, 2), Metric("k", 1.0, 1)], params={"a": "1"}),
            RunBatch.of(run_id, params={"a": "changed", "b": "1"}),
            RunBatch.of(old, metrics=[Metric("m", 1.0, 1)]),
            RunBatch.of(new, metrics=[Metric("m", 1.0, 1, model_id=model_id)], tags={"t": "1"}),
            RunBatch.of(other, metrics=[Metric("m", 1.0, 1, model_id="m-nothing")]),
            RunBatch.of(other, tags={"t": "2"}),
        ]
    )

    assert [type(answer) for answer in answers] == [
        type(None),
        NotFound,
        ParamChanged,
        type(None),
        ParamChanged,
        RunNotActive,
        type(None),
        NotFound,
        type(None),
    ]
    run = store.runs.get(run_id)
    assert run.params == {"a": "1"}
    assert {key: point.value for key, point in run.metrics.items()} == {"m": 2.0, "k": 1.0}
    assert len(store.metrics.history(run_id, "m").items) == 2
    untouched = store.runs.get(other)
    assert (untouched.metrics, untouched.params, untouched.tags["t"]) == ({}, {"fixed": "1"}, "2")
    assert store.metrics.latest(old) == {}
    assert len(store.logged_models.get(model_id).metrics) == 1
    assert store.runs.log_batches([]) == ()


def test_writers_of_the_same_runs_in_any_order_lose_nothing(store: Store) -> None:
    ids = [store.runs.open("0").info.run_id for _ in range(3)]

    def write(writer: int) -> None:
        for round_ in range(6):
            order = ids if writer % 2 else ids[::-1]
            step = writer * 100 + round_
            answers = store.runs.log_batches(
                [
                    RunBatch.of(
                        run_id,
                        metrics=[Metric("m", float(step), step, step), Metric(f"m{writer}", 1.0, step, step)],
                        params={f"p{writer}": "1"},
                        tags={"last": str(writer)},
                    )
                    for run_id in order
                ]
            )
            assert answers == (None, None, None)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))

    for run_id in ids:
        assert len(store.metrics.history(run_id, "m").items) == 36
        assert store.metrics.latest(run_id)["m"].step == 505
        assert len(store.params.get(run_id)) == 6
