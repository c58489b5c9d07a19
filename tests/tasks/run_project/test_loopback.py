"""A script that uses the real mlflow client logs into the store, through an endpoint that is its run's alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from headgate.store.entities import RunStatus
from headgate.store.store import Store
from headgate.tasks import run_project

SCRIPT = """
import json, os, sys
import mlflow
from mlflow.exceptions import RestException

client = mlflow.MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_param("depth", 3)
    mlflow.log_metrics({"acc": 0.9, "odd": float("nan")})
    mlflow.log_text("notes", "notes.txt")
    with mlflow.start_run(nested=True) as child:
        mlflow.log_metric("inner", 1.0)
    model = mlflow.create_external_model(name="agent", params={"temperature": "0.7"})
    mlflow.log_metric("f1", 0.8, model_id=model.model_id)
client.create_registered_model("agent")
client.create_model_version("agent", f"models:/{model.model_id}", model_id=model.model_id)
refused = {}
for name, attempt in {
    "alias": lambda: client.set_registered_model_alias("agent", "champion", "1"),
    "experiment": lambda: client.create_experiment("other"),
    "delete": lambda: client.delete_run(run.info.run_id),
    "other": lambda: client.log_metric(sys.argv[1], "stolen", 1.0),
}.items():
    try:
        attempt()
    except RestException as error:
        refused[name] = error.error_code
print(json.dumps({"run": run.info.run_id, "child": child.info.run_id, "model": model.model_id, "refused": refused}))
print("token", os.environ["MLFLOW_TRACKING_TOKEN"], "at", os.environ["MLFLOW_TRACKING_URI"])
"""


def test_an_unmodified_mlflow_script_logs_into_its_own_run(store: Store, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text(SCRIPT)
    (project / "MLproject").write_text(
        "name: plain\nentry_points:\n  main: {parameters: {other: string}, command: 'python train.py {other}'}\n"
    )
    elsewhere = store.experiments.create("elsewhere").experiment_id
    other = store.runs.open(elsewhere).info.run_id
    lines: list[str] = []

    result = run_project(
        project, parameters={"other": other}, store=store, env="local", on_output=lambda line, _: lines.append(line)
    )

    said = json.loads(next(line for line in lines if line.startswith("{")))
    assert said["run"] == result.run_id
    assert result.status is RunStatus.FINISHED
    assert result.metrics["acc"] == 0.9
    assert result.params["depth"] == "3"
    assert said["model"] in result.model_ids
    assert store.runs.get_info(said["child"]).parent_run_id == result.run_id
    assert [(m.key, m.run_id) for m in store.logged_models.get(said["model"]).metrics] == [("f1", result.run_id)]
    with store.artifacts(result.artifact_uri).open("notes.txt") as notes:
        assert notes.read() == b"notes"
    assert said["refused"] == dict.fromkeys(("alias", "experiment", "delete", "other"), "PERMISSION_DENIED")
    assert store.runs.get(other).metrics == {}
    assert not [line for line in lines if "View run" in line]  # the endpoint that the link leads to is gone by now
    _holds_no_token_and_is_gone(store, lines, result.artifact_uri, tmp_path)


def _holds_no_token_and_is_gone(store: Store, lines: list[str], artifact_uri: str, folder: Path) -> None:
    (line,) = (line for line in lines if line.startswith("token "))
    assert line.startswith("token *** at http://127.0.0.1:")
    with store.artifacts(artifact_uri).open("logs/output.txt") as output:
        assert b"token ***" in output.read()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{line.rpartition(' ')[2]}/health", timeout=5)


def test_a_script_that_says_how_it_ended_is_judged_by_its_exit_code(store: Store, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    script = "import mlflow\nmlflow.log_metric('m', 1)\nmlflow.end_run('FAILED')\n"
    (tmp_path / "project" / "main.py").write_text(script)

    result = run_project(tmp_path / "project", "main.py", store=store, env="local")

    assert result.status is RunStatus.FINISHED
    assert result.metrics["m"] == 1


def test_many_processes_of_one_run_share_its_endpoint(store: Store, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    script = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import mlflow
client = mlflow.MlflowClient()
run_id = os.environ["MLFLOW_RUN_ID"]
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda step: client.log_metric(run_id, "m", step, step=step), range(200)))
"""
    (tmp_path / "project" / "main.py").write_text(script)

    result = run_project(tmp_path / "project", "main.py", store=store, env="local")

    points = store.metrics.history(result.run_id, "m").items
    assert [point.step for point in sorted(points, key=lambda point: point.step)] == list(range(200))
