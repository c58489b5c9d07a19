"""The client in the code of a run, which has an endpoint in place of the store: what it records is the same."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from headgate.store.entities import Run, RunStatus
from headgate.store.errors import InvalidInput, NotFound, ParamChanged
from headgate.store.store import Store
from headgate.tasks import tracking
from headgate.tasks.tracking import runs, session
from headgate.wire.loopback import Loopback
from tests.tasks.tracking.conftest import RunScript

NOW = 1_790_000_000_000
ROWS = [[0.0], [1.0], [2.0], [3.0]]


@pytest.fixture
def endpoint(store: Store, given_run: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """The endpoint of the given run, which the environment names as in the run's own process."""
    with Loopback(store, store.runs.get_info(given_run), "me", "secret") as opened:
        for name, value in opened.store_environment.items():
            monkeypatch.setenv(name, value)
        yield opened
        session.forget()  # closes its connection


def _log_everything(folder: Path) -> None:
    """Call all that the client can do."""
    file = folder / "plot.txt"
    file.write_text("x")
    tracking.log_params({"depth": 6, "api_key": "s3cret"})
    tracking.log_metrics({"loss": 0.5, "nan": float("nan")}, step=2, timestamp=NOW)
    tracking.set_tags({"team": "blue", "n": 1})
    rows = tracking.dataset("rows", ROWS)
    tracking.log_input(rows, "training", {"split": "a"})
    tracking.log_artifact(file, "plots")
    tracking.log_dict({"a": 1}, "config.yaml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = LogisticRegression().fit(ROWS, [0, 0, 1, 1])
    model = tracking.log_model(estimator, name="net", params={"c": 1}, input_example=ROWS[:1])
    tracking.log_metric("auc", 0.75, timestamp=NOW, model_id=model.model_id, dataset=rows)
    assert tracking.get_logged_model(model.model_uri).artifact_digest == model.artifact_digest
    tracking.create_external_model("agent", model_type="agent")
    with tracking.set_active_model("agent-v1"):
        tracking.log_metric("calls", 3, timestamp=NOW)
    with tracking.start_run(run_name="fold", nested=True, description="one of one"):
        assert list(tracking.load_model(model.model_id).predict([[0.0]])) == [0]
    with pytest.raises(ParamChanged, match="depth"):
        tracking.log_param("depth", 7)
    with pytest.raises(NotFound):
        tracking.load_model("models:/nowhere/1")


def _recorded(store: Store, run_id: str) -> dict[str, Any]:
    """Return what stands in the store of a run, its child and its models, without what differs from run to run."""

    def shown(run: Run) -> Any:
        made = store.logged_models.get_many([output.model_id for output in run.model_outputs])
        tags = {name: value for name, value in run.tags.items() if name != "mlflow.parentRunId"}
        return (
            (run.info.name, run.info.status, run.info.user_id, run.params, tags),
            sorted((key, repr(point.value), point.timestamp, point.step) for key, point in run.metrics.items()),
            sorted((item.dataset.name, item.dataset.digest, sorted(item.tags.items())) for item in run.dataset_inputs),
            len(run.model_inputs),
            [
                (
                    *(model.name, model.status, model.params, model.tags, model.artifact_digest is None),
                    [
                        (point.key, point.value, point.dataset_digest, point.run_id == run.info.run_id)
                        for point in model.metrics
                    ],
                )
                for model in made
            ],
            [file.path for file in store.artifacts(run.info.artifact_uri).list("")],
        )

    run = store.runs.get(run_id)
    models = store.logged_models.search([run.info.experiment_id]).items
    below = [shown(store.runs.get(child.run_id)) for child in store.runs.children(run_id)]
    return {
        "run": shown(run),
        "below": below,
        "models": sorted(
            (model.name, model.status, model.source_run_id == run_id, len(model.metrics)) for model in models
        ),
    }


def test_what_is_recorded_is_what_the_store_itself_would_record(
    endpoint: Loopback, store: Store, given_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_everything(tmp_path)
    by_endpoint = _recorded(store, given_run)
    session.forget()
    runs.forget()
    other = store.runs.open(store.experiments.get_or_create("other").experiment_id, name="train").info
    monkeypatch.setenv("HEADGATE_STORE_URL", store.url)
    monkeypatch.setenv("HEADGATE_RUN_ID", other.run_id)
    monkeypatch.setenv("HEADGATE_EXPERIMENT_ID", other.experiment_id)
    _log_everything(tmp_path)
    directly = _recorded(store, other.run_id)
    (child,) = by_endpoint["below"]
    assert child[0][1] is RunStatus.FINISHED
    assert child[0][2] == "me"  # the endpoint says who it is; by itself, the client takes the name of the user
    ours, theirs = (
        re.sub(r"'mlflow\.user': '[^']*'|'me'|'root'", "user", repr(said)) for said in (by_endpoint, directly)
    )
    assert ours == theirs


def test_the_own_experiment_only(endpoint: Loopback, store: Store) -> None:
    other = store.experiments.create("other").experiment_id
    with pytest.raises(InvalidInput, match=r"writes in experiment \d+ only.*outside of the project's code"):
        tracking.create_external_model("agent", experiment_id=other)
    with pytest.raises(InvalidInput, match="may not make an experiment"):
        tracking.set_experiment("new")
    assert store.logged_models.search([other]).items == ()


def test_no_database_library_is_loaded_to_log(
    endpoint: Loopback, store: Store, given_run: str, run_script: RunScript
) -> None:
    script = """
import sys
tracking.log_metric("auc", 0.5)
tracking.log_text("hello", "note.txt")
with tracking.start_run(nested=True):
    tracking.log_param("fold", 1)
print([name for name in ("sqlalchemy", "sqlmodel", "alembic", "uvicorn") if name in sys.modules])
"""
    assert run_script(script) == "[]"
    assert store.runs.get(given_run).metrics["auc"].value == 0.5
    (child,) = store.runs.children(given_run)
    assert child.status is RunStatus.FINISHED


def test_processes_that_are_forked_and_threads_have_connections_of_their_own(
    endpoint: Loopback, store: Store, given_run: str, run_script: RunScript
) -> None:
    script = """
import os
from concurrent.futures import ThreadPoolExecutor
tracking.log_param("parent", 1)
child = os.fork()
if child == 0:
    tracking.log_param("child", 1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with ThreadPoolExecutor(4) as threads:
    list(threads.map(lambda i: tracking.log_param(f"thread{i}", i), range(20)))
tracking.log_param("after", 1)
"""
    run_script(script)
    names = {"parent", "child", "after", *(f"thread{i}" for i in range(20))}
    assert set(store.runs.get(given_run).params) == names
