"""Approvals: what people said of a verdict, bound to what it was about, and what a promotion makes of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store.entities import Approval, ApprovalDecision, Promotion, Verdict
from headgate.store.errors import InvalidInput, NotApproved, NotFound, StaleApproval, VerdictUnusable
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.tables import metadata
from tests.store.approval_cases import APPROVE, REJECT, SIGNED_ALICE, TIMED_OUT, at_once, promote, say
from tests.store.promotion_cases import CHAMPION, DAY, HOUR, MODEL, NOW, candidate, verdict_on

# ---------------------------------------------------------------------------------------------------------------------
# What is written


def test_an_approval_is_read_back_as_it_was_recorded(store: Store, verdict: Verdict) -> None:
    approval = say(store, verdict, reason="größer, and better", now=NOW + HOUR, **SIGNED_ALICE)
    assert approval == Approval(
        approval_id=approval.approval_id,
        verdict_id=verdict.verdict_id,
        sequence=1,
        decision=APPROVE,
        actor="alice",
        authenticated=True,
        source="airflow-hitl",
        created_at=NOW + HOUR,
        model_name=MODEL,
        target=CHAMPION,
        candidate_model_id=verdict.candidate_model_id,
        gate_digest=verdict.gate_digest,
        candidate_digest=verdict.candidate_digest,
        reason="größer, and better",
    )
    assert store.approvals.get(approval.approval_id) == approval
    assert store.approvals.of_verdict(verdict.verdict_id) == (approval,)


def test_the_same_word_again_is_the_same_record(store: Store, verdict: Verdict) -> None:
    first = say(store, verdict, reason="fine")
    assert say(store, verdict, reason="fine indeed", now=NOW + HOUR) == first
    silence = {"actor": "", "source": "airflow-hitl"}
    nobody = say(store, verdict, TIMED_OUT, **silence)
    assert say(store, verdict, TIMED_OUT, **silence) == nobody
    assert store.approvals.of_verdict(verdict.verdict_id) == (first, nobody)
    promote(store, verdict)
    assert say(store, verdict, now=NOW + 9 * DAY) == first


def test_a_changed_mind_is_a_record_of_its_own(store: Store, verdict: Verdict) -> None:
    words = [say(store, verdict, decision) for decision in (APPROVE, REJECT, APPROVE)]
    assert [word.sequence for word in words] == [1, 2, 3]
    assert store.approvals.of_verdict(verdict.verdict_id) == tuple(words)
    assert promote(store, verdict).approval_id == words[-1].approval_id


def test_words_said_at_once_are_all_kept(store: Store, verdict: Verdict) -> None:
    people = [f"person {number}" for number in range(4)]
    words = at_once(*(partial(say, store, verdict, actor=actor) for actor in people))
    assert {type(word) for word in words} == {Approval}
    said = store.approvals.of_verdict(verdict.verdict_id)
    assert [word.sequence for word in said] == [1, 2, 3, 4]
    assert {word.actor for word in said} == set(people)


@pytest.mark.parametrize(
    ("decision", "change", "says"),
    [
        (APPROVE, {"actor": ""}, "names nobody"),
        (REJECT, {"actor": ""}, "names nobody"),
        (TIMED_OUT, {"actor": "alice"}, "'alice' can't have let the time run out"),
        (APPROVE, {"actor": "x" * 257}, "257 characters"),
        (APPROVE, {"actor": "\0"}, "can't store"),
        (APPROVE, {"source": "x" * 65}, "65 characters"),
        (REJECT, {"reason": "x" * 60_001}, "60001 characters"),
    ],
)
def test_a_word_that_can_not_be_recorded_is_refused(
    sqlite_store: Store, decision: ApprovalDecision, change: dict[str, Any], says: str
) -> None:
    verdict = verdict_on(sqlite_store, candidate(sqlite_store))
    with pytest.raises(InvalidInput, match=says):
        say(sqlite_store, verdict, decision, **change)
    assert sqlite_store.approvals.of_verdict(verdict.verdict_id) == ()


def test_what_is_not_there_is_named(store: Store, verdict: Verdict) -> None:
    with pytest.raises(NotFound, match="v-none") as caught:
        say(store, replace(verdict, verdict_id="v-none"))
    assert (caught.value.kind, caught.value.key) == ("verdict", "v-none")
    with pytest.raises(NotFound, match="v-none"):
        store.approvals.require("v-none", now=NOW)
    with pytest.raises(NotFound, match="a-none") as caught:
        store.approvals.get("a-none")
    assert (caught.value.kind, caught.value.key) == ("approval", "a-none")
    assert store.approvals.of_verdict("v-none") == ()


def test_a_workspace_does_not_see_the_approvals_of_another(sqlite_store: Store) -> None:
    verdict = verdict_on(sqlite_store, candidate(sqlite_store))
    approval = say(sqlite_store, verdict)
    with open_store(sqlite_store.url, settings=Settings(workspace="other")) as other:
        with pytest.raises(NotFound):
            other.approvals.get(approval.approval_id)
        with pytest.raises(NotFound):
            say(other, verdict, REJECT)
        assert other.approvals.of_verdict(verdict.verdict_id) == ()


# ---------------------------------------------------------------------------------------------------------------------
# What a promotion makes of it


def test_a_promotion_says_who_approved_it(store: Store, verdict: Verdict) -> None:
    approval = say(store, verdict, **SIGNED_ALICE)
    promotion = promote(store, verdict, require_approval=True)
    assert (promotion.approval_id, promotion.approved_by, promotion.actor) == (approval.approval_id, "alice", "bob")
    assert store.promotions.history(MODEL) == (promotion,)
    outbox = metadata.tables["headgate_outbox"]
    with store.database.read() as conn:
        told = conn.execute(sa.select(outbox.c.payload).where(outbox.c.topic == "promotion")).scalar_one()
    assert (told["approval_id"], told["approved_by"]) == (approval.approval_id, "alice")


def test_an_approval_that_is_there_counts_unasked(store: Store, verdict: Verdict) -> None:
    say(store, verdict, actor="carol")
    latest = say(store, verdict)
    assert promote(store, verdict).approval_id == latest.approval_id


def test_without_an_approval_nothing_is_promoted_where_one_is_required(store: Store, verdict: Verdict) -> None:
    with pytest.raises(NotApproved, match="Nobody approved") as caught:
        promote(store, verdict, require_approval=True)
    assert (caught.value.verdict_id, caught.value.exit_code) == (verdict.verdict_id, 3)
    assert verdict.verdict_id in caught.value.remedy
    assert store.promotions.history(MODEL) == ()
    promotion = promote(store, verdict)
    assert (promotion.approval_id, promotion.approved_by) == (None, None)


@pytest.mark.parametrize("required", [False, True])
def test_a_rejection_counts_whether_or_not_an_approval_is_required(
    store: Store, verdict: Verdict, required: bool
) -> None:
    say(store, verdict, actor="carol")
    say(store, verdict, REJECT, reason="It was trained on the wrong data.")
    with pytest.raises(NotApproved, match=r"alice rejected .*: It was trained on the wrong data\.") as caught:
        promote(store, verdict, require_approval=required)
    assert caught.value.rejected_by == "alice"
    assert store.promotions.holder(MODEL, CHAMPION) is None
    say(store, verdict)
    assert promote(store, verdict, require_approval=required).approved_by == "alice"


def test_a_claimed_name_does_not_take_back_an_authenticated_word(store: Store, verdict: Verdict) -> None:
    say(store, verdict, REJECT, **SIGNED_ALICE)
    say(store, verdict)
    with pytest.raises(NotApproved):
        promote(store, verdict)
    say(store, verdict, **SIGNED_ALICE)
    assert promote(store, verdict).approved_by == "alice"


def test_no_answer_in_time_is_neither_approval_nor_rejection(store: Store, verdict: Verdict) -> None:
    say(store, verdict, TIMED_OUT, actor="", reason="nobody answered within 1:00:00")
    with pytest.raises(NotApproved, match="Nobody approved"):
        promote(store, verdict, require_approval=True)
    say(store, verdict)
    assert promote(store, verdict, require_approval=True).approved_by == "alice"


def test_a_named_approval_has_to_be_of_this_verdict_and_to_stand(store: Store, verdict: Verdict) -> None:
    other = say(store, verdict_on(store, candidate(store)))
    with pytest.raises(StaleApproval, match="is not one of the verdict"):
        promote(store, verdict, approval_id=other.approval_id)
    first = say(store, verdict)
    say(store, verdict, REJECT)
    again = say(store, verdict)
    with pytest.raises(StaleApproval, match="does not stand any more"):
        promote(store, verdict, approval_id=first.approval_id)
    assert promote(store, verdict, approval_id=again.approval_id).approval_id == again.approval_id


def test_a_promotion_asked_again_is_the_same_and_not_an_approved_one_afterwards(store: Store, verdict: Verdict) -> None:
    approval = say(store, verdict)
    promotion = promote(store, verdict, require_approval=True)
    for asked in ({}, {"require_approval": True}, {"approval_id": approval.approval_id}):
        assert promote(store, verdict, **asked) == promotion
    with pytest.raises(VerdictUnusable, match=f"rests on the approval {approval.approval_id}"):
        promote(store, verdict, approval_id="a-other")


def test_an_unapproved_promotion_does_not_answer_for_an_approved_one(store: Store, verdict: Verdict) -> None:
    promote(store, verdict)
    with pytest.raises(VerdictUnusable, match="rests on no approval"):
        promote(store, verdict, require_approval=True)


def test_what_was_promoted_is_neither_approved_nor_rejected_afterwards(store: Store, verdict: Verdict) -> None:
    promote(store, verdict)
    for decision in (APPROVE, REJECT):
        with pytest.raises(VerdictUnusable, match="was used by the promotion"):
            say(store, verdict, decision)
    assert store.approvals.of_verdict(verdict.verdict_id) == ()


def test_a_rejection_beside_a_promotion_comes_before_it_or_is_refused(store: Store) -> None:
    for _ in range(5):
        verdict = verdict_on(store, candidate(store))
        said, done = at_once(partial(say, store, verdict, REJECT), partial(promote, store, verdict))
        assert (type(said), type(done)) in ((Approval, NotApproved), (VerdictUnusable, Promotion))
