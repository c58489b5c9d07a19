"""Approvals by a paused flow run: asked once, answered by somebody, bound to the verdict, and no is the default."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.input.actions import read_flow_run_input

from headgate.prefect import questions
from headgate.prefect.artifacts.links import verdict_key
from headgate.prefect.artifacts.publish import newest_artifacts
from headgate.prefect.tasks.approve_promotion import ApprovalForm, approve_promotion
from headgate.store.clock import now_ms
from headgate.store.entities import Approval, ApprovalDecision, LoggedModelStatus, Verdict
from headgate.store.errors import GateRejected, InvalidInput, NotApproved, StaleApproval
from headgate.tasks import approvals
from headgate.tasks.approvals import approve
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import decide_promotion, promote
from tests.plugin.prefect.answers import answer, answering, paused_runs, wait_for_question
from tests.plugin.prefect.projects import GATE, measured, new_name

if TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.prefect.server import PrefectServer

pytestmark = pytest.mark.usefixtures("prefect_server")


def decided(store: Store, f1: float = 0.9) -> Verdict:
    return decide_promotion(store, gate_from_definition(GATE), new_name(), "@champion", measured(store, f1))


def asking(verdict: Verdict, **options: Any) -> Any:
    """Return a flow of a name of its own that asks about a verdict."""

    @flow(name=f"asks-{verdict.model_name}")
    def asks() -> Approval:
        return approve_promotion(verdict, poll_seconds=0.3, **options)

    return asks


def test_an_approval_is_recorded_with_who_and_why(store: Store, prefect_server: PrefectServer) -> None:
    verdict = decided(store)
    asks = asking(verdict)
    with answering(prefect_server, asks.name, decision="approve", name=" Ann  Lee ", reason="holdout looks right "):
        approval = asks()
    assert (approval.decision, approval.actor, approval.reason) == ("approve", "Ann Lee", "holdout looks right")
    assert (approval.source, approval.authenticated) == ("prefect", False)
    assert approval.candidate_digest == verdict.candidate_digest
    promotion = promote(store, verdict.verdict_id, actor="flow", require_approval=True)
    assert (promotion.approval_id, promotion.approved_by) == (approval.approval_id, "Ann Lee")
    after, before = newest_artifacts(verdict_key(verdict.model_name, "@champion"), 5)
    assert "f1 \\>= 0.5" in str(before.data) or "f1 >= 0.5" in str(before.data)
    assert "Ann Lee (a claimed name): **approve**: holdout looks right" in str(after.data)


def test_a_rejection_is_a_no_that_is_not_asked_again(store: Store, prefect_server: PrefectServer) -> None:
    verdict = decided(store)
    asks = asking(verdict)
    with (
        answering(prefect_server, asks.name, decision="reject", name="Bob", reason="drift"),
        pytest.raises(NotApproved, match=r"Bob rejected .*: drift"),
    ):
        asks()
    with pytest.raises(NotApproved, match="Bob rejected"):
        asks()


def test_nobody_in_time_is_a_no_and_the_flow_goes_on_to_say_so(store: Store) -> None:
    verdict = decided(store)
    states: list[Any] = []

    @flow(name=f"asks-{verdict.model_name}")
    def asks() -> str:
        try:
            approve_promotion(verdict, timeout_seconds=1, poll_seconds=0.3)
        except NotApproved as refusal:
            states.append(refusal)
        return "went on"

    assert asks() == "went on"
    (word,) = store.approvals.of_verdict(verdict.verdict_id)
    assert (word.decision, word.actor) == (ApprovalDecision.TIMED_OUT, "")
    assert "nobody answered within 1 s" in str(states[0])
    with pytest.raises(NotApproved):
        promote(store, verdict.verdict_id, actor="flow", require_approval=True)


def test_an_answer_without_a_decision_or_a_name_is_refused(store: Store, prefect_server: PrefectServer) -> None:
    verdict = decided(store)
    asks = asking(verdict)
    refused: list[dict[str, Any]] = []

    def answers_badly() -> None:
        flow_run_id = wait_for_question(prefect_server, asks.name)
        careless: list[dict[str, str]] = [
            {"name": "Ann"},
            {"decision": "approve"},
            {"decision": "approve", "name": " "},
        ]
        refused.extend(answer(prefect_server, flow_run_id, said) for said in [*careless, {}])
        answer(prefect_server, flow_run_id, {"decision": "approve", "name": "Ann"})

    thread = threading.Thread(target=answers_badly, daemon=True)
    thread.start()
    assert asks().actor == "Ann"
    thread.join(60)
    assert [said["status"] for said in refused] == ["REJECT"] * 4


def test_an_answer_about_what_has_changed_since_is_stale(store: Store, prefect_server: PrefectServer) -> None:
    verdict = decided(store)
    asks = asking(verdict)

    def trained_again_meanwhile() -> None:
        flow_run_id = wait_for_question(prefect_server, asks.name)
        store.logged_models.finalize(
            verdict.candidate_model_id, LoggedModelStatus.READY, artifact_digest="cd" * 32, now=now_ms()
        )
        answer(prefect_server, flow_run_id, {"decision": "approve", "name": "Ann"})

    thread = threading.Thread(target=trained_again_meanwhile, daemon=True)
    thread.start()
    with pytest.raises(StaleApproval, match="Ann"):
        asks()
    thread.join(60)
    assert store.approvals.of_verdict(verdict.verdict_id) == ()


def test_nobody_is_asked_who_approved_elsewhere(store: Store) -> None:
    verdict = decided(store)
    given = approve(store, verdict.verdict_id, actor="carol", source="cli")
    assert asking(verdict)().approval_id == given.approval_id


def test_an_answer_that_a_dead_process_did_not_record_is_not_lost(
    store: Store, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = decided(store)
    record, calls = approvals.record_answer, []

    def dies_first(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise ConnectionError("the store is away")
        return record(*args, **kwargs)

    monkeypatch.setattr(approvals, "record_answer", dies_first)

    @flow(name=f"asks-{verdict.model_name}")
    def asks() -> Approval:
        return approve_promotion.with_options(retries=1, retry_delay_seconds=0)(verdict, poll_seconds=0.3)

    with answering(prefect_server, asks.name, decision="approve", name="Ann"):
        assert asks().actor == "Ann"  # asked once, though the task ran twice
    assert len(calls) == 2


@pytest.mark.parametrize("fails", ["_show", "_wait"])
def test_a_task_that_fails_while_it_asks_goes_on_in_the_same_pause(
    store: Store, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    verdict = decided(store)
    works, calls = getattr(questions, fails), []

    def fails_first(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise ConnectionError("Prefect's server is away")
        return works(*args)

    monkeypatch.setattr(questions, fails, fails_first)

    @flow(name=f"asks-{verdict.model_name}")
    def asks() -> Approval:
        return approve_promotion.with_options(retries=1, retry_delay_seconds=0)(verdict, poll_seconds=0.3)

    with answering(prefect_server, asks.name, decision="approve", name="Ann"):
        assert asks().actor == "Ann"
    assert len(calls) == 2


def test_the_text_can_be_read_before_anybody_can_answer(
    store: Store, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = decided(store)
    asks = asking(verdict, message="Look at the holdout figures.")
    save, seen = ApprovalForm.save, []

    def looks(keyset: dict[str, str], flow_run_id: UUID, **options: Any) -> None:
        (flow_run,) = paused_runs(prefect_server, asks.name)
        seen.append(answer(prefect_server, flow_run["id"], {"decision": "approve", "name": "Ann"})["status"])
        seen.append(read_flow_run_input(keyset["description"], flow_run_id))
        save(keyset, flow_run_id=flow_run_id, **options)

    monkeypatch.setattr(ApprovalForm, "save", looks)
    with answering(prefect_server, asks.name, decision="approve", name="Ann"):
        asks()
    refused, text = seen
    assert refused == "REJECT"
    assert "Look at the holdout figures." in text


def test_a_verdict_that_does_not_pass_is_no_question(store: Store) -> None:
    with pytest.raises(GateRejected):
        asking(decided(store, 0.1))()


def test_outside_of_a_flow_there_is_nothing_to_pause(store: Store) -> None:
    with pytest.raises(InvalidInput, match="outside of a flow run"):
        approve_promotion(decided(store).verdict_id)
