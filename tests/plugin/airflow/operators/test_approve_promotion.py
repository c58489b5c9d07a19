"""``ApprovePromotionOperator``: people answer through Airflow's API, and the store holds what they said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TriggerRule

from headgate.airflow import ApprovePromotionOperator, GateOperator, PromoteModelOperator
from headgate.store.entities import ApprovalDecision
from headgate.store.errors import InvalidInput
from headgate.store.store import Store
from headgate.tasks import approve, decide_promotion, gate_from_definition, promote, reject
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.dag_runs import DagRun
from tests.plugin.airflow.people import PATIENCE, Person, respond, waiting
from tests.plugin.airflow.promotions import events_of

RunDag = Callable[..., DagRun]


def asking(candidate: str, model_name: str, **options: Any) -> DAG:
    """Gate, approval, promotion, and a task that runs whatever happens."""
    with DAG(new_name("asking"), schedule=None) as dag:
        gate = GateOperator(task_id="gate", gate=GATE, model_name=model_name, candidate=candidate)
        approval = ApprovePromotionOperator(task_id="approve", verdict=gate.output, **options)
        promotion = PromoteModelOperator(
            task_id="promote", verdict=approval.output, model_name=model_name, require_approval=True
        )
        promotion >> EmptyOperator(task_id="cleanup", trigger_rule=TriggerRule.ALL_DONE)
    return dag


def answered(run_dag: RunDag, dag: DAG, person: Person) -> DagRun:
    thread = person.answers(dag.dag_id)
    ran = run_dag(dag)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    if person.failed is not None:
        raise person.failed
    return ran


def test_an_approval_is_asked_for_recorded_and_promotes(run_dag: RunDag, store: Store) -> None:
    name, candidate = new_name(), measured(store, 0.9)
    alice = Person("alice", "Approve", "looks right")
    dag = asking(candidate, name, body="Look at *{{ dag.dag_id }}*.", assigned_users=[{"id": "alice", "name": "alice"}])
    ran = answered(run_dag, dag, alice)
    assert ran.states == {"gate": "success", "approve": "success", "promote": "success", "cleanup": "success"}

    assert alice.dialog["subject"] == f"Promote {candidate} to {name} @champion, in place of nobody?"
    assert alice.dialog["body"].startswith(f"Look at *{dag.dag_id}*.\n\n| ")
    assert "✅ | f1 >= 0.5 | 0.5 | 0.9 | +0.4 |" in alice.dialog["body"]
    assert alice.dialog["options"] == ["Approve", "Reject"]
    assert alice.dialog["defaults"] == ["Reject"]

    (promotion,) = store.promotions.history(name)
    (approval,) = store.approvals.of_verdict(str(promotion.verdict_id))
    assert (promotion.approval_id, promotion.approved_by) == (approval.approval_id, "alice")
    assert (approval.decision, approval.actor, approval.authenticated) == (ApprovalDecision.APPROVE, "alice", True)
    assert (approval.source, approval.reason) == ("airflow-hitl", "looks right")
    assert ran.xcom("approve") == {
        **ran.xcom("gate"),
        "approval_id": approval.approval_id,
        "decision": "approve",
        "approved_by": "alice",
        "authenticated": True,
        "reason": "looks right",
    }
    assert ran.xcom("approve", key="headgate_verdict_link").endswith(f"/verdicts/{approval.verdict_id}")
    assert [event.extra["promotion_id"] for event in events_of(name)] == [promotion.promotion_id]


@pytest.mark.parametrize(
    ("on_reject", "states"),
    [
        ("fail", {"approve": "failed", "promote": "upstream_failed"}),
        ("skip", {"approve": "skipped", "promote": "skipped"}),
        ("succeed", {"approve": "success", "promote": "failed"}),
    ],
)
def test_a_rejection_promotes_nothing(run_dag: RunDag, store: Store, on_reject: str, states: dict[str, str]) -> None:
    name, candidate = new_name(), measured(store, 0.9)
    ran = answered(run_dag, asking(candidate, name, on_reject=on_reject), Person("bob", "Reject", "too early"))
    assert ran.states == {"gate": "success", "cleanup": "success", **states}
    assert store.promotions.history(name) == ()
    assert events_of(name) == []
    reference = ran.xcom("approve")
    assert (reference["outcome"], reference["decision"], reference["approved_by"]) == ("reject", "reject", None)
    assert reference["reasons"] == ["rejected by bob: too early"]
    (approval,) = store.approvals.of_verdict(reference["verdict_id"])
    assert (approval.decision, approval.actor, approval.reason) == (ApprovalDecision.REJECT, "bob", "too early")


def test_a_branch_follows_the_answer(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    with DAG(new_name("branches"), schedule=None) as dag:
        approval = ApprovePromotionOperator(
            task_id="approve", verdict=verdict, on_reject="branch", on_reject_tasks="tell"
        )
        approval >> [EmptyOperator(task_id="tell"), EmptyOperator(task_id="go_on")]
    ran = answered(run_dag, dag, Person("bob", "Reject"))
    assert ran.states == {"approve": "success", "tell": "success", "go_on": "skipped"}


def passing(store: Store, model_name: str | None = None) -> str:
    """The id of a verdict that passes, on a candidate of its own."""
    gate = gate_from_definition({**GATE, "expires_after": "1d"})
    name = model_name or new_name()
    return decide_promotion(store, gate, name, "@champion", measured(store, 0.9)).verdict_id


def only_asking(verdict: Any, **options: Any) -> DAG:
    with DAG(new_name("only-asking"), schedule=None) as dag:
        ApprovePromotionOperator(task_id="approve", verdict=verdict, **options)
    return dag


def test_an_answer_is_stale_when_the_champion_has_changed(run_dag: RunDag, store: Store) -> None:
    name = new_name()
    verdict = passing(store, name)

    def somebody_else_is_promoted() -> None:
        promote(store, passing(store, name), actor="carol")

    alice = Person("alice", "Approve", before=somebody_else_is_promoted)
    ran = answered(run_dag, only_asking(verdict, on_reject="skip"), alice)
    assert ran.states == {"approve": "failed"}, "a stale answer is no rejection"
    assert store.approvals.of_verdict(verdict) == ()


def test_an_answer_about_another_verdict_is_stale(run_dag: RunDag, store: Store) -> None:
    key, name = new_name("verdict").replace("-", "_"), new_name()
    first, second = passing(store, name), passing(store, name)
    set_variable(key, first)

    def the_gate_decides_anew() -> None:
        set_variable(key, second)

    alice = Person("alice", "Approve", before=the_gate_decides_anew)
    ran = answered(run_dag, only_asking(f"{{{{ var.value.{key} }}}}"), alice)
    assert first in alice.dialog["body"]
    assert ran.states == {"approve": "failed"}
    assert store.approvals.of_verdict(first) == store.approvals.of_verdict(second) == ()


def set_variable(key: str, value: str) -> None:
    from airflow.models.variable import Variable

    Variable.set(key, value)


def test_no_answer_in_time_is_a_no(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    dag = only_asking(verdict, response_timeout=timedelta(seconds=1), on_reject="skip")
    nobody = Person("nobody", "", before=lambda: sweep(dag.dag_id))
    thread = nobody.answers(dag.dag_id)
    ran = run_dag(dag)
    thread.join(PATIENCE)
    assert ran.states == {"approve": "skipped"}
    (approval,) = store.approvals.of_verdict(verdict)
    assert (approval.decision, approval.actor, approval.authenticated) == (ApprovalDecision.TIMED_OUT, "", False)
    assert approval.reason == "nobody answered within 0:00:01"
    assert ran.xcom("approve")["reasons"] == ["not approved: nobody answered within 0:00:01"]


def sweep(dag_id: str) -> None:
    """Do what Airflow's scheduler does every few seconds: end waits whose time is over."""
    import time

    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    scheduler = SchedulerJobRunner(Job())
    until = time.monotonic() + PATIENCE
    while waiting(dag_id, "approve", seconds=0.2) is not None and time.monotonic() < until:
        scheduler.check_awaiting_input_timeouts()
        time.sleep(0.2)


def test_nobody_is_asked_when_somebody_approved_elsewhere(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    said = approve(store, verdict, actor="carol", source="cli", reason="saw it")
    ran = run_dag(only_asking(verdict))
    assert ran.states == {"approve": "success"}
    assert ran.xcom("approve")["approval_id"] == said.approval_id
    assert ran.xcom("approve")["approved_by"] == "carol"


def test_a_rejection_of_somebody_else_stands_against_an_approval(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    reject(store, verdict, actor="carol", source="cli", reason="wrong data")
    ran = answered(run_dag, only_asking(verdict, on_reject="skip"), Person("alice", "Approve"))
    assert ran.states == {"approve": "skipped"}
    assert ran.xcom("approve")["outcome"] == "reject"


def test_nobody_is_asked_about_what_was_promoted_with_an_approval(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    said = approve(store, verdict, actor="alice", source="airflow-hitl", authenticated=True)
    promote(store, verdict, actor="dag", require_approval=True)
    ran = run_dag(only_asking(verdict))
    assert ran.states == {"approve": "success"}
    assert ran.xcom("approve")["approval_id"] == said.approval_id


def test_an_unapproved_promotion_is_not_approved_afterwards(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    promote(store, verdict, actor="dag")
    assert run_dag(only_asking(verdict, on_reject="skip")).states == {"approve": "failed"}


@pytest.mark.parametrize(("f1", "state"), [(0.4, "skipped"), (None, "failed")])
def test_nobody_is_asked_about_a_verdict_that_does_not_pass(
    run_dag: RunDag, store: Store, f1: float | None, state: str
) -> None:
    gate = gate_from_definition(GATE if f1 else {**GATE, "checks": {"all_of": [{"metric": "auc", "at_least": 0.5}]}})
    verdict = decide_promotion(store, gate, new_name(), "@champion", measured(store, f1 or 0.9))
    ran = run_dag(only_asking(verdict.verdict_id, on_reject="skip"))
    assert ran.states == {"approve": state}
    assert ran.xcom("approve")["verdict_id"] == verdict.verdict_id


def test_only_who_is_assigned_may_answer(run_dag: RunDag, store: Store) -> None:
    verdict = passing(store)
    dag = only_asking(verdict, assigned_users=[{"id": "alice", "name": "alice"}])
    refused: list[int | None] = []

    def mallory_tries() -> None:
        question = waiting(dag.dag_id, "approve")
        assert question is not None
        refused.append(respond(question, "mallory", "Approve", None, role="op"))

    ran = answered(run_dag, dag, Person("alice", "Approve", role="op", before=mallory_tries))
    assert refused == [403]
    assert ran.xcom("approve")["approved_by"] == "alice"


def test_a_wrong_verdict_is_named(run_dag: RunDag, store: Store) -> None:
    assert run_dag(only_asking("{{ None }}")).states == {"approve": "failed"}
    assert run_dag(only_asking("v-none")).states == {"approve": "failed"}


@pytest.mark.parametrize("ours", [{"defaults": ["Approve"]}, {"options": ["Yes"]}, {"multiple": True}])
def test_the_answer_by_default_is_no_and_nothing_else(ours: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"takes no {next(iter(ours))}"):
        ApprovePromotionOperator(task_id="approve", verdict="v-1", **ours)
