"""A task that asks is parked outside of any process: deferred by the oldest Airflow, awaiting input by newer ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store.entities import ApprovalDecision
from headgate.store.store import Store
from headgate.tasks import decide_promotion, gate_from_definition
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.people import respond, waiting
from tests.plugin.airflow.supervised import queue_task, resume_deferred, supervise

DAG_FILE = """\
from airflow.sdk import DAG
from headgate.airflow import ApprovePromotionOperator

with DAG({dag_id!r}, schedule=None):
    ApprovePromotionOperator(task_id="approve", verdict={verdict!r}, on_reject="skip")
"""


@pytest.fixture
def dag_file(airflow_database: None, airflow_home: Path) -> Iterator[Path]:
    file = airflow_home / "dags" / f"{new_name('parked').replace('-', '_')}.py"
    yield file
    file.unlink(missing_ok=True)


@pytest.mark.oldest_airflow
@pytest.mark.parametrize(("option", "state"), [("Approve", "success"), ("Reject", "skipped")])
def test_an_answer_resumes_the_task_that_asked(store: Store, dag_file: Path, option: str, state: str) -> None:
    model = new_name()
    verdict = decide_promotion(store, gate_from_definition(GATE), model, "@champion", measured(store, 0.9))
    dag_file.write_text(DAG_FILE.format(dag_id=dag_file.stem, verdict=verdict.verdict_id))

    asked = supervise(queue_task(dag_file.stem, "approve"))
    asked.wait()
    assert asked.state in ("deferred", "awaiting_input"), asked.log
    question = waiting(dag_file.stem, "approve")
    assert question is not None
    assert verdict.candidate_model_id in question["subject"]
    assert respond(question, "alice", option, "looked at it") is None
    if asked.state == "deferred":
        resume_deferred(asked)

    resumed = supervise(queue_task(dag_file.stem, "approve"))
    resumed.wait()
    assert resumed.state == state, resumed.log
    (approval,) = store.approvals.of_verdict(verdict.verdict_id)
    said = ApprovalDecision.APPROVE if option == "Approve" else ApprovalDecision.REJECT
    assert (approval.decision, approval.actor, approval.reason) == (said, "alice", "looked at it")
