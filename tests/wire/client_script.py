"""What scripts do with the real ``mlflow`` client, from its first 3.x on: run as a program against a tracking server.

``python client_script.py PART…`` needs MLFLOW_TRACKING_URI and an empty working folder; it prints what ran as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def runs(client: MlflowClient) -> None:
    with mlflow.start_run(run_name="parent", description="text", tags={"team": "red"}) as parent:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "kind": "a"})
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"acc": 0.9, "f1": float("nan")}, step=1)
        mlflow.set_tags({"phase": "one"})
        mlflow.log_text("text", "note.txt")
        mlflow.log_dict({"a": 1}, "plots/a.json")
        with mlflow.start_run(nested=True, run_name="child") as child:
            mlflow.log_metric("loss", 0.5)
    assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    found = client.get_run(parent.info.run_id)
    assert (found.info.status, found.data.params["depth"], found.data.metrics["acc"]) == ("FINISHED", "3", 0.9)
    assert found.data.tags["mlflow.note.content"] == "text"
    assert [point.step for point in client.get_metric_history(parent.info.run_id, "loss")] == [0, 1, 2]
    refused = False
    try:
        client.log_param(parent.info.run_id, "depth", 4)
    except MlflowException as error:
        refused = "Changing param values is not allowed" in str(error)
    assert refused
    by_filter = mlflow.search_runs(
        experiment_names=["client"], filter_string="params.depth = '3' and metrics.acc > 0.5", output_format="list"
    )
    assert [each.info.run_id for each in by_filter] == [parent.info.run_id]
    os.environ["MLFLOW_RUN_ID"] = parent.info.run_id
    with mlflow.start_run() as resumed:
        mlflow.log_metric("acc", 0.95, step=2)
    os.environ.pop("MLFLOW_RUN_ID", None)  # newer clients take it from there
    assert resumed.info.run_id == parent.info.run_id
    assert client.get_run(parent.info.run_id).data.metrics["acc"] == 0.95


def tables(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        mlflow.log_table({"question": ["a", "b"], "answer": [1, 2]}, "table.json")
        mlflow.log_param("kind", "table")
    assert list(mlflow.load_table("table.json", run_ids=[run.info.run_id])["answer"]) == [1, 2]
    found = mlflow.search_runs(experiment_names=["client"], filter_string="params.kind = 'table'")
    assert list(found["run_id"]) == [run.info.run_id]


def files(client: MlflowClient) -> None:
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        (Path(folder) / "deep").mkdir()
        (Path(folder) / "a.txt").write_text("a")
        (Path(folder) / "deep" / "b.bin").write_bytes(os.urandom(3 << 20))
        mlflow.log_artifacts(folder, "files")
        mlflow.log_artifact(f"{folder}/a.txt")
        assert sorted(file.path for file in client.list_artifacts(run.info.run_id)) == ["a.txt", "files"]
        assert [file.path for file in client.list_artifacts(run.info.run_id, "files/deep")] == ["files/deep/b.bin"]
        back = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/files", dst_path=f"{folder}/back")
        assert (Path(back) / "deep" / "b.bin").read_bytes() == (Path(folder) / "deep" / "b.bin").read_bytes()


def asynchronous(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        waiting = [mlflow.log_metric("loss", step / 7, step=step, synchronous=False) for step in range(100)]
        mlflow.log_params({"a": 1}, synchronous=False).wait()
        for write in waiting:
            write.wait()
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 100


def datasets(client: MlflowClient) -> None:
    x, y = _numbers()
    data = mlflow.data.from_numpy(x, targets=y, name="train")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training")
    inputs = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert [(item.dataset.name, item.dataset.digest) for item in inputs] == [("train", data.digest)]
    assert [(tag.key, tag.value) for tag in inputs[0].tags] == [("mlflow.data.context", "training")]
    found = mlflow.search_runs(experiment_names=["client"], filter_string="dataset.name = 'train'")
    assert list(found["run_id"]) == [run.info.run_id]


def _numbers() -> tuple[Any, Any]:
    """Return what there is to learn, and from what: clients without models have no numpy."""
    import numpy as np

    return np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0], [2.0, 0.0]] * 5), np.array([0, 1, 0, 1] * 5)


def models(client: MlflowClient) -> None:
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    x, y = _numbers()
    with mlflow.start_run() as run:
        fitted = LogisticRegression().fit(x, y)
        info = mlflow.sklearn.log_model(
            fitted,
            name="classifier",
            signature=infer_signature(x, fitted.predict(x)),
            input_example=x[:2],
            registered_model_name="registered",
            pip_requirements=["scikit-learn"],
        )
        data = mlflow.data.from_numpy(x, name="holdout")
        mlflow.log_metric("recall", 0.97, model_id=info.model_id, dataset=data)
    mlflow.register_model(info.model_uri, "registered")
    client.set_registered_model_alias("registered", "champion", 2)
    client.transition_model_version_stage("registered", "1", "Production")
    for uri in (
        f"models:/{info.model_id}",
        "models:/registered/1",
        "models:/registered/2",
        "models:/registered/latest",
        "models:/registered/Production",
        "models:/registered@champion",
        f"runs:/{run.info.run_id}/classifier",
    ):
        loaded = mlflow.pyfunc.load_model(uri)
        assert list(loaded.predict(x)) == list(y), uri
        assert loaded.metadata.signature is not None, uri
    model = mlflow.get_logged_model(info.model_id)
    assert (str(model.status), model.source_run_id, model.name) == ("READY", run.info.run_id, "classifier")
    assert [(point.key, point.value, point.dataset_name) for point in model.metrics] == [("recall", 0.97, "holdout")]
    found = mlflow.search_logged_models(
        filter_string="metrics.recall > 0.9", datasets=[{"dataset_name": "holdout"}], output_format="list"
    )
    assert [each.model_id for each in found] == [info.model_id]
    copied = client.copy_model_version("models:/registered/1", "copied")
    assert (copied.name, int(copied.version)) == ("copied", 1)
    assert list(mlflow.pyfunc.load_model("models:/copied/1").predict(x)) == list(y)
    mlflow.set_logged_model_tags(info.model_id, {"reviewed": "yes"})
    mlflow.delete_logged_model_tag(info.model_id, "reviewed")


def external(client: MlflowClient) -> None:
    made = mlflow.create_external_model(name="external", tags={"kind": "service"}, params={"url": "x"})
    assert str(made.status) == "READY"
    mlflow.set_active_model(name="agent")
    active = mlflow.get_active_model_id()
    mlflow.set_active_model(name="agent")
    assert mlflow.get_active_model_id() == active is not None
    with mlflow.start_run() as run:
        mlflow.log_metric("latency", 0.2)
    linked = [(point.key, point.run_id) for point in mlflow.get_logged_model(active).metrics or ()]
    assert linked == [("latency", run.info.run_id)]
    mlflow.log_model_params({"late": "1"}, model_id=made.model_id)
    assert mlflow.get_logged_model(made.model_id).params == {"url": "x", "late": "1"}
    client.create_registered_model("service")
    version = client.create_model_version("service", f"models:/{made.model_id}", model_id=made.model_id)
    assert int(version.version) == 1


def automatic(client: MlflowClient) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = _numbers()
    mlflow.sklearn.autolog(log_input_examples=True)
    with mlflow.start_run() as run:
        LogisticRegression(C=0.5).fit(x, y)
    mlflow.sklearn.autolog(disable=True)
    found = client.get_run(run.info.run_id)
    assert found.data.params["C"] == "0.5"
    assert "training_accuracy_score" in found.data.metrics
    assert len(found.inputs.dataset_inputs) == 1
    assert len(found.outputs.model_outputs) == 1
    model = mlflow.get_logged_model(found.outputs.model_outputs[0].model_id)
    assert str(model.status) == "READY"


def registry(client: MlflowClient) -> None:
    client.create_registered_model("by hand", tags={"team": "red"}, description="text")
    client.update_registered_model("by hand", "other text")
    client.set_registered_model_tag("by hand", "stage", "one")
    client.delete_registered_model_tag("by hand", "team")
    with mlflow.start_run() as run:
        mlflow.log_text("x: 1", "model/MLmodel")
    source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version("by hand", source, run.info.run_id, tags={"a": "b"})
    client.update_model_version("by hand", version.version, "text")
    client.set_model_version_tag("by hand", version.version, "c", "d")
    client.delete_model_version_tag("by hand", version.version, "a")
    assert client.get_model_version("by hand", version.version).tags == {"c": "d"}
    assert client.get_model_version_download_uri("by hand", version.version) == source
    client.set_registered_model_alias("by hand", "best", version.version)
    assert client.get_model_version_by_alias("by hand", "best").version == version.version
    client.delete_registered_model_alias("by hand", "best")
    assert [each.name for each in client.search_registered_models("name LIKE 'by%'")] == ["by hand"]
    assert len(client.search_model_versions("name = 'by hand'")) == 1
    client.rename_registered_model("by hand", "renamed")
    client.delete_model_version("renamed", version.version)
    client.delete_registered_model("renamed")
    assert client.search_registered_models("name = 'renamed'") == []


def experiments(client: MlflowClient) -> None:
    made = client.create_experiment("lifecycle", tags={"a": "b"})
    client.set_experiment_tag(made, "c", "d")
    client.rename_experiment(made, "lifecycle 2")
    assert client.get_experiment_by_name("lifecycle 2").tags.items() >= {"a": "b", "c": "d"}.items()
    run = client.create_run(made)
    client.set_terminated(run.info.run_id, "FAILED")
    client.delete_run(run.info.run_id)
    assert client.search_runs([made]) == []
    client.restore_run(run.info.run_id)
    assert [each.info.run_id for each in client.search_runs([made])] == [run.info.run_id]
    client.delete_experiment(made)
    assert "lifecycle 2" not in [each.name for each in client.search_experiments()]
    client.restore_experiment(made)
    assert "lifecycle 2" in [each.name for each in client.search_experiments(order_by=["name DESC"])]


def project(client: MlflowClient) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = f"{sys.executable} train.py {{alpha}}"
        (Path(folder) / "MLproject").write_text(
            f'name: p\nentry_points:\n  main:\n    parameters:\n      alpha: float\n    command: "{command}"\n'
        )
        (Path(folder) / "train.py").write_text(
            "import sys, mlflow\nmlflow.log_metric('loss', float(sys.argv[1]) * 2)\n"
        )
        run = mlflow.projects.run(folder, parameters={"alpha": 0.25}, env_manager="local", experiment_name="client")
    found = client.get_run(run.run_id)
    assert (found.info.status, found.data.params, found.data.metrics) == ("FINISHED", {"alpha": "0.25"}, {"loss": 0.5})


PARTS = (runs, tables, files, asynchronous, datasets, models, external, automatic, registry, experiments, project)


def main(*parts: str) -> None:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    mlflow.set_experiment("client")
    client = MlflowClient()
    by_name = {part.__name__: part for part in PARTS}
    for part in parts or by_name:
        by_name[part](client)
    print(json.dumps({"mlflow": mlflow.__version__, "parts": list(parts or by_name)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
