"""``evaluate_model`` in real flows: what it measured, where it is shown, and what is not measured twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow

from headgate.prefect import evaluate_model, measure_model, promote_model, run_project
from headgate.prefect.artifacts.publish import artifact_key, newest_artifacts
from headgate.store import Store
from headgate.store.errors import InvalidInput
from tests.plugin.prefect.projects import GATE, measured, new_name
from tests.screening import SCREENING, write_into

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_into(tmp_path / "screening", SCREENING)


def test_what_was_measured_is_on_the_model_and_on_the_pages(store: Store, project: Path) -> None:
    name = new_name()

    @flow(name=name)
    def nightly():
        train = run_project(project, "train", {"quality": 0.9, "depth": 2})
        return evaluate_model(project, parameters={"digest": "d1"}, model=train)

    measured = nightly()
    (point,) = measured.measurements
    assert (point.key, point.value, point.dataset_digest) == ("recall", pytest.approx(0.92), "d1")
    assert store.runs.get(measured.run.run_id).info.context.task == "evaluate_model"
    (shown,) = newest_artifacts(artifact_key("run", name, "evaluate_model"), 5)
    assert measured.run.run_id in str(shown.data)
    assert "| recall | 0.92 |" in str(shown.data)


def test_the_champion_is_not_measured_by_the_candidates_predictions(store: Store, tmp_path: Path) -> None:
    first, candidate = measured(store, 0.6), measured(store, 0.9)
    data = tmp_path / "predicted.csv"
    data.write_text("truth,said\n" + "1,1\n0,0\n" * 10)

    @flow
    def nightly():
        promote_model(first, gate=GATE, model_name="screening")
        before = store.logged_models.metrics(first)
        evaluator = {"kind": "classification", "target": "truth", "prediction": "said"}
        with pytest.raises(InvalidInput, match=f"'said' holds what {candidate} predicts: {first}"):
            measure_model(evaluator, data, model=candidate, gate=GATE, model_name="screening")
        assert store.logged_models.metrics(first) == before

    nightly()


@pytest.mark.parametrize(
    ("north", "south"),
    [
        ({"env_vars": {"SITE": "north"}}, {"env_vars": {"SITE": "south"}}),
        ({"dataset": {"name": "holdout", "digest": "d1"}}, {"dataset": {"name": "holdout", "digest": "d2"}}),
    ],
)
def test_calls_that_differ_get_results_of_their_own(
    store: Store, project: Path, north: dict[str, object], south: dict[str, object]
) -> None:
    first: list[str] = []

    @flow(retries=1)
    def nightly():
        train = run_project(project, "train", {"quality": 0.9, "depth": 2})
        asked = {"parameters": {"digest": "d1"}, "model": train}
        if not first:
            first.append(evaluate_model(project, **asked, **north).run.run_id)
            raise RuntimeError("the report failed")
        return [evaluate_model(project, **asked, **said).run.run_id for said in (south, north)]

    of_south, of_north = nightly()
    assert of_north == first[0]
    assert of_south != of_north
