"""``ApprovePromotionOperator`` after a clear: an answer is one to what the person saw, and the task is parked.

Tasks run as a worker runs them, because ``dag.test()`` clears nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.store import Store
from headgate.tasks import approve, decide_promotion, gate_from_definition, promote
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.people import api, respond, waiting
from tests.plugin.airflow.supervised import SupervisedTask, start_task

DAG_FILE = """\
from pathlib import Path
from airflow.sdk import DAG
from headgate.airflow import ApprovePromotionOperator

with DAG({dag_id!r}, schedule=None, user_defined_macros={{"said": lambda: Path({place!r}).read_text()}}):
    ApprovePromotionOperator(task_id="approve", verdict="{{{{ said() }}}}")
"""


class Asking:
    """A task that asks about the verdict whose id stands in a file."""

    def __init__(self, dag_id: str, place: Path, store: Store) -> None:
        self.dag_id = dag_id
        self.place = place
        self.store = store
        self.model_name = new_name()
        self.tries = 0

    def decide(self) -> str:
        """Let the gate decide on a new candidate, and return the verdict that the task will ask about."""
        candidate = measured(self.store, 0.9)
        verdict = decide_promotion(self.store, gate_from_definition(GATE), self.model_name, "@champion", candidate)
        self.place.write_text(verdict.verdict_id)
        return verdict.verdict_id

    def go_on(self, *, new_try: bool = False) -> SupervisedTask:
        """Run the task until it is parked or ends."""
        self.tries += new_try
        task = start_task(self.dag_id, "approve", try_number=self.tries)
        task.wait()
        return task

    def question(self) -> dict[str, Any]:
        found = waiting(self.dag_id, "approve")
        assert found is not None
        return found

    def clear(self) -> None:
        cleared = {"dry_run": False, "task_ids": ["approve"], "dag_run_id": "manual__1", "only_failed": False}
        api("POST", f"/api/v2/dags/{self.dag_id}/clearTaskInstances", cleared)


@pytest.fixture
def asking(airflow_database: None, airflow_home: Path, store: Store, tmp_path: Path) -> Iterator[Asking]:
    dag_id = new_name("asks").replace("-", "_")
    place = tmp_path / "verdict"
    dag_file = airflow_home / "dags" / f"{dag_id}.py"
    dag_file.write_text(DAG_FILE.format(dag_id=dag_id, place=str(place)))
    yield Asking(dag_id, place, store)
    dag_file.unlink()


def test_while_it_waits_no_process_runs_and_the_answer_resumes_it(asking: Asking, store: Store) -> None:
    verdict = asking.decide()
    parked = asking.go_on(new_try=True)
    assert parked.state == "awaiting_input"
    assert not parked.supervisor.is_alive()
    assert respond(asking.question(), "alice", "Approve", "fine") is None
    assert parked.state == "scheduled"
    assert asking.go_on().state == "success"
    (approval,) = store.approvals.of_verdict(verdict)
    assert (approval.actor, approval.reason) == ("alice", "fine")


def test_after_a_clear_it_asks_again_about_the_same_verdict(asking: Asking, store: Store) -> None:
    verdict = asking.decide()
    asking.go_on(new_try=True)
    respond(asking.question(), "alice", "Approve", None)
    assert asking.go_on().state == "success"
    asking.clear()
    assert asking.go_on(new_try=True).state == "awaiting_input", "the old answer does not count"
    respond(asking.question(), "bob", "Reject", "on second thoughts")
    assert asking.go_on().state == "failed"
    assert [(said.actor, said.decision) for said in store.approvals.of_verdict(verdict)] == [
        ("alice", "approve"),
        ("bob", "reject"),
    ]


def test_an_answer_to_what_was_decided_before_is_stale(asking: Asking, store: Store) -> None:
    before = asking.decide()
    asking.go_on(new_try=True)
    question = asking.question()
    now = asking.decide()  # the gate alone was cleared
    respond(question, "alice", "Approve", None)
    resumed = asking.go_on()
    assert resumed.state == "failed"
    assert f"The answer of alice is about the verdict {before}" in resumed.log
    assert now in resumed.log
    assert store.approvals.of_verdict(before) == store.approvals.of_verdict(now) == ()


def test_nobody_answers_a_question_that_they_can_not_see(asking: Asking, store: Store) -> None:
    before = asking.decide()
    asking.go_on(new_try=True)
    assert before in asking.question()["body"]
    asking.clear()
    now = asking.decide()
    again = asking.go_on(new_try=True)
    assert again.state == "failed", "Airflow keeps the text of the first try"
    assert "Airflow keeps the question of an earlier try" in again.log
    assert f"headgate gate approve {now}" in again.log
    said = approve(store, now, actor="alice", source="cli")
    asking.clear()
    assert asking.go_on(new_try=True).state == "success"
    assert store.approvals.of_verdict(now) == (said,)
    assert store.approvals.of_verdict(before) == ()


def test_an_answer_after_a_promotion_is_stale(asking: Asking, store: Store) -> None:
    verdict = asking.decide()
    asking.go_on(new_try=True)
    promote(store, verdict, actor="bob")
    respond(asking.question(), "alice", "Approve", None)
    resumed = asking.go_on()
    assert resumed.state == "failed"
    assert "was used by the promotion" in resumed.log
