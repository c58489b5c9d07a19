"""``mlflow.*`` inside of a tracked function: the real client, without any setting."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from headgate.store.entities import RunStatus
from headgate.store.store import Store
from headgate.tasks import tracked, tracking
from headgate.tasks.functions.tracked import Options, Place, call_tracked
from tests.tasks.functions.conftest import only_run, recorded, values

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about its own type hints
    import mlflow
    import mlflow.pyfunc
    import mlflow.sklearn

pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


@pytest.fixture(autouse=True)
def _mlflow_is_left_as_it_was(tmp_path: Path) -> Iterator[None]:
    yield
    assert mlflow.active_run() is None
    assert "MLFLOW_TRACKING_TOKEN" not in os.environ


def test_it_logs_to_the_run_of_the_function(store: Store, tmp_path: Path) -> None:
    @tracked
    def train(depth: int) -> dict[str, float]:
        mlflow.log_param("from_mlflow", depth)
        mlflow.log_metric("loss", 0.5, step=3)
        mlflow.set_tag("team", "a")
        mlflow.log_text("fine", "notes/report.txt")
        tracking.log_metric("from_headgate", 1)
        return {"f1": 0.9}

    train(6)
    run = only_run(store)
    assert (run.info.status, run.params) == (RunStatus.FINISHED, {"depth": "6", "from_mlflow": "6"})
    assert values(run) == {"loss": 0.5, "from_headgate": 1.0, "f1": 0.9}
    assert run.tags["team"] == "a"
    with store.artifacts(run.info.artifact_uri).open("notes/report.txt") as stream:
        assert stream.read() == b"fine"


def test_runs_that_it_starts_are_nested_and_end(store: Store) -> None:
    @tracked
    def sweep() -> None:
        with mlflow.start_run() as outer:
            assert mlflow.active_run() == outer
            with mlflow.start_run(run_name="first", nested=True):
                mlflow.log_metric("n", 1)
        mlflow.start_run(run_name="left open", nested=True)
        mlflow.log_metric("n", 2)

    sweep()
    by_name = {run.info.name: run for run in recorded(store)}
    assert set(by_name) == {"sweep", "first", "left open"}
    assert {run.info.status for run in by_name.values()} == {RunStatus.FINISHED}
    assert by_name["first"].info.parent_run_id == by_name["sweep"].info.run_id


def test_a_failure_ends_what_it_left_open_as_failed(store: Store) -> None:
    @tracked
    def breaks() -> None:
        mlflow.log_metric("n", 1)
        mlflow.start_run(run_name="left open", nested=True)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        breaks()
    assert {run.info.name: run.info.status for run in recorded(store)} == {
        "breaks": RunStatus.FAILED,
        "left open": RunStatus.FAILED,
    }


def test_a_model_that_mlflow_logged_is_the_runs_and_handed_on_by_its_name(store: Store) -> None:
    def train() -> dict[str, Any]:
        estimator = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        return {"model": mlflow.sklearn.log_model(estimator, name="clf", serialization_format="pickle")}

    done = call_tracked(train, (), {}, Options(), Place(store))
    (output,) = only_run(store).model_outputs
    assert store.logged_models.get(output.model_id).name == "clf"
    assert done.handed_on == {"model": f"models:/{output.model_id}"}


def test_a_server_chosen_in_code_is_out_of_the_way_and_put_back(store: Store, tmp_path: Path) -> None:
    chosen = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(chosen)
    try:

        @tracked
        def train() -> None:
            mlflow.log_metric("loss", 0.5)

        train()
        assert mlflow.get_tracking_uri() == chosen
        assert os.environ["MLFLOW_TRACKING_URI"] == chosen
    finally:
        mlflow.set_tracking_uri(None)  # as it was before anybody chose
    assert values(only_run(store)) == {"loss": 0.5}
    assert not (tmp_path / "mlflow.db").exists()


def test_calls_one_after_the_other_have_endpoints_of_their_own(store: Store) -> None:
    places = set()

    @tracked
    def train(n: int) -> None:
        places.add((mlflow.get_tracking_uri(), os.environ["MLFLOW_TRACKING_TOKEN"]))  # a port may come again
        mlflow.log_metric("n", n)

    for n in range(3):
        train(n)
    assert len(places) == 3
    assert [values(run) for run in recorded(store)] == [{"n": float(n)} for n in range(3)]


def test_a_function_that_does_not_call_it_starts_no_server(store: Store) -> None:
    threads: list[str] = []

    @tracked
    def quiet() -> None:
        threads.extend(thread.name for thread in threading.enumerate())

    quiet()
    run = only_run(store)
    assert f"headgate-loopback-{run.info.run_id}" in threads
    assert not any(thread.name.startswith("headgate-") for thread in threading.enumerate())


def test_without_the_environment_mlflow_is_left_alone(store: Store) -> None:
    @tracked(environment=False)
    def function() -> None:
        assert "MLFLOW_TRACKING_TOKEN" not in os.environ
        tracking.log_metric("n", 1)

    function()
    assert values(only_run(store)) == {"n": 1.0}
