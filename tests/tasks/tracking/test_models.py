"""LoggedModels: logged, loaded, external, active."""

from __future__ import annotations

import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from headgate.store.artifacts import folder_digest
from headgate.store.artifacts.local import LocalArtifactStore
from headgate.store.entities import LoggedModelStatus
from headgate.store.errors import (
    ArtifactStoreUnavailable,
    CorruptArtifact,
    InvalidInput,
    InvalidModel,
    InvalidProject,
    NotFound,
)
from headgate.store.logged_models import LoggedModels
from headgate.store.store import Store
from headgate.tasks import tracking
from tests.clock import in_another_millisecond
from tests.tasks.tracking.conftest import RunScript

TABLE = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 1.0, 0.0, 0.0]})
TARGET = [0, 0, 1, 1]


@pytest.fixture
def estimator() -> LogisticRegression:
    return LogisticRegression().fit(TABLE, TARGET)


def models_of(store: Store) -> list[Any]:
    from sqlalchemy import text

    with store.database.read() as connection:
        ids = list(connection.scalars(text("SELECT model_id FROM headgate_logged_model ORDER BY creation_timestamp")))
    return list(store.logged_models.get_many(ids))


def test_a_logged_model_is_ready_with_its_files(given_run: str, store: Store, estimator: Any) -> None:
    model = tracking.log_model(
        estimator,
        name="screener",
        input_example=TABLE.head(2),
        params={"C": 1.0},
        tags={"team": "screening", "size": 2},
        model_type="classifier",
        step=3,
    )
    assert model == store.logged_models.get(model.model_id)
    assert (model.status, model.name, model.model_type) == (LoggedModelStatus.READY, "screener", "classifier")
    assert (model.source_run_id, model.params) == (given_run, {"C": "1.0"})
    assert {"team": "screening", "size": "2", "mlflow.source.type": "LOCAL"}.items() <= model.tags.items()
    assert model.experiment_id == store.runs.get_info(given_run).experiment_id
    assert model.artifact_digest == folder_digest(Path(model.artifact_location))
    (output,) = store.runs.get(given_run).model_outputs
    assert (output.model_id, output.step) == (model.model_id, 3)
    document = yaml.safe_load((Path(model.artifact_location) / "MLmodel").read_text())
    assert (document["model_id"], document["run_id"]) == (model.model_id, given_run)
    assert document["artifact_path"] == model.artifact_location


def test_mlflow_loads_what_was_logged(given_run: str, estimator: Any) -> None:
    model = tracking.log_model(estimator, "screener", input_example=TABLE.head(2))
    expected = estimator.predict(TABLE)
    assert (mlflow.pyfunc.load_model(model.artifact_location).predict(TABLE) == expected).all()
    assert (mlflow.sklearn.load_model(model.artifact_location).predict(TABLE) == expected).all()
    predictor = tracking.log_model(Doubler(), "doubler")
    assert mlflow.pyfunc.load_model(predictor.artifact_location).predict([1, 2]) == [2, 4]


class Doubler:
    def predict(self, inputs: Any) -> Any:
        return [2 * value for value in inputs]


def test_a_model_is_loaded_by_each_of_its_names(given_run: str, store: Store, estimator: Any, tmp_path: Path) -> None:
    model = tracking.log_model(estimator, "screener")
    store.registry.get_or_create_model("tumor-screening", now=1)
    version = store.registry.create_version("tumor-screening", None, model_id=model.model_id, run_id=given_run, now=2)
    store.registry.set_alias("tumor-screening", "champion", version.version)
    tracking.log_artifacts(model.artifact_location, "exported/model")
    for uri in (
        model.model_id,
        model.model_uri,
        "models:/tumor-screening/1",
        "models:/tumor-screening@champion",
        "models:/tumor-screening/latest",
        f"runs:/{given_run}/screener",
        f"runs:/{given_run}/exported/model",
        model.artifact_location,
        f"file://{model.artifact_location}",
    ):
        loaded = tracking.load_model(uri)
        assert (loaded.predict(TABLE) == estimator.predict(TABLE)).all(), uri
        assert np.allclose(loaded.get_raw_model().predict_proba(TABLE), estimator.predict_proba(TABLE))
    assert tracking.get_logged_model("models:/tumor-screening@champion") == store.logged_models.get(model.model_id)
    tracking.load_model(model.model_id, dst_path=tmp_path / "copy")
    assert (tmp_path / "copy" / "MLmodel").exists()
    assert (tracking.load_model("../" + tmp_path.name + "/copy").predict(TABLE) == estimator.predict(TABLE)).all()


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("m-" + "0" * 32, NotFound),
        ("models:/nothing@champion", NotFound),
        ("models:/a/b/c", InvalidInput),
        ("runs:/", InvalidInput),
        ("runs:/" + "0" * 32 + "/model", NotFound),
        ("/nowhere/at/all", InvalidModel),
        ("gs://bucket/model", InvalidInput),
    ],
)
def test_a_model_that_is_not_there(uri: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        tracking.load_model(uri)


def test_using_a_model_is_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with tracking.start_run() as trained:
        model = tracking.log_model(sum, "adder")
        tracking.load_model(model.model_id)
    with tracking.start_run() as evaluated:
        for _ in range(2):
            tracking.load_model(model.model_id)
    tracking.load_model(model.model_id)
    assert store.runs.get(trained.run_id).model_inputs == ()
    assert [item.model_id for item in store.runs.get(evaluated.run_id).model_inputs] == [model.model_id]
    assert tracking.active_run() is None, "loading needs no run"


def test_a_model_needs_no_run(store: Store) -> None:
    chosen = tracking.set_experiment("elsewhere")
    model = tracking.log_model(sum)
    assert model.source_run_id is None
    assert model.experiment_id == chosen.experiment_id
    assert model.name
    assert tracking.active_run() is None


def test_a_model_that_can_not_be_logged_leaves_nothing(given_run: str, store: Store) -> None:
    for bad in (
        lambda: tracking.log_model(42, "answer"),
        lambda: tracking.log_model(sum, "a/b"),
        lambda: tracking.log_model(sum, "adder", input_example=[object()]),
        lambda: tracking.log_model(threading.Lock().acquire, "lock"),
        lambda: tracking.log_model(sum, "adder", params={"bad\nkey": 1}),
    ):
        with pytest.raises(InvalidInput):
            bad()
    assert [model for model in models_of(store) if model.status is LoggedModelStatus.READY] == []
    assert store.runs.get(given_run).model_outputs == ()


def test_files_that_can_not_be_stored_make_the_model_failed(
    given_run: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ArtifactStoreUnavailable("The bucket does not answer.")

    monkeypatch.setattr(LocalArtifactStore, "put_folder", refuse)
    with pytest.raises(ArtifactStoreUnavailable):
        tracking.log_model(sum, "adder")
    (model,) = models_of(store)
    assert (model.status, model.status_message) == (LoggedModelStatus.FAILED, "The bucket does not answer.")
    assert model.artifact_digest is None
    with pytest.raises(InvalidModel, match="is FAILED: The bucket does not answer"):
        tracking.load_model(model.model_id)


def test_a_foreign_error_does_not_leak_its_message(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("https://user:canary-secret@host")

    monkeypatch.setattr(LocalArtifactStore, "put_folder", refuse)
    with pytest.raises(OSError, match="canary"):
        tracking.log_model(sum, "adder")
    assert models_of(store)[0].status_message == "OSError"


def test_a_failure_that_can_not_be_recorded_leaves_the_model_pending(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ArtifactStoreUnavailable("gone")

    monkeypatch.setattr(LocalArtifactStore, "put_folder", refuse)
    monkeypatch.setattr(LoggedModels, "finalize", refuse)
    with pytest.raises(ArtifactStoreUnavailable) as caught:
        tracking.log_model(sum, "adder")
    assert "stays PENDING" in caught.value.__notes__[0]
    (model,) = models_of(store)
    assert model.status is LoggedModelStatus.PENDING
    with pytest.raises(InvalidModel, match="is PENDING"):
        tracking.load_model(model.model_id)


@pytest.mark.parametrize("method", ["put_folder", "finalize"])
def test_a_process_that_dies_never_leaves_a_ready_model(method: str, run_script: RunScript, store: Store) -> None:
    """Killed before the files are stored, or between that and the record of it."""
    run_script(
        f"""
import os
from headgate.store.artifacts.local import LocalArtifactStore
from headgate.store.logged_models import LoggedModels
owner = LocalArtifactStore if {method!r} == "put_folder" else LoggedModels
setattr(owner, {method!r}, lambda *_, **__: os._exit(9))
tracking.log_model(sum, "adder")
""",
        code=9,
    )
    (model,) = models_of(store)
    assert model.status is LoggedModelStatus.PENDING
    assert (Path(model.artifact_location) / "MLmodel").exists() == (method == "finalize")


def test_files_that_changed_are_not_loaded(given_run: str, store: Store) -> None:
    model = tracking.log_model(sum, "adder")
    file = Path(model.artifact_location) / "requirements.txt"
    file.write_text("evil\n")
    with pytest.raises(CorruptArtifact, match="are not those that were stored") as caught:
        tracking.load_model(model.model_id)
    assert caught.value.expected == model.artifact_digest
    (Path(model.artifact_location) / "requirements.txt").unlink()
    with pytest.raises(CorruptArtifact):
        tracking.load_model(model.model_id)


def test_files_that_are_gone_are_named(store: Store) -> None:
    import shutil

    model = tracking.log_model(sum, "adder")
    shutil.rmtree(model.artifact_location)
    with pytest.raises((NotFound, InvalidModel), match=model.artifact_location):
        tracking.load_model(model.model_id)


def test_loading_in_place_does_not_change_the_digest(run_script: RunScript, store: Store, tmp_path: Path) -> None:
    (tmp_path / "own_module.py").write_text("def predict(inputs):\n    return inputs\n")
    model_id = run_script("import own_module\nprint(tracking.log_model(own_module.predict, 'own').model_id)\n")
    model = store.logged_models.get(model_id)
    (tmp_path / "own_module.py").unlink()
    for _ in range(2):
        script = f"print(tracking.load_model({model_id!r}).predict([1]))\n"
        assert run_script(script, PYTHONDONTWRITEBYTECODE="") == "[1]"
    assert list(Path(model.artifact_location).rglob("__pycache__")) != []


def test_threads_log_models_side_by_side(given_run: str, store: Store) -> None:
    with ThreadPoolExecutor(2) as pool:
        logged = list(pool.map(lambda number: tracking.log_model(sum, f"adder-{number}", step=number), range(4)))
    assert {model.status for model in logged} == {LoggedModelStatus.READY}
    outputs = store.runs.get(given_run).model_outputs
    assert {(item.model_id, item.step) for item in outputs} == {(m.model_id, n) for n, m in enumerate(logged)}


def test_an_external_model_is_ready_at_once(given_run: str, store: Store) -> None:
    model = tracking.create_external_model(
        "support-agent", tags={"team": "support"}, params={"temperature": "0.7"}, model_type="agent"
    )
    assert (model.status, model.source_run_id) == (LoggedModelStatus.READY, given_run)
    assert (model.params, model.model_type) == ({"temperature": "0.7"}, "agent")
    assert {"team": "support", "mlflow.model.isExternal": "true"}.items() <= model.tags.items()
    assert model.artifact_digest is None
    assert model == tracking.get_logged_model(model.model_id)
    with pytest.raises(InvalidModel, match="are kept elsewhere"):
        tracking.load_model(model.model_uri)
    assert tracking.create_external_model().name != ""
    other = store.experiments.get_or_create("other")
    assert tracking.create_external_model("x", experiment_id=other.experiment_id).experiment_id == other.experiment_id


def test_params_of_an_external_model_are_strings(store: Store) -> None:
    with pytest.raises(InvalidInput, match="param 'temperature'") as caught:
        tracking.create_external_model("agent", params={"temperature": 0.7})  # type: ignore[dict-item]
    assert "str()" in caught.value.remedy
    assert models_of(store) == []


def test_an_active_model_is_made_when_it_is_missing(given_run: str, store: Store) -> None:
    assert tracking.get_active_model_id() is None
    first = tracking.set_active_model(name="agent-v1")
    assert tracking.get_active_model_id() == first.model_id
    assert first.tags["mlflow.model.isExternal"] == "true"
    assert first.tags["mlflow.source.type"] == "LOCAL"
    assert first.experiment_id == store.runs.get_info(given_run).experiment_id
    assert tracking.set_active_model("agent-v1") == first
    in_another_millisecond()
    newer = tracking.create_external_model("agent-v1")
    assert tracking.set_active_model("agent-v1").model_id == newer.model_id
    tracking.clear_active_model()
    assert tracking.get_active_model_id() is None


def test_an_active_model_ends_with_its_block() -> None:
    outer = tracking.set_active_model("outer")
    with tracking.set_active_model("inner") as inner:
        assert tracking.get_active_model_id() == inner.model_id
        with pytest.raises(ValueError, match="boom"), tracking.set_active_model("innermost"):
            raise ValueError("boom")
        assert tracking.get_active_model_id() == inner.model_id
    assert tracking.get_active_model_id() == outer.model_id


def test_an_active_model_by_id() -> None:
    model = tracking.create_external_model("agent")
    assert tracking.set_active_model(model_id=model.model_id).name == "agent"
    assert tracking.set_active_model("agent", model_id=model.model_id).model_id == model.model_id
    with pytest.raises(InvalidInput, match="is called 'agent', not 'other'"):
        tracking.set_active_model("other", model_id=model.model_id)
    with pytest.raises(NotFound):
        tracking.set_active_model(model_id="m-" + "0" * 32)
    with pytest.raises(InvalidInput, match="Neither the name nor the id"):
        tracking.set_active_model()
    assert tracking.get_active_model_id() == model.model_id


def test_each_thread_has_an_active_model_of_its_own() -> None:
    tracking.set_active_model("of-main")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tracking.get_active_model_id).result() is None
        theirs = pool.submit(tracking.set_active_model, "of-thread").result()
        assert pool.submit(tracking.get_active_model_id).result() == theirs.model_id
    assert tracking.get_active_model_id() != theirs.model_id


def test_two_processes_that_ask_for_a_name_get_one_model(run_script: RunScript, store: Store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        ids = set(pool.map(lambda _: tracking.set_active_model("shared").model_id, range(4)))
    ids.add(run_script("print(tracking.set_active_model('shared').model_id)"))
    assert len(ids) == 1


def test_the_environment_names_the_active_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ACTIVE_MODEL_ID", "m-of-mlflow")
    assert tracking.get_active_model_id() == "m-of-mlflow"
    monkeypatch.setenv("HEADGATE_ACTIVE_MODEL_ID", "m-of-headgate")
    assert tracking.get_active_model_id() == "m-of-headgate"
    with tracking.set_active_model("agent") as model:
        assert tracking.get_active_model_id() == model.model_id
    assert tracking.get_active_model_id() == "m-of-headgate"
    with pytest.raises(NotFound, match="m-of-headgate"):
        tracking.log_metric("quality", 1)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "agent.py").write_text("v1\n")
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "."],
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "first"],
        ["git", "remote", "add", "origin", "https://user:canary-token@example.org/agent.git"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def test_a_version_is_named_after_its_commit(repository: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert tracking.git_version_name("agent", repository) == f"agent-{commit[:8]}"
    (repository / "agent.py").write_text("v2\n")
    assert tracking.git_version_name("agent", repository) == f"agent-{commit[:8]}-dirty"

    monkeypatch.chdir(repository)
    monkeypatch.setattr("sys.argv", ["agent.py"])
    model = tracking.create_external_model(tracking.git_version_name("agent"))
    assert model.tags["mlflow.source.git.commit"] == commit
    assert model.tags["mlflow.source.git.branch"] == "main"
    assert "canary-token" not in json.dumps(dict(model.tags))
    with tracking.start_run() as run:
        assert store.tags.get(run.run_id)["mlflow.source.git.commit"] == commit


def test_a_folder_without_git_can_not_name_a_version(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="in no git repository") as caught:
        tracking.git_version_name("agent", tmp_path)
    assert not isinstance(caught.value, InvalidProject)
