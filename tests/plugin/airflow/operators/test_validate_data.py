"""``ValidateDataOperator``: data are judged in a run, and the task ends as the user chose."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param

from headgate.airflow import ValidateDataOperator
from headgate.store.entities import RunContext, RunStatus
from headgate.store.store import Store
from tests.plugin.airflow.candidates import new_name
from tests.plugin.airflow.dag_runs import DagRun
from tests.plugin.airflow.supervised import start_task, wait_until

RunDag = Callable[..., DagRun]

SUITE = """
name: scans
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: age, min_value: 0, max_value: {$PARAMETER: oldest}}
"""
OF_NO_COLUMN = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}}
MISSING = {"name": "scans", "expectations": [OF_NO_COLUMN]}
KILLED_DAG = """
from airflow.sdk import DAG
from headgate.airflow import ValidateDataOperator

with DAG("{name}", schedule=None):
    suite = {{"name": "s", "expectations": [{suite}]}}
    ValidateDataOperator(task_id="check", data="{data}", suite=suite, retries=1)
"""


def beside(dag: DAG, folder: Path) -> DAG:
    """Let a DAG stand in a folder, as far as Airflow knows."""
    (folder / "dag.py").write_text("# a DAG")
    dag.fileloc = str(folder / "dag.py")
    return dag


def test_data_are_judged_in_a_run_of_the_task(store: Store, run_dag: RunDag, tmp_path: Path) -> None:
    (tmp_path / "scans.yaml").write_text(SUITE)
    (tmp_path / "week-7.csv").write_text("age\n40\n71\n")
    with DAG(new_name("validates"), schedule=None, params={"week": Param(7, type="integer")}) as dag:
        ValidateDataOperator(
            task_id="check",
            data="week-{{ params.week }}.csv",
            suite="scans.yaml",
            dataset="scans",
            expectation_parameters={"oldest": 120},
        )
    ran = run_dag(beside(dag, tmp_path))
    assert ran.states == {"check": "success"}
    reference = ran.xcom("check")
    run = store.runs.get(reference["run_id"])
    (used,) = run.dataset_inputs
    assert reference == {
        "run_id": run.info.run_id,
        "outcome": "pass",
        "suite": "scans",
        "dataset": "scans",
        "digest": used.dataset.digest,
        "rows": 2,
        "expectations": 1,
        "reasons": [],
        "artifact_uri": run.info.artifact_uri,
        "report": "validation/report.html",
        "experiment_id": run.info.experiment_id,
    }
    assert (run.info.status, run.info.context.task, run.info.name) == (RunStatus.FINISHED, "check", "check")
    assert store.artifacts(run.info.artifact_uri).stat("validation/report.html") is not None
    parent = store.runs.get(str(run.info.parent_run_id)).info
    assert (parent.context.pipeline_run_id, parent.context.task) == (ran.run_id, None)


def test_data_that_are_rejected_end_the_task_as_it_was_told_to(store: Store, run_dag: RunDag, tmp_path: Path) -> None:
    data = tmp_path / "scans.csv"
    data.write_text("age\n40\n171\n")
    (tmp_path / "scans.yaml").write_text(SUITE)
    given: dict[str, Any] = {
        "data": data,
        "suite": str(tmp_path / "scans.yaml"),
        "expectation_parameters": {"oldest": 120},
        "retries": 1,
    }
    with DAG(new_name("validates"), schedule=None) as dag:
        for on_reject in ("fail", "skip", "succeed"):
            ValidateDataOperator(task_id=on_reject, on_reject=on_reject, **given) >> EmptyOperator(
                task_id=f"after_{on_reject}"
            )
        branch = ValidateDataOperator(task_id="branch", on_reject="branch", on_reject_tasks="tell", **given)
        branch >> [EmptyOperator(task_id="tell"), EmptyOperator(task_id="train")]
        ValidateDataOperator(task_id="unjudged", on_reject="succeed", **{**given, "suite": MISSING})
    ran = run_dag(dag)
    assert ran.states == {
        "fail": "failed",
        "after_fail": "upstream_failed",
        "skip": "skipped",
        "after_skip": "skipped",
        "succeed": "success",
        "after_succeed": "success",
        "branch": "success",
        "tell": "success",
        "train": "skipped",
        "unjudged": "failed",
    }
    for task_id in ("fail", "skip", "succeed", "branch"):
        reference = ran.xcom(task_id)
        assert (reference["outcome"], reference["rows"]) == ("reject", 2)
        assert "1 of 2 values (50 %) are not as expected." in reference["reasons"][0]
        assert "171" not in str(reference), "values of the data stay in the report"
        assert store.runs.get_info(reference["run_id"]).status is RunStatus.FINISHED
    assert (ran.xcom("unjudged")["outcome"], ran.xcom("unjudged")["run_id"] != "") == ("error", True)
    attempts = store.runs.search([reference["experiment_id"]]).items
    assert {run.info.context.attempt for run in attempts} == {1}, "no retry was spent"


class _NeverAnswers(http.server.BaseHTTPRequestHandler):
    """Holds whoever asks until the server is closed."""

    def do_GET(self) -> None:
        self.server.asked.set()  # type: ignore[attr-defined]
        self.server.over.wait()  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def silent_server() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NeverAnswers)
    server.daemon_threads = True
    server.asked, server.over = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def test_a_validation_that_is_killed_leaves_a_killed_run(
    store: Store, airflow_database: None, airflow_home: Path, silent_server: Any
) -> None:
    dag_file, name = airflow_home / "dags" / "killed_validation.py", "killed_validation"
    data = f"http://127.0.0.1:{silent_server.server_port}/scans.csv"
    dag_file.write_text(KILLED_DAG.format(name=name, data=data, suite=OF_NO_COLUMN))
    try:
        task = start_task(name, "check")
        wait_until(silent_server.asked.is_set, "the data to be asked for")
        task.supervisor.terminate()
        task.wait()
    finally:
        dag_file.unlink()
    assert task.state == "up_for_retry"
    run = store.runs.find_by_context(RunContext("airflow", name, task.run_id, "check"))
    assert run is not None
    assert run.info.status is RunStatus.KILLED
