"""One gate file, asked from Airflow, from the shell and from Python: the same decision, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from headgate.airflow import EvaluateModelOperator, GateOperator, PromoteModelOperator
from headgate.store.store import Store
from headgate.tasks import decide_promotion, decision_json, load_gate
from tests.gate_everywhere import EVALUATOR, GATE, asked_in_the_shell, logged_model, write_data
from tests.plugin.airflow.candidates import new_name
from tests.plugin.airflow.dag_runs import DagRun

COMMIT = "0123abcdef" * 4

RunDag = Callable[..., DagRun]


def test_the_same_gate_decides_the_same_wherever_it_is_asked(
    store: Store, run_dag: RunDag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.airflow.identity.bundle_version", lambda _: COMMIT)
    name, gate, data = new_name(), tmp_path / "gate.yaml", tmp_path / "holdout.csv"
    gate.write_text(GATE)
    write_data(data)
    champion, candidate = logged_model(), logged_model()
    strict = {"name": "strict", "checks": {"all_of": [{"metric": "recall", "above": 1}]}}
    measuring: dict[str, Any] = {"evaluator": EVALUATOR, "data": str(data)}
    with DAG(new_name("everywhere"), schedule=None) as dag:
        first = EvaluateModelOperator(task_id="first", model=champion, **measuring)
        seated = PromoteModelOperator(task_id="seated", gate=str(gate), model_name=name, candidate=first.output)
        measured = EvaluateModelOperator(
            task_id="measured", model=candidate, gate=str(gate), model_name=name, **measuring
        )
        watched = GateOperator(task_id="watched", gate=strict, model_name=name, candidate=measured.output, shadow=True)
        decided = GateOperator(task_id="decided", gate=str(gate), model_name=name, candidate=measured.output)
        first >> seated >> measured >> watched >> decided

    ran = run_dag(dag)
    assert set(ran.states.values()) == {"success"}, ran.states
    assert ran.xcom("measured")["champion"]["run_id"] == ran.xcom("first")["run_id"]
    assert store.runs.get(ran.xcom("first")["run_id"]).tags["mlflow.source.git.commit"] == COMMIT
    shadow = store.verdicts.get(ran.xcom("watched")["verdict_id"])
    assert (shadow.shadow, shadow.outcome) == (True, "reject")

    by_airflow = store.verdicts.get(ran.xcom("decided")["verdict_id"])
    by_python = decide_promotion(store, load_gate(gate), name, "@champion", candidate)
    assert by_airflow.verdict_id != by_python.verdict_id
    said = decision_json(by_airflow).encode()
    assert decision_json(by_python).encode() == said
    assert asked_in_the_shell(store.url, gate, name, candidate).encode() == said
