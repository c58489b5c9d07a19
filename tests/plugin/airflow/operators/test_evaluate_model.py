"""``EvaluateModelOperator``: figures on the model, from the task's run, and the champion's for a gate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from airflow.sdk import DAG

from headgate.airflow import EvaluateModelOperator, GateOperator, PromoteModelOperator
from headgate.store.clock import now_ms
from headgate.store.entities import LoggedModelStatus, RunStatus
from headgate.store.errors import InvalidInput
from headgate.store.store import Store
from headgate.tasks import promote_if_passing
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.tracking import dataset
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., DagRun]

# The figure is read from the model's name, such as "f1-90": no model has to be loaded for it.
EVALUATE = """
import pathlib, sys
from headgate.tasks import tracking

model, data, how = sys.argv[1:]
value = int(tracking.get_logged_model(model).name.removeprefix("f1-")) / 100
first = pathlib.Path(data).parent / "first"
if how == "breaks-once" and not first.exists():
    first.touch()
    sys.exit("the machine broke")
with tracking.start_run():
    if how == "on-the-run":
        tracking.log_metrics({"f1": value})
    elif how != "nothing":
        tracking.log_metrics({"f1": value}, model_id=model, dataset=tracking.dataset("holdout", data))
"""
MLPROJECT = """
name: screening
entry_points:
  evaluate:
    parameters: {model: string, data: path, how: {type: string, default: on-the-model}}
    command: "python evaluate.py {model} {data} {how}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a DAG, with a project and data beside it."""
    folder = tmp_path / "dags"
    (folder / "project").mkdir(parents=True)
    (folder / "dag.py").write_text("# a DAG")
    (folder / "project" / "MLproject").write_text(dedent(MLPROJECT))
    (folder / "project" / "evaluate.py").write_text(EVALUATE)
    (folder / "holdout.csv").write_text("a,b\n1,2\n")
    return folder


def named(store: Store, percent: int) -> str:
    model = store.logged_models.create("0", name=f"f1-{percent}", now=now_ms())
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="cd" * 32, now=now_ms())
    return model.model_id


def test_a_model_is_measured_compared_and_promoted(store: Store, run_dag: RunDag, folder: Path) -> None:
    name, first = new_name(), named(store, 60)
    store.logged_models.log_metrics(first, store.logged_models.metrics(measured(store, 0.6)))
    promote_if_passing(store, gate_from_definition(GATE), name, "@champion", first, actor="alice")
    candidate = named(store, 90)
    with DAG(new_name("evaluates"), schedule=None) as dag:
        evaluate = EvaluateModelOperator(
            task_id="evaluate",
            project="project",
            model="models:/{{ '" + candidate + "' }}",
            parameters={"data": "holdout.csv"},
            gate=GATE,
            model_name=name,
        )
        gate = GateOperator(task_id="gate", gate=GATE, model_name=name, candidate=evaluate.output)
        PromoteModelOperator(task_id="promote", verdict=gate.output, model_name=name)
    dag.fileloc = str(folder / "dag.py")
    ran = run_dag(dag)
    assert ran.states == {"evaluate": "success", "gate": "success", "promote": "success"}
    reference = ran.xcom("evaluate")
    assert (reference["model_id"], reference["metrics"], reference["model_ids"]) == (candidate, {"f1": 0.9}, [])
    (point,) = store.logged_models.metrics(candidate)
    digest = dataset("holdout", folder / "holdout.csv").digest
    assert (point.run_id, point.dataset_digest) == (reference["run_id"], digest)
    champion = store.runs.get(reference["champion"]["run_id"])
    assert (reference["champion"]["model_id"], champion.metrics["f1"].value) == (first, 0.6)
    assert champion.info.context.task == "evaluate.champion"
    assert champion.info.parent_run_id == store.runs.get_info(reference["run_id"]).parent_run_id
    assert [check.champion_value for check in store.verdicts.get(ran.xcom("gate")["verdict_id"]).checks] == [None, 0.6]
    assert ran.xcom("promote")["model_id"] == candidate


def test_a_machine_that_breaks_costs_a_retry_and_nothing_measured_costs_none(
    store: Store, run_dag: RunDag, folder: Path
) -> None:
    given: dict[str, Any] = {"project": "project", "model": named(store, 90), "retries": 1, "retry_delay": timedelta(0)}
    with DAG(new_name("evaluates"), schedule=None) as dag:
        for how in ("breaks-once", "nothing", "on-the-run"):
            said = {"data": "holdout.csv", "how": how}
            dataset_said = {"name": "holdout", "path": "holdout.csv"} if how == "on-the-run" else None
            EvaluateModelOperator(task_id=how, parameters=said, dataset=dataset_said, **given)
        elsewhere = {"name": "table", "digest": "v7", "source": "s3://bucket/table"}
        EvaluateModelOperator(
            task_id="elsewhere", parameters={"data": "holdout.csv", "how": "on-the-run"}, dataset=elsewhere, **given
        )
        EvaluateModelOperator(task_id="wrong", parameters=said, dataset={"name": "holdout"}, **given)
    dag.fileloc = str(folder / "dag.py")
    ran = run_dag(dag)
    assert ran.states == {
        "breaks-once": "success",
        "nothing": "failed",
        "on-the-run": "success",
        "elsewhere": "success",
        "wrong": "failed",
    }
    runs = store.runs.search([ran.xcom("on-the-run")["experiment_id"]], order_by=["start_time"]).items
    tries = {(run.info.context.task, run.info.context.attempt, run.info.status) for run in runs}
    assert tries >= {("breaks-once", 1, RunStatus.FAILED), ("breaks-once", 2, RunStatus.FINISHED)}
    assert [run for run in tries if run[0] == "nothing"] == [("nothing", 1, RunStatus.FINISHED)]
    digests = {m.run_id: m.dataset_digest for m in store.logged_models.metrics(given["model"])}
    assert digests[ran.xcom("on-the-run")["run_id"]] == dataset("holdout", folder / "holdout.csv").digest
    assert digests[ran.xcom("elsewhere")["run_id"]] == "v7"


def test_the_champion_is_not_measured_by_the_candidates_predictions(
    store: Store, run_dag: RunDag, folder: Path
) -> None:
    name, first, candidate = new_name(), measured(store, 0.6), measured(store, 0.9)
    promote_if_passing(store, gate_from_definition(GATE), name, "@champion", first, actor="alice")
    before = store.logged_models.metrics(first)
    (folder / "predicted.csv").write_text("truth,said\n" + "1,1\n0,0\n" * 10)
    with DAG(new_name("evaluates"), schedule=None) as dag:
        EvaluateModelOperator(
            task_id="evaluate",
            evaluator={"kind": "classification", "target": "truth", "prediction": "said"},
            data="predicted.csv",
            model=candidate,
            gate=GATE,
            model_name=name,
            retries=2,
            retry_delay=timedelta(0),
        )
    dag.fileloc = str(folder / "dag.py")
    assert run_dag(dag).states == {"evaluate": "failed"}
    assert store.logged_models.metrics(first) == before
    of_candidate = {point.run_id for point in store.logged_models.metrics(candidate) if point.key == "accuracy"}
    assert len(of_candidate) == 1, "measured once: no retry was spent"


@pytest.mark.parametrize("options", [{"gate": GATE}, {"model_name": "m"}])
def test_half_of_what_the_champion_takes_is_refused(options: dict[str, Any]) -> None:
    with DAG(new_name("wrong"), schedule=None), pytest.raises(InvalidInput, match="Give both"):
        EvaluateModelOperator(task_id="evaluate", project="project", model="m-1", **options)
