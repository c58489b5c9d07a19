"""Datasets by digest, and what runs take in and give out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.store.entities import Dataset, DatasetInput, ModelInput, ModelOutput
from headgate.store.errors import InvalidInput, NotFound, RunNotActive
from headgate.store.store import Store

TRAIN = Dataset("train", "0a1b", "local", '{"uri": "train.parquet"}', '{"columns": []}', '{"rows": 10}')


@pytest.fixture
def run_id(store: Store) -> str:
    return store.runs.open("0").info.run_id


@pytest.fixture
def model_id(store: Store) -> str:
    return store.logged_models.create("0", name="model", now=1).model_id


def test_inputs_are_read_back_with_their_tags(store: Store, run_id: str) -> None:
    store.datasets.log_inputs(
        run_id,
        [DatasetInput(TRAIN, {"mlflow.data.context": "training"}), DatasetInput(Dataset("holdout", "2c3d"))],
    )

    holdout, train = store.runs.get(run_id).dataset_inputs
    assert (holdout.dataset.name, holdout.dataset.digest, holdout.tags) == ("holdout", "2c3d", {})
    assert train.tags == {"mlflow.data.context": "training"}
    assert str(train.dataset.dataset_id).startswith("d-")
    assert store.datasets.get(str(train.dataset.dataset_id)) == train.dataset
    assert (train.dataset.source, train.dataset.schema, train.dataset.profile) == (
        TRAIN.source,
        TRAIN.schema,
        TRAIN.profile,
    )


def test_inputs_may_be_logged_twice(store: Store, run_id: str) -> None:
    store.datasets.log_inputs(run_id, [DatasetInput(TRAIN, {"a": "1"}), DatasetInput(TRAIN, {"a": "2"})])
    store.datasets.log_inputs(run_id, [DatasetInput(TRAIN, {"a": "3"}), DatasetInput(Dataset("other", "ff"))])

    other, train = store.runs.get(run_id).dataset_inputs
    assert train.tags == {"a": "1"}
    assert other.dataset.name == "other"


def test_one_dataset_of_two_runs_is_one(store: Store, run_id: str) -> None:
    second = store.runs.open("0").info.run_id
    for run in (run_id, second):
        store.datasets.log_inputs(run, [DatasetInput(TRAIN)])

    first_input, second_input = (store.runs.get(run).dataset_inputs[0].dataset for run in (run_id, second))

    assert first_input == second_input
    assert store.datasets.get_by_digest("0a1b") == (first_input,)


def test_datasets_of_experiments_are_found_by_digest(store: Store, run_id: str) -> None:
    other = store.experiments.create("other").experiment_id
    store.datasets.log_inputs(run_id, [DatasetInput(TRAIN), DatasetInput(Dataset("alias", "0a1b"))])
    store.datasets.log_inputs(store.runs.open(other).info.run_id, [DatasetInput(TRAIN)])

    assert len(store.datasets.get_by_digest("0a1b")) == 3
    assert [d.name for d in store.datasets.get_by_digest("0a1b", experiment_id="0")] == ["alias", "train"]
    assert len(store.datasets.get_by_digest("0a1b", name="train")) == 2
    assert store.datasets.get_by_digest("0A1B") == ()


def test_many_writers_of_one_dataset_agree(store: Store) -> None:
    ids = [store.runs.open("0").info.run_id for _ in range(5)]
    inputs = [DatasetInput(Dataset(f"part {n}", "ab")) for n in range(4)]

    with ThreadPoolExecutor(5) as pool:
        list(
            pool.map(
                lambda pair: store.datasets.log_inputs(pair[1], inputs[:: 1 if pair[0] % 2 else -1]), enumerate(ids)
            )
        )

    assert len(store.datasets.get_by_digest("ab")) == 4
    assert all(len(run.dataset_inputs) == 4 for run in store.runs.get_many(ids))


@pytest.mark.parametrize(
    "item",
    [
        DatasetInput(Dataset("", "d")),
        DatasetInput(Dataset("n", "")),
        DatasetInput(Dataset("x" * 501, "d")),
        DatasetInput(Dataset("n", "x" * 129)),
        DatasetInput(Dataset("n", "d", source_type="x" * 65)),
        DatasetInput(Dataset("n", "d", source="x" * 65_536)),
        DatasetInput(Dataset("n", "d", schema="x" * 1_048_576)),
        DatasetInput(Dataset("n", "d", profile="nul\0")),
        DatasetInput(Dataset("n", "d"), {"a,b": "1"}),
        DatasetInput(Dataset("n", "d"), {"a": "x" * 501}),
    ],
)
def test_impossible_datasets_are_refused(sqlite_store: Store, item: DatasetInput) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput):
        sqlite_store.datasets.log_inputs(run_id, [DatasetInput(TRAIN), item])

    assert sqlite_store.runs.get(run_id).dataset_inputs == ()


def test_largest_dataset_fits(store: Store, run_id: str) -> None:
    large = Dataset("ü" * 500, "x" * 128, "s" * 64, "ü" * 65_535, "ü" * 1_048_575, "ü" * 2_000_000)

    store.datasets.log_inputs(run_id, [DatasetInput(large, {"k" * 250: "ü" * 500})])

    (found,) = store.runs.get(run_id).dataset_inputs
    assert found.dataset.profile == large.profile
    assert found.tags == {"k" * 250: "ü" * 500}


def test_models_in_and_out(store: Store, run_id: str, model_id: str) -> None:
    second = store.logged_models.create("0", name="second", now=2).model_id

    for _ in range(2):
        store.datasets.log_inputs(run_id, models=[ModelInput(model_id)])
        store.datasets.log_outputs(run_id, [ModelOutput(second, 7), ModelOutput(model_id, 3)])
    store.datasets.log_outputs(run_id, [ModelOutput(model_id, 9)])

    run = store.runs.get(run_id)
    assert run.model_inputs == (ModelInput(model_id),)
    assert run.model_outputs == (ModelOutput(second, 7), ModelOutput(model_id, 9))


def test_unknown_models_leave_nothing(store: Store, run_id: str, model_id: str) -> None:
    with pytest.raises(NotFound, match="'m-nothing'"):
        store.datasets.log_inputs(run_id, [DatasetInput(TRAIN)], [ModelInput(model_id), ModelInput("m-nothing")])
    with pytest.raises(NotFound, match="'m-nothing'"):
        store.datasets.log_outputs(run_id, [ModelOutput(model_id), ModelOutput("m-nothing")])
    with pytest.raises(InvalidInput, match="step of model"):
        store.datasets.log_outputs(run_id, [ModelOutput(model_id, 2**63)])

    run = store.runs.get(run_id)
    assert (run.dataset_inputs, run.model_inputs, run.model_outputs) == ((), (), ())


def test_runs_that_take_no_inputs(store: Store, run_id: str, model_id: str) -> None:
    store.runs.delete(run_id)

    with pytest.raises(RunNotActive):
        store.datasets.log_inputs(run_id, [DatasetInput(TRAIN)])
    with pytest.raises(RunNotActive):
        store.datasets.log_outputs(run_id, [ModelOutput(model_id)])
    with pytest.raises(NotFound):
        store.datasets.log_inputs("nothing", [DatasetInput(TRAIN)])
    with pytest.raises(NotFound, match="no dataset 'd-1'"):
        store.datasets.get("d-1")
