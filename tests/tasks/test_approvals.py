"""Asking somebody to approve a promotion, and what becomes of the answer when things changed meanwhile."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.store.entities import Approval, ApprovalDecision, Outcome, Verdict
from headgate.store.errors import (
    ChampionChanged,
    GateErrored,
    GateHeld,
    GateRejected,
    HeadgateError,
    NotApproved,
    NotFound,
    StaleApproval,
    VerdictUnusable,
)
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.tasks import (
    ApprovalRequest,
    approve,
    asked_before,
    promote,
    record_answer,
    reject,
    request_approval,
    require_approval,
    verdict_markdown,
)
from tests.store.promotion_cases import MODEL, NOW, candidate, verdict_on
from tests.store.promotion_cases import promote as promote_another

WHO: dict[str, Any] = {"actor": "alice", "source": "airflow-hitl", "authenticated": True}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


@pytest.fixture
def verdict(store: Store) -> Verdict:
    return verdict_on(store, candidate(store))


def answer(
    store: Store, request: ApprovalRequest, decision: ApprovalDecision = ApprovalDecision.APPROVE, **changes: Any
) -> Approval:
    said = {"verdict_id": request.verdict.verdict_id, "now": NOW, **WHO, **changes}
    return record_answer(store, request.shown, decision=decision, **said)


def test_a_request_shows_the_verdict(store: Store, verdict: Verdict) -> None:
    request = request_approval(store, verdict.verdict_id, now=NOW)
    assert request.verdict == verdict
    assert request.subject == f"Promote {verdict.candidate_model_id} to {MODEL} @champion, in place of nobody?"
    assert request.body == verdict_markdown(verdict)
    assert json.loads(json.dumps(request.shown)) == request.shown
    assert store.approvals.of_verdict(verdict.verdict_id) == ()


def test_an_answer_is_recorded_and_promotes(store: Store, verdict: Verdict) -> None:
    request = request_approval(store, verdict.verdict_id, now=NOW)
    approval = answer(store, request, reason="fine")
    assert (approval.actor, approval.authenticated, approval.reason) == ("alice", True, "fine")
    assert require_approval(store, verdict.verdict_id, now=NOW) == approval
    promotion = promote(store, verdict.verdict_id, actor="dag", approval_id=approval.approval_id, now=NOW)
    assert promotion.approved_by == "alice"


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(Outcome.REJECT, GateRejected), (Outcome.HOLD, GateHeld), (Outcome.ERROR, GateErrored)],
)
def test_nobody_is_asked_about_a_verdict_that_does_not_pass(
    store: Store, outcome: Outcome, error: type[HeadgateError]
) -> None:
    verdict = verdict_on(store, candidate(store), outcome=outcome)
    with pytest.raises(error):
        request_approval(store, verdict.verdict_id, now=NOW)
    with pytest.raises(error):
        approve(store, verdict.verdict_id, now=NOW, **WHO)


def test_nobody_is_asked_about_what_would_be_refused_anyway(store: Store, verdict: Verdict) -> None:
    with pytest.raises(VerdictUnusable, match="expired"):
        request_approval(store, verdict.verdict_id, now=verdict.expires_at + 1)
    promote_another(store, candidate(store), now=NOW)
    with pytest.raises(ChampionChanged):
        request_approval(store, verdict.verdict_id, now=NOW)
    with pytest.raises(NotFound):
        request_approval(store, "v-none", now=NOW)


def test_an_answer_to_another_question_is_stale(store: Store, verdict: Verdict) -> None:
    request = request_approval(store, verdict.verdict_id, now=NOW)
    retrained = verdict_on(store, candidate(store))
    for decision in (ApprovalDecision.APPROVE, ApprovalDecision.REJECT):
        with pytest.raises(StaleApproval, match=rf"alice is about the verdict {verdict.verdict_id}") as caught:
            answer(store, request, decision, verdict_id=retrained.verdict_id)
        assert retrained.verdict_id in caught.value.message
        assert (caught.value.shown_verdict_id, caught.value.verdict_id) == (verdict.verdict_id, retrained.verdict_id)
        assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    assert store.approvals.of_verdict(verdict.verdict_id) == store.approvals.of_verdict(retrained.verdict_id) == ()


def test_an_approval_that_comes_too_late_is_stale_and_a_rejection_is_not(store: Store, verdict: Verdict) -> None:
    request = request_approval(store, verdict.verdict_id, now=NOW)
    promote_another(store, candidate(store), now=NOW)
    with pytest.raises(StaleApproval, match=r"The approval of alice is stale\. Version 1 holds @champion"):
        answer(store, request)
    assert answer(store, request, ApprovalDecision.REJECT).decision is ApprovalDecision.REJECT


def test_a_rejection_after_the_promotion_says_so(store: Store, verdict: Verdict) -> None:
    request = request_approval(store, verdict.verdict_id, now=NOW)
    promote(store, verdict.verdict_id, actor="bob", now=NOW)
    with pytest.raises(VerdictUnusable, match="was used by the promotion"):
        answer(store, request, ApprovalDecision.REJECT)


def test_no_answer_promotes_nothing(store: Store, verdict: Verdict) -> None:
    request = request_approval(store, verdict.verdict_id, now=NOW)
    answer(store, request, ApprovalDecision.TIMED_OUT, actor="", authenticated=False)
    with pytest.raises(NotApproved):
        require_approval(store, verdict.verdict_id, now=NOW)
    with pytest.raises(NotApproved):
        promote(store, verdict.verdict_id, actor="dag", require_approval=True, now=NOW)


def test_each_writer_may_run_twice(store: Store, verdict: Verdict) -> None:
    assert reject(store, verdict.verdict_id, now=NOW, **WHO) == reject(store, verdict.verdict_id, now=NOW, **WHO)
    assert approve(store, verdict.verdict_id, now=NOW, **WHO) == approve(store, verdict.verdict_id, now=NOW, **WHO)
    assert len(store.approvals.of_verdict(verdict.verdict_id)) == 2


def test_work_that_starts_again_finds_the_decision_that_was_asked_about(store: Store) -> None:
    model, run_id = candidate(store), store.runs.open("0").info.run_id
    first, again = (verdict_on(store, model, run_id=run_id, decided_at=at) for at in (NOW, NOW + 1))
    assert asked_before(store, again, run_id=first.run_id, now=NOW) == first
    approve(store, first.verdict_id, actor="alice", source="cli", now=NOW)
    assert asked_before(store, again, run_id=first.run_id, now=NOW) == first
    assert asked_before(store, again, run_id=None, now=NOW) == again
    assert asked_before(store, again, run_id=store.runs.open("0").info.run_id, now=NOW) == again
    assert asked_before(store, again, run_id=first.run_id, now=first.expires_at + 1) == again


def test_another_decision_is_not_the_one_that_was_asked_about(store: Store) -> None:
    model, run_id = candidate(store), store.runs.open("0").info.run_id
    first = verdict_on(store, model, run_id=run_id)
    (check,) = first.checks
    measured_anew = verdict_on(store, model, run_id=run_id, checks=(replace(check, actual=0.123),))
    assert asked_before(store, measured_anew, run_id=run_id, now=NOW) == measured_anew
    promote_another(store, candidate(store))
    against_another = verdict_on(store, model, run_id=run_id)
    assert asked_before(store, against_another, run_id=run_id, now=NOW) == against_another
