"""Built-in evaluators on real models: figures by scikit-learn, on the model, with the digest of the data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from headgate.store import open_store
from headgate.store.entities import Outcome, RunContext
from headgate.store.errors import CorruptArtifact, InvalidInput, InvalidModel, NothingMeasured
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import (
    AllOf,
    Budget,
    Evaluator,
    Gate,
    Improvement,
    Signature,
    Threshold,
    decide_promotion,
    measure_champion,
    measure_model,
    promote,
    tracking,
)

NAME, TARGET = "tumor-screening", "@champion"


@pytest.fixture(scope="module")
def data() -> pandas.DataFrame:
    random = numpy.random.default_rng(7)
    table = pandas.DataFrame(random.normal(size=(400, 2)), columns=["radius", "texture"])
    table["site"] = random.choice(["north", "south", "a/b"], size=400)
    table["malignant"] = (table["radius"] + 0.3 * random.normal(size=400) > 0).astype(int)
    return table


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/headgate.db"
    monkeypatch.setenv("HEADGATE_STORE_URL", url)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path / "home"))
    with open_store(url, settings=Settings(home=tmp_path / "home")) as opened:
        yield opened


def logged(estimator: Any, inputs: pandas.DataFrame) -> str:
    with tracking.start_run():
        return str(tracking.log_model(estimator, name="model", input_example=inputs.head(3)).model_id)


@pytest.fixture
def model(store: Store, data: pandas.DataFrame) -> str:
    inputs = data[["radius", "texture"]]
    return logged(LogisticRegression().fit(inputs, data["malignant"]), inputs)


def test_a_classification_is_what_scikit_learn_says_of_all_rows_and_of_each_slice(
    store: Store, data: pandas.DataFrame, model: str, tmp_path: Path
) -> None:
    data.to_csv(tmp_path / "holdout.csv", index=False)
    evaluator = Evaluator("classification", "malignant", slices="site", rows=True, latency_calls=5)
    evaluation = measure_model(evaluator, tmp_path / "holdout.csv", model=model, store=store)
    found = {metric.key: metric for metric in evaluation.measurements}
    estimator = LogisticRegression().fit(data[["radius", "texture"]], data["malignant"])
    said = estimator.predict(data[["radius", "texture"]])
    assert found["f1"].value == pytest.approx(f1_score(data["malignant"], said))
    scores = estimator.predict_proba(data[["radius", "texture"]])[:, 1]
    assert found["roc_auc"].value == pytest.approx(roc_auc_score(data["malignant"], scores))
    north = data["site"] == "north"
    assert found["recall/site:north"].value == pytest.approx(recall_score(data["malignant"][north], said[north]))
    assert "recall/site:a_b" in found
    assert found["rows"].value == 400
    assert 0 < found["latency_p50_ms"].value <= found["latency_p95_ms"].value
    assert found["model_size_bytes"].value > 100
    (item,) = store.runs.get(evaluation.run.run_id).dataset_inputs
    assert {metric.dataset_digest for metric in evaluation.measurements} == {item.dataset.digest}
    assert item.dataset.name == "holdout"
    assert json.loads(item.dataset.profile or "")["num_rows"] == 400
    assert "radius" in str(item.dataset.schema)


def test_a_gate_compares_what_was_measured_with_noise_in_mind(store: Store, data: pandas.DataFrame, model: str) -> None:
    evaluator = Evaluator("classification", "malignant", slices=["site"], rows=True, latency_calls=0)
    gate = Gate(
        "screening",
        AllOf(
            [
                Threshold("recall", at_least=0.5, slices="site"),
                Improvement("f1", test="bootstrap"),
                Improvement("accuracy", by=0, test="mcnemar"),
                Improvement("recall", by=-0.5, slices="site"),
                Signature(),
                Budget("model_size", at_most="1MB"),
            ]
        ),
        when_no_champion="pass",
    )

    def measured(model_id: str) -> Any:
        return measure_model(evaluator, data, dataset="holdout", model=model_id, store=store)

    inputs = data[["radius", "texture"]]
    alarmed = (data["malignant"] == 1) | (data["texture"] > 0)  # finds every tumour, and many that are none
    weak = logged(LogisticRegression().fit(inputs, alarmed.astype(int)), inputs)
    measured(weak)
    first = decide_promotion(store, gate, NAME, TARGET, weak)
    assert first.outcome is Outcome.PASS
    promote(store, first.verdict_id, actor="ci")

    candidate = measured(model)
    before = len(store.logged_models.metrics(weak))
    champion = measure_champion(
        evaluator, data, dataset="holdout", candidate=candidate, model_name=NAME, target=TARGET, store=store
    )
    assert champion is not None
    assert champion.model_id == weak
    assert len(store.logged_models.metrics(weak)) == before
    verdict = decide_promotion(store, gate, NAME, TARGET, model)
    assert [check.message for check in verdict.checks if check.outcome is not Outcome.PASS] == []
    again = decide_promotion(store, gate, NAME, TARGET, weak, shadow=True)
    assert (again.shadow, again.outcome) == (True, Outcome.ERROR)


def test_the_champion_is_measured_once_per_data_and_evaluator(store: Store, data: pandas.DataFrame, model: str) -> None:
    evaluator = Evaluator("classification", "malignant", latency_calls=0)
    once = measure_model(evaluator, data, dataset="holdout", model=model, store=store, reuse=True)
    assert measure_model(evaluator, data, dataset="holdout", model=model, store=store, reuse=True) == once
    others = (
        (evaluator, data.head(200)),
        (Evaluator("classification", "malignant", latency_calls=0, rows=True), data),
    )
    for other, table in others:
        measured = measure_model(other, table, dataset="holdout", model=model, store=store, reuse=True)
        assert measured.run.run_id != once.run.run_id


def test_a_model_whose_files_were_changed_since_is_not_measured(
    store: Store, data: pandas.DataFrame, model: str
) -> None:
    inputs = data[["radius", "texture"]]
    other = logged(LogisticRegression().fit(inputs, 1 - data["malignant"]), inputs)
    places = (store.artifacts(store.logged_models.get(each).artifact_location) for each in (model, other))
    mine, theirs = (place.local_path("") for place in places)
    assert mine is not None
    assert theirs is not None
    (mine / "model.pkl").write_bytes((theirs / "model.pkl").read_bytes())
    with pytest.raises(CorruptArtifact, match="not those that were stored"):
        measure_model(Evaluator("classification", "malignant"), data, dataset="holdout", model=model, store=store)
    assert store.logged_models.metrics(model) == ()


@pytest.mark.parametrize("columns", [{"prediction": "mine"}, {"prediction": "mine", "score": "odds"}])
def test_a_champion_is_never_measured_by_the_candidates_predictions(
    store: Store, data: pandas.DataFrame, columns: dict[str, str]
) -> None:
    gate = Gate("better", AllOf([Improvement("accuracy", by=0)]), when_no_champion="pass")
    with tracking.start_run():
        old, new = (str(tracking.create_external_model(name).model_id) for name in ("old", "new"))
    truth = data["malignant"]
    table = data.assign(mine=0, odds=0.0, theirs=truth)
    store.registry.create_model(NAME, now=0)
    store.registry.set_alias(NAME, "champion", store.registry.create_version(NAME, model_id=old, now=0).version)
    evaluator = Evaluator("classification", "malignant", **columns)
    candidate = measure_model(evaluator, table, dataset="holdout", model=new, store=store)

    def champion(asked: Gate | None = gate) -> Any:
        return measure_champion(
            evaluator,
            table,
            dataset="holdout",
            candidate=candidate,
            model_name=NAME,
            target=TARGET,
            store=store,
            gate=asked,
        )

    for asked in (gate, None):
        with pytest.raises(InvalidInput, match=f"The column '.*' holds what {new} predicts: {old}"):
            champion(asked)
    assert store.logged_models.metrics(old) == ()
    theirs = Evaluator("classification", "malignant", prediction="theirs")
    measure_model(theirs, table, dataset="holdout", model=old, store=store)
    assert champion() is None
    assert decide_promotion(store, gate, NAME, TARGET, new).outcome is Outcome.REJECT


def test_the_same_attempt_again_returns_what_it_measured(store: Store, data: pandas.DataFrame, model: str) -> None:
    evaluator = Evaluator("classification", "malignant", latency_calls=0)
    context = RunContext("airflow", "dag", "run-1", "measure", attempt=1)
    first, second = (
        measure_model(evaluator, data, dataset="holdout", model=model, store=store, context=context) for _ in range(2)
    )
    assert first == second


def test_a_regression_and_a_forecast_have_their_errors(store: Store) -> None:
    week = numpy.arange(60.0)
    table = pandas.DataFrame({"week": week, "sales": 10 + week % 4}).sample(frac=1, random_state=1)
    model = logged(LinearRegression().fit(table[["week"]], table["sales"]), table[["week"]])
    said = {
        metric.key: metric.value
        for metric in measure_model(
            Evaluator("forecasting", "sales", order="week", season=1, features=["week"], latency_calls=0),
            table,
            dataset="sales",
            model=model,
            store=store,
        ).measurements
    }
    assert said["rmse"] == pytest.approx(said["mse"] ** 0.5)
    assert said["mase"] == pytest.approx(said["mase"])
    naive = numpy.abs(numpy.diff(10 + week % 4)).mean()
    line = LinearRegression().fit(table[["week"]], table["sales"])
    apart = numpy.abs(10 + week % 4 - line.predict(pandas.DataFrame({"week": week})))
    assert said["mase"] == pytest.approx(apart[1:].mean() / naive)


def test_a_ranking_of_predictions_made_before_needs_no_model_files(store: Store) -> None:
    with tracking.start_run():
        external = str(tracking.create_external_model("ranker").model_id)
    table = pandas.DataFrame(
        {"query": [1, 1, 1, 2, 2], "relevant": [0, 1, 0, 1, 0], "score": [0.9, 0.8, 0.1, 0.7, 0.2]}
    )
    evaluator = Evaluator("ranking", "relevant", prediction="score", group="query", k=1)
    measured = measure_model(evaluator, table, dataset="queries", model=external, store=store).measurements
    said = {metric.key: metric.value for metric in measured}
    assert (said["mrr"], said["map"], said["precision_at_1"], said["recall_at_1"]) == (0.75, 0.75, 0.5, 0.5)
    assert "model_size_bytes" not in said


@pytest.mark.parametrize(
    ("evaluator", "error", "said"),
    [
        ({"kind": "classification", "target": "no"}, InvalidInput, "no column 'no'"),
        ({"kind": "classification", "target": "malignant", "slices": "radius"}, InvalidInput, "slices are the most"),
        ({"kind": "classification", "target": "malignant", "positive": 7}, InvalidInput, "positive label 7"),
        ({"kind": "regression", "target": "site"}, InvalidInput, "does not hold numbers"),
        ({"kind": "classification", "target": "malignant", "features": ["site"]}, InvalidModel, "can't predict"),
        ({"kind": "ranking", "target": "malignant"}, InvalidInput, "ranked together"),
        ({"kind": "guessing", "target": "malignant"}, InvalidInput, "no evaluator 'guessing'"),
        ({"kind": "regression"}, InvalidInput, "needs a target"),
        ({"kind": "regression", "target": "a", "depth": 3}, InvalidInput, "has no depth"),
    ],
)
def test_what_can_not_be_measured_is_an_error_and_leaves_no_figure(
    store: Store, data: pandas.DataFrame, model: str, evaluator: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        measure_model(evaluator, data, dataset="holdout", model=model, store=store)
    assert store.logged_models.metrics(model) == ()


def test_data_without_a_defined_figure_measure_nothing(store: Store) -> None:
    with tracking.start_run():
        external = str(tracking.create_external_model("ranker").model_id)
    table = pandas.DataFrame({"query": [1, 1], "relevant": [0, 0], "score": [0.9, 0.8]})
    evaluator = Evaluator("ranking", "relevant", prediction="score", group="query")
    with pytest.raises(NothingMeasured):
        measure_model(evaluator, table, dataset="queries", model=external, store=store)
