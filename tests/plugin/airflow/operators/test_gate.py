"""``GateOperator``: a verdict ends its task as the user chose, spends no retry, and is there for whoever follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetAlias, TaskGroup, TriggerRule, task

from headgate.airflow import GateOperator, model_asset
from headgate.store.errors import InvalidInput
from headgate.store.store import Store
from headgate.tasks import AllOf, Gate, Threshold, promote_if_passing
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., DagRun]

DATE = datetime(2026, 11, 2, tzinfo=UTC)
GOOD, BAD = 0.9, 0.4


def gated(candidate: str, *on_reject: str, **options: Any) -> DAG:
    """A DAG with a gate for each way to end, a task that follows it, and one that runs whatever happens."""
    with DAG(new_name("gated"), schedule=None, default_args={"retries": 2, "retry_delay": timedelta(0)}) as dag:
        for way in on_reject:
            gate = GateOperator(
                task_id=way,
                **{"gate": GATE, "model_name": new_name(), "candidate": candidate, "on_reject": way, **options},
            )
            after = EmptyOperator(task_id=f"{way}_after")
            gate >> after >> EmptyOperator(task_id=f"{way}_cleanup", trigger_rule=TriggerRule.ALL_DONE)
    return dag


def tries_of(ran: DagRun, task_id: str) -> int:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(TaskInstance).filter_by(dag_id=ran.dag_id, run_id=ran.run_id, task_id=task_id).one()
        return int(found.try_number)


def test_a_verdict_that_passes_is_handed_on(store: Store, run_dag: RunDag) -> None:
    candidate = measured(store, GOOD)
    ran = run_dag(gated(candidate, "fail"))
    assert ran.states == {"fail": "success", "fail_after": "success", "fail_cleanup": "success"}
    reference = ran.xcom("fail")
    verdict = store.verdicts.get(reference["verdict_id"])
    assert reference == {
        "verdict_id": verdict.verdict_id,
        "outcome": "pass",
        "model_name": verdict.model_name,
        "target": "@champion",
        "candidate_model_id": candidate,
        "gate": "screening",
        "reasons": [],
        "warnings": [],
    }
    assert verdict.decided_by == f"airflow:{ran.dag_id} (dag_test)"
    parent = store.runs.get(str(verdict.run_id)).info
    assert (parent.context.pipeline, parent.context.pipeline_run_id) == (ran.dag_id, ran.run_id)
    assert store.promotions.history(verdict.model_name) == ()


def test_a_rejection_ends_the_task_as_it_was_told_to(store: Store, run_dag: RunDag) -> None:
    candidate = measured(store, BAD)
    ran = run_dag(gated(candidate, "fail", "skip", "succeed"))
    assert ran.states == {
        "fail": "failed",
        "fail_after": "upstream_failed",
        "fail_cleanup": "success",
        "skip": "skipped",
        "skip_after": "skipped",
        "skip_cleanup": "success",
        "succeed": "success",
        "succeed_after": "success",
        "succeed_cleanup": "success",
    }
    for way in ("fail", "skip", "succeed"):
        reference = ran.xcom(way)
        assert (reference["outcome"], reference["candidate_model_id"]) == ("reject", candidate)
        assert reference["reasons"] == ["f1 >= 0.5: f1 is 0.4, which does not meet the rule."]
        (verdict,) = store.verdicts.search(reference["model_name"]).items
        assert (verdict.verdict_id, tries_of(ran, way)) == (reference["verdict_id"], 1), "no retry was spent"


def test_a_gate_that_lacks_evidence_always_fails(store: Store, run_dag: RunDag) -> None:
    candidate = measured(store, GOOD)
    gate = {"name": "g", "checks": {"all_of": [{"metric": "auc", "at_least": 0.5}]}}
    ran = run_dag(gated(candidate, "fail", "skip", "succeed", gate=gate))
    for way in ("fail", "skip", "succeed"):
        assert (ran.states[way], ran.xcom(way)["outcome"]) == ("failed", "error")
    assert len(store.verdicts.search(candidate_model_id=candidate).items) == 3, "no retry was spent"


def test_a_store_that_does_not_answer_costs_a_retry(
    run_dag: RunDag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = {"store_url": "postgresql+psycopg://nobody@127.0.0.1:1/none", "artifact_root": str(tmp_path)}
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps({"conn_type": "headgate", "extra": extra}))
    ran = run_dag(gated("m-1", "skip", headgate_conn_id="away"))
    assert ran.states["skip"] == "failed"
    assert tries_of(ran, "skip") == 3


def test_a_verdict_that_holds_is_no_pass(store: Store, run_dag: RunDag) -> None:
    gate = {**GATE, "when_no_champion": "hold"}
    with DAG(new_name("gated"), schedule=None) as dag:
        GateOperator(task_id="gate", gate=gate, model_name="m", candidate=measured(store, GOOD), on_reject="skip")
    ran = run_dag(dag)
    assert (ran.states, ran.xcom("gate")["outcome"]) == ({"gate": "skipped"}, "hold")


@pytest.mark.parametrize(
    ("f1", "followed"),
    [
        (BAD, {"tell": "success", "tidy.first": "success", "promote": "skipped", "deploy": "skipped"}),
        (GOOD, {"tell": "skipped", "tidy.first": "skipped", "promote": "success", "deploy": "success"}),
    ],
)
def test_a_branch_follows_the_tasks_and_groups_that_were_named(
    store: Store, run_dag: RunDag, f1: float, followed: dict[str, str]
) -> None:
    with DAG(new_name("branches"), schedule=None) as dag, TaskGroup("decide"):
        gate = GateOperator(
            task_id="gate",
            gate=GATE,
            model_name="m",
            candidate=measured(store, f1),
            on_reject="branch",
            on_reject_tasks=["tell", "decide.tidy"],
        )
        with TaskGroup("tidy") as tidy:
            EmptyOperator(task_id="first")
        gate >> [EmptyOperator(task_id="tell"), tidy]
        gate >> EmptyOperator(task_id="promote") >> EmptyOperator(task_id="deploy")
    ran = run_dag(dag)
    assert ran.states == {"decide.gate": "success", **{f"decide.{name}": state for name, state in followed.items()}}
    assert ran.xcom("decide.gate")["outcome"] == ("pass" if f1 == GOOD else "reject")


def test_a_branch_may_name_what_follows_a_pass_and_joins_run(store: Store, run_dag: RunDag) -> None:
    with DAG(new_name("branches"), schedule=None) as dag:
        gate = GateOperator(
            task_id="gate",
            gate=GATE,
            model_name="m",
            candidate=measured(store, GOOD),
            on_reject="branch",
            on_reject_tasks="tell",
            on_pass_tasks="promote",
        )
        tell, promote, other = (EmptyOperator(task_id=name) for name in ("tell", "promote", "other"))
        join = EmptyOperator(task_id="join", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        gate >> [tell, promote, other] >> join
    expected = {"gate": "success", "tell": "skipped", "promote": "success", "other": "skipped", "join": "success"}
    assert run_dag(dag).states == expected


@pytest.mark.parametrize("named", ["none_such", "far"])
def test_a_branch_that_leads_nowhere_fails(store: Store, run_dag: RunDag, named: str) -> None:
    with DAG(new_name("branches"), schedule=None) as dag:
        gate = GateOperator(
            task_id="gate",
            gate=GATE,
            model_name="m",
            candidate=measured(store, BAD),
            on_reject="branch",
            on_reject_tasks=named,
            retries=1,
        )
        gate >> EmptyOperator(task_id="near") >> EmptyOperator(task_id="far")
    ran = run_dag(dag)
    assert ran.states == {"gate": "failed", "near": "upstream_failed", "far": "upstream_failed"}
    assert ran.xcom("gate")["outcome"] == "reject"


def test_a_sweep_of_candidates_is_decided_one_by_one(store: Store, run_dag: RunDag) -> None:
    candidates = [measured(store, f1) for f1 in (GOOD, BAD)]

    @task
    def passing(verdicts: list[dict[str, Any]]) -> list[str]:
        return [verdict["candidate_model_id"] for verdict in verdicts if verdict["outcome"] == "pass"]

    with DAG(new_name("sweep"), schedule=None) as dag:
        gates = GateOperator.partial(task_id="gate", gate=GATE, model_name="m", on_reject="succeed")
        passing(gates.expand(candidate=candidates).output)
    ran = run_dag(dag)
    assert ran.states == {"gate[0]": "success", "gate[1]": "success", "passing": "success"}
    assert [ran.xcom("gate", map_index=index)["outcome"] for index in (0, 1)] == ["pass", "reject"]
    assert ran.xcom("passing") == candidates[:1]


def test_fields_are_templates_and_files_stand_beside_the_dag(store: Store, run_dag: RunDag, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("name: filed\nchecks: {all_of: [{metric: f1, above: 0.5}]}")
    candidate, name = measured(store, GOOD), new_name()

    @task
    def train() -> dict[str, Any]:
        return {"run_id": "a" * 32, "model_ids": [candidate]}

    with DAG(new_name("templates"), schedule=None, params={"name": name}) as dag:
        trained = train()
        GateOperator(
            task_id="gate",
            gate="{{ 'gate' }}.yaml",
            model_name="{{ params.name }}",
            candidate=trained,
            target="stage:{{ 'Production' }}",
        )
    (tmp_path / "dag.py").write_text("# where the DAG stands, as far as Airflow knows")
    dag.fileloc = str(tmp_path / "dag.py")
    ran = run_dag(dag)
    assert (ran.xcom("gate")["model_name"], ran.xcom("gate")["gate"]) == (name, "filed")
    assert (ran.xcom("gate")["target"], ran.xcom("gate")["candidate_model_id"]) == ("stage:Production", candidate)


def test_only_the_runs_that_are_named_count(store: Store, run_dag: RunDag) -> None:
    candidate = measured(store, GOOD)
    gate = Gate("g", AllOf([Threshold("f1", above=0.5)]))
    run_id = store.logged_models.get(candidate).source_run_id
    with DAG(new_name("gated"), schedule=None) as dag:
        GateOperator(task_id="counts", gate=gate, model_name="m", candidate=candidate, evaluation_runs=run_id)
        GateOperator(task_id="does_not", gate=gate, model_name="m", candidate=candidate, evaluation_runs=["e" * 32])
    ran = run_dag(dag)
    assert ran.states == {"counts": "success", "does_not": "failed"}
    assert ran.xcom("does_not")["reasons"] == ["f1 > 0.5: The candidate has no metric f1."]


def test_a_gate_that_runs_again_answers_with_the_verdict_of_its_promotion(store: Store, run_dag: RunDag) -> None:
    candidate, dag = measured(store, GOOD), gated("{{ params.candidate }}", "fail")
    dag.params["candidate"] = candidate
    first = run_dag(dag, logical_date=DATE, run_after=DATE).xcom("fail")
    store.promotions.promote(first["verdict_id"], actor="alice", now=store.verdicts.get(first["verdict_id"]).decided_at)
    better = measured(store, 0.95)
    promote_if_passing(store, Gate("screening", AllOf([Threshold("f1", above=0.5)])), first["model_name"], "@champion",
                       better, actor="alice")  # fmt: skip
    assert run_dag(dag, logical_date=DATE, run_after=DATE).xcom("fail") == first
    other = run_dag(dag, run_after=DATE + timedelta(days=1)).xcom("fail")
    assert (other["outcome"], other["verdict_id"] == first["verdict_id"]) == ("reject", False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_reject": "ignore"}, "on_reject of task 'gate' is 'ignore'. Say fail, skip, succeed, branch"),
        ({"on_reject": "branch"}, "Say both"),
        ({"on_reject_tasks": "tell"}, "Say both"),
        ({"on_pass_tasks": "go"}, "on_pass_tasks without a branch"),
        ({"on_reject": "succeed", "outlets": [Asset("table")]}, "outlets table: Airflow would announce them after"),
        ({"shadow": True, "outlets": [Asset("table")]}, "has shadow=True and the outlets table"),
    ],
)
def test_what_can_not_work_is_said_when_the_dag_is_read(options: dict[str, Any], says: str) -> None:
    with DAG(new_name("wrong"), schedule=None), pytest.raises(InvalidInput, match=says):
        GateOperator(task_id="gate", gate=GATE, model_name="m", candidate="m-1", **options)


def test_outlets_that_tell_of_nothing_by_themselves_may_be_said() -> None:
    given: dict[str, Any] = {"gate": GATE, "model_name": "m", "candidate": "m-1"}
    with DAG(new_name("right"), schedule=None):
        GateOperator(task_id="gate", on_reject="succeed", outlets=[AssetAlias("models")], **given)
        GateOperator(task_id="fails", outlets=[Asset("table")], **given)
        with pytest.raises(InvalidInput, match="Airflow would announce them"):
            GateOperator(
                task_id="tells", on_reject="succeed", outlets=[model_asset("churn", alias="champion")], **given
            )
