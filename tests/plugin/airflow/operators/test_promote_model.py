"""``PromoteModelOperator``: one promotion per DAG run, one event per promotion, and none of either after a no."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, Asset, Param

from headgate.airflow import GateOperator, PromoteModelOperator
from headgate.store.clock import now_ms
from headgate.store.entities import ApprovalDecision, Promotion
from headgate.store.errors import InvalidInput
from headgate.store.store import Store
from headgate.tasks import promote_if_passing, roll_back
from headgate.tasks.gates.definition import gate_from_definition
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.dag_runs import DagRun
from tests.plugin.airflow.promotions import events_of

RunDag = Callable[..., DagRun]

DATE = datetime(2026, 11, 2, tzinfo=UTC)
DAY_MS = 86_400_000
GOOD, BAD = 0.9, 0.4
STATES = {"fail": "failed", "skip": "skipped", "succeed": "success"}


@pytest.fixture
def model() -> str:
    return new_name()


def promotes(model: str, candidate: str | None, *ways: str, **options: Any) -> DAG:
    """A DAG that decides and promotes in one task, or in one for each of several ways to end after a rejection.

    The candidate may be left to the parameter ``candidate``.
    """
    with DAG(new_name("promotes"), schedule=None, params={"candidate": Param("", type="string")}) as dag:
        for task_id in ways or ("promote",):
            PromoteModelOperator(
                task_id=task_id,
                gate=GATE,
                model_name=model,
                candidate=candidate or "{{ params.candidate }}",
                retries=1,
                retry_delay=timedelta(0),
                **({"on_reject": task_id} if ways else {}),
                **options,
            )
    return dag


def in_two_tasks(model: str, candidate: str, **options: Any) -> DAG:
    with DAG(new_name("promotes"), schedule=None) as dag:
        gate = GateOperator(task_id="gate", gate=GATE, model_name=model, candidate=candidate)
        PromoteModelOperator(task_id="promote", verdict=gate.output, model_name=model, **options)
    return dag


def champion(store: Store, model: str, f1: float, *, date: int | None = None) -> str:
    model_id = measured(store, f1, date=date)
    promote_if_passing(store, gate_from_definition(GATE), model, "@champion", model_id, actor="alice")
    return model_id


def test_the_verdict_of_a_gate_promotes(store: Store, run_dag: RunDag, model: str) -> None:
    champion(store, model, 0.8)
    candidate = measured(store, GOOD)
    ran = run_dag(in_two_tasks(model, candidate))
    assert ran.states == {"gate": "success", "promote": "success"}
    promotion = store.promotions.current(model, "@champion")
    assert promotion is not None
    assert (promotion.to_version, promotion.from_version, promotion.actor, promotion.reason) == (
        2,
        1,
        f"airflow:{ran.dag_id} (dag_test)",
        f"Airflow DAG run {ran.run_id}",
    )
    assert ran.xcom("promote") == {
        "promotion_id": promotion.promotion_id,
        "model_name": model,
        "target": "@champion",
        "version": 2,
        "model_id": candidate,
        "verdict_id": ran.xcom("gate")["verdict_id"],
        "run_id": store.logged_models.get(candidate).source_run_id,
        "digest": "ab" * 32,
    }
    assert ran.xcom("promote", key="verdict") == ran.xcom("gate")
    (event,) = events_of(model)
    assert (event.extra["promotion_id"], event.source) == (promotion.promotion_id, (ran.dag_id, "promote", -1))


def test_a_gate_and_its_promotion_may_be_one_task(store: Store, run_dag: RunDag, model: str) -> None:
    candidate = measured(store, GOOD)
    ran = run_dag(promotes(model, candidate, target="stage:Production", reason="{{ 'weekly' }}"))
    assert (ran.states, ran.xcom("promote")["version"]) == ({"promote": "success"}, 1)
    promotion = store.promotions.current(model, "stage:Production")
    assert promotion is not None
    assert (promotion.reason, promotion.verdict_id) == ("weekly", ran.xcom("promote", key="verdict")["verdict_id"])
    (event,) = events_of(model)
    assert event.uri.endswith("Production")


def test_a_rejection_promotes_nothing_and_tells_nobody(store: Store, run_dag: RunDag, model: str) -> None:
    standing = champion(store, model, 0.8)
    candidate = measured(store, BAD)
    ran = run_dag(promotes(model, candidate, *STATES))
    assert ran.states == STATES
    for task_id in STATES:
        assert ran.xcom(task_id) == ran.xcom(task_id, key="verdict")
        assert (ran.xcom(task_id)["outcome"], ran.xcom(task_id)["candidate_model_id"]) == ("reject", candidate)
    holder = store.promotions.holder(model, "@champion")
    assert holder is not None
    assert holder.model_id == standing
    assert events_of(model) == []
    assert len(store.verdicts.search(candidate_model_id=candidate).items) == len(STATES), "no retry was spent"


def test_what_ran_before_finds_its_promotion_whoever_came_since(store: Store, run_dag: RunDag, model: str) -> None:
    dag = promotes(model, None)
    when = {"logical_date": DATE, "run_after": DATE, "run_conf": {"candidate": measured(store, GOOD)}}
    first = run_dag(dag, **when).xcom("promote")
    assert run_dag(dag, **when).xcom("promote") == first, "and nothing is promoted again"
    champion(store, model, 0.95)
    assert run_dag(dag, **when).xcom("promote") == first
    roll_back(store, model, "@champion", actor="alice")
    roll_back(store, model, "@champion", actor="alice")
    assert run_dag(dag, **when).xcom("promote") == first, "a clear does not undo what somebody rolled back"
    assert store.promotions.holder(model, "@champion") is None
    assert [event.extra["promotion_id"] for event in events_of(model)] == [first["promotion_id"]]


def test_the_verdict_of_a_gate_promotes_once_however_often_its_task_runs(
    store: Store, run_dag: RunDag, model: str
) -> None:
    dag, when = in_two_tasks(model, measured(store, GOOD)), {"logical_date": DATE, "run_after": DATE}
    first = run_dag(dag, **when)
    champion(store, model, 0.95)
    again = run_dag(dag, **when)
    assert (again.states, again.xcom("promote")) == (first.states, first.xcom("promote"))
    assert len(store.promotions.history(model)) == 2


def test_a_backfill_leaves_a_newer_champion_alone(store: Store, run_dag: RunDag, model: str) -> None:
    today = int(DATE.timestamp() * 1000)
    champion(store, model, 0.8, date=today)
    older = measured(store, GOOD, date=today - DAY_MS)
    ran = run_dag(promotes(model, older, *STATES))
    assert ran.states == STATES
    for task_id in STATES:
        assert (ran.xcom(task_id, key="verdict")["outcome"], ran.xcom(task_id)["outcome"]) == ("pass", "reject")
        assert "stands for an earlier logical date" in ran.xcom(task_id)["reasons"][0]
    assert (len(store.promotions.history(model)), events_of(model)) == (1, [])


def test_a_backfill_displaces_it_where_it_is_told_to(store: Store, run_dag: RunDag, model: str) -> None:
    today = int(DATE.timestamp() * 1000)
    champion(store, model, 0.8, date=today)
    older = measured(store, GOOD, date=today - DAY_MS)
    assert run_dag(promotes(model, older, allow_older=True)).xcom("promote")["model_id"] == older


def test_an_approval_may_be_demanded(store: Store, run_dag: RunDag, model: str) -> None:
    candidate = measured(store, GOOD)
    verdict = run_dag(in_two_tasks(model, candidate, require_approval=True, on_reject="skip"))
    assert verdict.states == {"gate": "success", "promote": "skipped"}
    reference = verdict.xcom("gate")
    approval = store.approvals.record(
        reference["verdict_id"],
        ApprovalDecision.APPROVE,
        actor="bob",
        authenticated=True,
        source="cli",
        now=now_ms(),
    )
    with DAG(new_name("approved"), schedule=None) as dag:
        PromoteModelOperator(
            task_id="promote", verdict=reference["verdict_id"], approval=approval.approval_id, require_approval=True
        )
    ran = run_dag(dag)
    assert ran.states == {"promote": "success"}
    assert store.promotions.get(ran.xcom("promote")["promotion_id"]).approval_id == approval.approval_id
    assert len(events_of(model)) == 1, "also where the model is known only when the task runs"


class Raced(PromoteModelOperator):
    """Others promote between its decision and its promotion, as often as there are figures left."""

    rivals: ClassVar[list[float]] = []

    def _promotion(self, store: Store, *given: Any) -> Promotion:
        if self.rivals:
            champion(store, str(self.model_name), self.rivals.pop(0))
        return super()._promotion(store, *given)


@pytest.mark.parametrize(("rivals", "outcome", "history"), [([0.5, 0.6], "pass", 3), ([0.5, 0.95], "reject", 2)])
def test_a_gate_decides_again_where_another_promotion_came_first(
    store: Store, run_dag: RunDag, model: str, rivals: list[float], outcome: str, history: int
) -> None:
    Raced.rivals[:] = rivals
    with DAG(new_name("raced"), schedule=None) as dag:
        Raced(task_id="promote", gate=GATE, model_name=model, candidate=measured(store, GOOD), on_reject="skip")
    ran = run_dag(dag)
    assert ran.states == {"promote": "success" if outcome == "pass" else "skipped"}
    assert ran.xcom("promote", key="verdict")["outcome"] == outcome
    assert (Raced.rivals, len(store.promotions.history(model))) == ([], history)


def test_a_verdict_from_elsewhere_is_refused_then(store: Store, run_dag: RunDag, model: str) -> None:
    Raced.rivals[:] = [0.5]
    with DAG(new_name("raced"), schedule=None) as dag:
        gate = GateOperator(task_id="gate", gate=GATE, model_name=model, candidate=measured(store, GOOD))
        Raced(task_id="promote", verdict=gate.output, model_name=model, on_reject="skip", retries=1)
    assert run_dag(dag).states == {"gate": "success", "promote": "failed"}
    assert len(store.promotions.history(model)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model_name": "another"}, "has the model_name"),
        ({"target": "@challenger"}, "has the target '@champion', not '@challenger'"),
        ({"candidate": "m-another"}, "has the candidate_model_id"),
    ],
)
def test_a_verdict_on_something_else_promotes_nothing(
    store: Store, run_dag: RunDag, model: str, options: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    verdict_id = run_dag(in_two_tasks(model, measured(store, GOOD), require_approval=True)).xcom("gate")["verdict_id"]
    with DAG(new_name("mistaken"), schedule=None) as dag:
        PromoteModelOperator(task_id="promote", **{"verdict": verdict_id, "model_name": model, "retries": 1, **options})
    ran = run_dag(dag)
    assert ran.states == {"promote": "failed"}
    assert store.promotions.history(model) == ()
    assert ran.xcom("promote") is None


@pytest.mark.parametrize("verdict", ["{{ ti.xcom_pull('nowhere') }}", "v-none"])
def test_without_a_verdict_nothing_is_promoted(store: Store, run_dag: RunDag, verdict: str) -> None:
    with DAG(new_name("mistaken"), schedule=None) as dag:
        PromoteModelOperator(task_id="promote", verdict=verdict, on_reject="succeed", retries=1)
    assert run_dag(dag).states == {"promote": "failed"}


def test_several_candidates_are_promoted_by_mapped_tasks(store: Store, run_dag: RunDag, model: str) -> None:
    names = [f"{model}-{region}" for region in ("eu", "us")]
    sets = [{"model_name": name, "candidate": measured(store, f1)} for name, f1 in zip(names, (GOOD, BAD), strict=True)]
    with DAG(new_name("regions"), schedule=None) as dag:
        promote = PromoteModelOperator.partial(task_id="promote", gate=GATE, on_reject="succeed")
        promote.expand_kwargs(sets)
    ran = run_dag(dag)
    assert ran.states == {"promote[0]": "success", "promote[1]": "success"}
    assert (ran.xcom("promote", map_index=0)["version"], ran.xcom("promote", map_index=1)["outcome"]) == (1, "reject")
    assert [event.extra["model_name"] for event in events_of(model)] == names[:1]


def test_a_branch_follows_the_promotion(store: Store, run_dag: RunDag, model: str) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    dag = promotes(model, measured(store, GOOD), on_reject="branch", on_reject_tasks="tell")
    with dag:
        dag.get_task("promote") >> [EmptyOperator(task_id="tell"), EmptyOperator(task_id="deploy")]
    ran = run_dag(dag)
    assert ran.states == {"promote": "success", "tell": "skipped", "deploy": "success"}
    assert ran.xcom("promote")["version"] == 1
    assert len(events_of(model)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "neither a verdict nor a gate"),
        ({"verdict": "v-1", "gate": GATE}, "both a verdict and a gate"),
        ({"gate": GATE, "candidate": "m-1"}, "no model_name"),
        ({"gate": GATE, "model_name": "m"}, "no candidate"),
        ({"verdict": "v-1", "on_reject": "succeed", "outlets": [Asset("table")]}, "outlets table"),
    ],
)
def test_what_can_not_work_is_said_when_the_dag_is_read(options: dict[str, Any], says: str) -> None:
    with DAG(new_name("wrong"), schedule=None), pytest.raises(InvalidInput, match=says):
        PromoteModelOperator(task_id="promote", **options)
