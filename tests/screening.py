"""A small project that trains, measures and promotes within a second, as files of a folder."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

WriteFiles = Callable[[dict[str, str]], Path]

SCREENING = {
    "MLproject": """\
        name: screening
        entry_points:
          train: {parameters: {quality: float, depth: int}, command: "python train.py {quality} {depth}"}
          evaluate: {parameters: {model: string, digest: string}, command: "python evaluate.py {model} {digest}"}
          both: {parameters: {quality: float}, command: "python train.py {quality} 0 both"}
        """,
    # A client of the run's endpoint with nothing to import: it starts ten times faster than mlflow's.
    "record.py": """\
        import json, os, time, urllib.request

        RUN = {"run_id": os.environ["MLFLOW_RUN_ID"]}

        def call(method, path, **body):
            url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/{path}"
            token = os.environ["MLFLOW_TRACKING_TOKEN"]
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            data = None if method == "GET" else json.dumps(body).encode()
            with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
                return json.load(answer)

        def metric(key, value, **of_a_model):
            now = int(time.time() * 1000)
            call("POST", "runs/log-metric", **RUN, key=key, value=value, timestamp=now, step=0, **of_a_model)
        """,
    "train.py": """\
        import os, sys
        from record import RUN, call, metric

        recall = float(sys.argv[1]) + float(sys.argv[2]) / 100
        model = call(
            "POST",
            "logged-models",
            experiment_id=os.environ["MLFLOW_EXPERIMENT_ID"],
            name="clf",
            source_run_id=RUN["run_id"],
            params=[{"key": "recall", "value": str(recall)}],
            tags=[{"key": "mlflow.model.isExternal", "value": "true"}],
        )["model"]["info"]["model_id"]
        call("PATCH", f"logged-models/{model}", model_id=model, status="LOGGED_MODEL_READY")
        metric("val", float(sys.argv[2]))
        if sys.argv[3:] == ["both"]:
            metric("recall", recall, model_id=model, dataset_name="holdout", dataset_digest="d1")
        """,
    "evaluate.py": """\
        import sys
        from record import metric, call

        model = sys.argv[1].removeprefix("models:/")
        params = call("GET", f"logged-models/{model}")["model"]["data"]["params"]
        recall = next(float(param["value"]) for param in params if param["key"] == "recall")
        metric("recall", recall, model_id=model, dataset_name="holdout", dataset_digest=sys.argv[2])
        """,
    "gate.yaml": """\
        name: screening
        when_no_champion: pass
        checks:
          all_of:
            - {metric: recall, dataset: holdout, at_least: 0.9}
            - {metric: recall, improves_on: champion, by: 0.01}
        """,
    "pipeline.yaml": """\
        name: screening
        description: Weekly retraining.
        env: local
        parameters: {quality: 0.9, digest: d1}
        steps:
          train:
            entry_point: train
            parameters: {quality: "{{ params.quality }}"}
            sweep: {depth: [1, 2]}
            choose: {metric: val}
          evaluate:
            entry_point: evaluate
            parameters: {model: "{{ steps.train.model }}", digest: "{{ params.digest }}"}
        promote:
          model: screening
          candidate: "{{ steps.train.model }}"
          to: "@champion"
          gate: gate.yaml
          evaluate: evaluate
        """,
}


def write_into(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files of a project, by name and (dedented) content; return its folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
    return folder
