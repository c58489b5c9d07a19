"""Of a task whose DAG comes from a version of a bundle, the run says which: that is the commit of its code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate.store import RunContext
from headgate.store.store import Store
from tests.plugin.airflow.supervised import queue_task, supervise

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DAG_FILE = """\
from airflow.sdk import DAG, task
from headgate.airflow import RunProjectOperator

with DAG("bundled", schedule=None):
    RunProjectOperator(task_id="project", project="project")

    @task.headgate
    def function():
        return {"f1": 0.9}

    function()
"""
MLPROJECT = "name: echo\nentry_points: {main: {command: echo hello}}\n"


@pytest.mark.parametrize("task_id", ["project", "function"])
def test_a_run_names_the_commit_that_its_dag_was_checked_out_at(
    airflow_database: None,
    airflow_home: Path,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task_id: str,
) -> None:
    checkout = tmp_path / "versions" / COMMIT
    (checkout / "project").mkdir(parents=True)
    (checkout / "bundled.py").write_text(DAG_FILE)
    (checkout / "project" / "MLproject").write_text(MLPROJECT)
    known = airflow_home / "dags" / "bundled.py"
    known.write_text(DAG_FILE)
    try:
        instance = queue_task("bundled", task_id)
    finally:
        known.unlink()
    bundles = [
        {"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}},
        {
            "name": "repository",
            "classpath": "tests.plugin.airflow.bundles.FolderPerVersion",
            "kwargs": {"folder": str(checkout.parent)},
        },
    ]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))
    task = supervise(instance, "repository", COMMIT)
    task.wait()
    assert task.state == "success", task.log
    run = store.runs.find_by_context(RunContext("airflow", "bundled", task.run_id, task_id))
    assert run is not None
    assert run.tags["mlflow.source.git.commit"] == COMMIT
    assert (run.tags["airflow.bundle"], run.tags["airflow.bundle.version"]) == ("repository", COMMIT)
