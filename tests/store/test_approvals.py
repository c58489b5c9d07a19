"""Approvals: what people said of a verdict, bound to what it was about, and what a promotion makes of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store.approval_checks import in_order, last_words, standing_approval
from headgate.store.entities import (
    Approval,
    ApprovalDecision,
    CheckResult,
    LoggedModelStatus,
    Outcome,
    Promotion,
    Severity,
    Verdict,
)
from headgate.store.errors import (
    ChampionChanged,
    HeadgateError,
    InvalidInput,
    NotApproved,
    NotFound,
    StaleApproval,
    TargetGuarded,
    VerdictUnusable,
)
from headgate.store.promotion_checks import awaits_approval
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.tables import metadata
from tests.store.promotion_cases import (
    CHAMPION,
    DAY,
    DEFINITION,
    HOUR,
    MODEL,
    NOW,
    PASSED,
    candidate,
    draft,
    verdict_on,
)
from tests.store.promotion_cases import promote as promote_another

APPROVE, REJECT, TIMED_OUT = ApprovalDecision
SIGNED_ALICE = {"actor": "alice", "authenticated": True, "source": "airflow-hitl"}


def say(store: Store, verdict: Verdict, decision: ApprovalDecision = APPROVE, **changes: Any) -> Approval:
    said = {"actor": "alice", "authenticated": False, "source": "cli", "now": NOW, **changes}
    return store.approvals.record(verdict.verdict_id, decision, **said)


def promote(store: Store, verdict: Verdict, **asked: Any) -> Any:
    return store.promotions.promote(verdict.verdict_id, actor="bob", now=NOW, **asked)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do everything at the same time; return what came of each, refusals included."""
    ready = Barrier(len(acts))

    def done(act: Callable[[], Any]) -> Any:
        ready.wait(60)
        try:
            return act()
        except HeadgateError as refusal:
            return refusal

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(done, acts))


def change_files(store: Store, model_id: str) -> None:
    """Give a model other files than it had, as nothing in Headgate does."""
    table = metadata.tables["headgate_logged_model"]
    with store.database.write() as conn:
        conn.execute(sa.update(table).where(table.c.model_id == model_id).values(artifact_digest="cd" * 32))


@pytest.fixture
def verdict(store: Store) -> Verdict:
    return verdict_on(store, candidate(store))


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


# ---------------------------------------------------------------------------------------------------------------------
# Where the gate asks for an approval itself: it holds, people agree, and it decides again

ASKED = {
    **DEFINITION,
    "checks": {"all_of": [*DEFINITION["checks"]["all_of"], {"approval": "required", "by": ["alice"]}]},
}
WAITS = CheckResult("all_of[1]", "approval", "approved among alice", Outcome.HOLD)
GRANTED = replace(WAITS, outcome=Outcome.PASS)


def held_and_passed(store: Store, **changes: Any) -> tuple[Verdict, Verdict]:
    model = candidate(store)
    held = verdict_on(
        store, model, gate_definition=ASKED, outcome=Outcome.HOLD, checks=(PASSED, WAITS), decided_at=NOW - 1, **changes
    )
    return held, verdict_on(store, model, gate_definition=ASKED, checks=(PASSED, GRANTED))


def test_the_approval_of_a_held_verdict_is_what_the_promotion_rests_on(store: Store) -> None:
    held, passed = held_and_passed(store)
    approval = say(store, held)
    say(store, held, actor="mallory")  # whose word the gate does not count
    assert store.approvals.require(passed.verdict_id, now=NOW) == approval
    promotion = promote(store, passed, require_approval=True)
    assert (promotion.approval_id, promotion.approved_by) == (approval.approval_id, "alice")


def test_a_rejection_of_a_held_verdict_stops_the_promotion_of_the_one_that_followed(store: Store) -> None:
    held, passed = held_and_passed(store)
    say(store, held)
    say(store, held, REJECT, actor="bob", reason="No!")
    with pytest.raises(NotApproved, match=r"bob rejected .*: No!"):
        promote(store, passed)
    assert store.promotions.history(MODEL) == ()
    say(store, passed, actor="bob", now=NOW + 1)  # whoever rejected it approves after all
    assert promote(store, passed).approved_by == "alice"


@pytest.mark.parametrize("change", [{"champion_version": 7}, {"candidate_digest": "cd" * 32}, {"shadow": True}])
def test_what_was_said_of_a_held_verdict_about_something_else_does_not_count(
    store: Store, change: dict[str, Any]
) -> None:
    held, passed = held_and_passed(store, **change)
    say(store, held, REJECT)
    assert promote(store, passed).approved_by is None


def test_a_verdict_whose_gate_asks_nobody_is_not_bound_to_held_ones(store: Store) -> None:
    model = candidate(store)
    held = verdict_on(store, model, outcome=Outcome.HOLD)
    say(store, held, REJECT)
    assert promote(store, verdict_on(store, model)).approved_by is None


def test_a_held_verdict_is_rejected_no_more_once_the_one_that_followed_was_promoted(store: Store) -> None:
    held, passed = held_and_passed(store)
    say(store, held)
    promotion = promote(store, passed)
    with pytest.raises(VerdictUnusable, match=f"was followed by the promotion {promotion.promotion_id}"):
        say(store, held, REJECT, actor="bob")
    store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW)
    model = store.logged_models.get(passed.candidate_model_id)
    later = {"gate_definition": ASKED, "outcome": Outcome.HOLD, "checks": (PASSED, WAITS), "decided_at": NOW + 1}
    say(store, verdict_on(store, model, **later), REJECT, actor="bob")


def test_a_rejection_of_a_held_verdict_beside_the_promotion_comes_before_it_or_is_refused(store: Store) -> None:
    for _ in range(5):
        held, passed = held_and_passed(store)
        say(store, held)
        said, done = at_once(partial(say, store, held, REJECT, actor="bob"), partial(promote, store, passed))
        assert (type(said), type(done)) in ((Approval, NotApproved), (VerdictUnusable, Promotion))


@pytest.mark.parametrize(
    ("checks", "waits"),
    [
        ((PASSED, WAITS), True),
        ((PASSED, replace(PASSED, outcome=Outcome.HOLD), WAITS), False),
        ((PASSED, replace(PASSED, outcome=Outcome.HOLD, severity=Severity.WARN), WAITS), True),
        ((PASSED, GRANTED), False),
        ((WAITS, WAITS), True),
    ],
)
def test_a_verdict_awaits_an_approval_that_is_held_for_nothing_else(
    sqlite_store: Store, checks: tuple[CheckResult, ...], waits: bool
) -> None:
    placed = tuple(replace(check, path=f"all_of[{index}]") for index, check in enumerate(checks))
    verdict = verdict_on(
        sqlite_store, candidate(sqlite_store), gate_definition=ASKED, outcome=Outcome.HOLD, checks=placed
    )
    assert awaits_approval(verdict) is waits
    if waits:
        say(sqlite_store, verdict)
    else:
        with pytest.raises(VerdictUnusable, match="says hold"):
            say(sqlite_store, verdict)


def test_an_alternative_that_lost_is_nothing_that_an_approval_has_to_wait_for(sqlite_store: Store) -> None:
    lost = replace(PASSED, path="all_of[1].any_of[0]", outcome=Outcome.REJECT)
    won = replace(PASSED, path="all_of[1].any_of[1]")
    checks = (replace(WAITS, path="all_of[0]"), lost, won)
    verdict = draft(sqlite_store, candidate(sqlite_store), outcome=Outcome.HOLD, checks=checks)
    assert awaits_approval(verdict)
    assert not awaits_approval(replace(verdict, checks=(checks[0], lost, replace(won, outcome=Outcome.REJECT))))


# ---------------------------------------------------------------------------------------------------------------------
# What makes it stale


def retrained(store: Store, verdict: Verdict) -> None:
    change_files(store, verdict.candidate_model_id)


def deleted(store: Store, verdict: Verdict) -> None:
    store.logged_models.delete(verdict.candidate_model_id, now=NOW)


def champion_changed(store: Store, _: Verdict) -> None:
    promote_another(store, candidate(store), now=NOW)


def gate_changed(store: Store, _: Verdict) -> None:
    store.gates.set(MODEL, CHAMPION, {**DEFINITION, "expires_after": "2d"}, now=NOW + 1)


def other_gate(store: Store, _: Verdict) -> None:
    store.gates.set(MODEL, CHAMPION, {**DEFINITION, "name": "another"}, now=NOW + 1)


CHANGES = [
    (retrained, VerdictUnusable, "other files"),
    (deleted, VerdictUnusable, "deleted"),
    (champion_changed, ChampionChanged, "Version 1 holds @champion"),
    (gate_changed, VerdictUnusable, "before the gate 'screening-gate' was changed"),
    (other_gate, TargetGuarded, "guarded by the gate 'another'"),
]


@pytest.mark.parametrize(("change", "error", "says"), CHANGES)
def test_an_approval_goes_stale_with_what_it_was_given_for(
    store: Store, verdict: Verdict, change: Callable[[Store, Verdict], None], error: type[HeadgateError], says: str
) -> None:
    approval = say(store, verdict)
    assert store.approvals.require(verdict.verdict_id, now=NOW) == approval
    change(store, verdict)
    with pytest.raises(StaleApproval, match=says) as caught:
        store.approvals.require(verdict.verdict_id, now=NOW)
    assert caught.value.approval_id == approval.approval_id
    assert "Decide again" in caught.value.remedy
    with pytest.raises(error, match=says):
        promote(store, verdict, require_approval=True)
    with pytest.raises(error, match=says):
        say(store, verdict, actor="carol")
    rejection = say(store, verdict, REJECT, actor="carol")
    assert store.approvals.of_verdict(verdict.verdict_id) == (approval, rejection)


def test_an_approval_expires_with_its_verdict(store: Store, verdict: Verdict) -> None:
    say(store, verdict)
    with pytest.raises(StaleApproval, match="expired 1 s ago"):
        store.approvals.require(verdict.verdict_id, now=verdict.expires_at + 1000)
    with pytest.raises(VerdictUnusable, match="expired 1 s ago"):
        say(store, verdict, actor="carol", now=verdict.expires_at + 1000)


def test_an_approval_is_used_up_by_the_promotion(store: Store, verdict: Verdict) -> None:
    say(store, verdict)
    promotion = promote(store, verdict)
    with pytest.raises(StaleApproval, match=promotion.promotion_id):
        store.approvals.require(verdict.verdict_id, now=NOW)


@pytest.mark.parametrize("outcome", [Outcome.HOLD, Outcome.REJECT, Outcome.ERROR])
def test_only_a_passing_verdict_is_approved(sqlite_store: Store, outcome: Outcome) -> None:
    verdict = verdict_on(sqlite_store, candidate(sqlite_store), outcome=outcome)
    with pytest.raises(VerdictUnusable, match=f"says {outcome}"):
        say(sqlite_store, verdict)


def test_a_model_that_is_not_ready_is_not_approved(sqlite_store: Store) -> None:
    run = sqlite_store.runs.open("0", now=NOW)
    pending = sqlite_store.logged_models.create("0", source_run_id=run.info.run_id, now=NOW)
    assert pending.status is LoggedModelStatus.PENDING
    with pytest.raises(VerdictUnusable, match="PENDING"):
        say(sqlite_store, verdict_on(sqlite_store, pending))


# ---------------------------------------------------------------------------------------------------------------------
# The rules, without a database


def words(verdict: Verdict, *said: tuple[ApprovalDecision, str, bool]) -> list[Approval]:
    return [
        Approval(
            approval_id=f"a-{number}",
            verdict_id=verdict.verdict_id,
            sequence=number,
            decision=decision,
            actor=actor,
            authenticated=authenticated,
            source="cli",
            created_at=NOW,
            model_name=verdict.model_name,
            target=verdict.target,
            candidate_model_id=verdict.candidate_model_id,
            gate_digest=verdict.gate_digest,
            candidate_digest=verdict.candidate_digest,
        )
        for number, (decision, actor, authenticated) in enumerate(said, 1)
    ]


def test_the_last_word_of_each_person_counts(sqlite_store: Store) -> None:
    verdict = draft(sqlite_store, candidate(sqlite_store))
    said = words(
        verdict,
        (REJECT, "alice", True),
        (APPROVE, "bob", False),
        (APPROVE, "alice", True),
        (TIMED_OUT, "", False),
        (REJECT, "bob", False),
        (APPROVE, "bob", True),
    )
    assert [word.approval_id for word in last_words(reversed(said))] == ["a-3", "a-5", "a-6"]


def test_one_person_is_one_whatever_door_names_them(store: Store) -> None:
    store.gates.set(MODEL, CHAMPION, DEFINITION, quorum=2, now=NOW)
    verdict = verdict_on(store, candidate(store))
    say(store, verdict, **{**SIGNED_ALICE, "actor": "Alice Smith (alice)"})
    say(store, verdict, authenticated=True)
    with pytest.raises(NotApproved, match=r"1 of 2 people approved .*: alice\."):
        promote(store, verdict)
    say(store, verdict, REJECT, authenticated=True)
    say(store, verdict, **{**SIGNED_ALICE, "actor": "Alice Smith (alice)"})
    say(store, verdict, actor="bob")
    assert promote(store, verdict).approved_by == "bob"


def test_words_on_several_verdicts_are_in_the_order_of_time_and_on_one_in_that_of_its_numbers() -> None:
    def word(verdict_id: str, sequence: int, at: int) -> Approval:
        return Approval(
            f"{verdict_id}{sequence}", verdict_id, sequence, APPROVE, "a", True, "cli", at, "m", "@t", "c", "g"
        )

    said = (word("u", 1, 10), word("u", 2, 5), word("v", 1, 7), word("v", 2, 12))
    assert [each.approval_id for each in in_order(said)] == ["v1", "u1", "u2", "v2"]


@pytest.mark.parametrize("change", [{"candidate_digest": "00"}, {"gate_digest": "00"}, {"verdict_id": "v-other"}])
def test_a_word_about_something_else_is_no_approval(sqlite_store: Store, change: dict[str, str]) -> None:
    verdict = draft(sqlite_store, candidate(sqlite_store))
    said = [replace(word, **change) for word in words(verdict, (APPROVE, "alice", True))]
    with pytest.raises(NotApproved):
        standing_approval(verdict, said, required=True)
    assert standing_approval(verdict, said) is None
