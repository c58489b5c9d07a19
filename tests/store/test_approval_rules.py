"""Whose word counts, and which of them is the last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.store.approval_checks import in_order, last_words, standing_approval
from headgate.store.entities import Approval, ApprovalDecision, Verdict
from headgate.store.errors import NotApproved
from headgate.store.store import Store
from tests.store.approval_cases import APPROVE, REJECT, SIGNED_ALICE, TIMED_OUT, promote, say
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW, candidate, draft, verdict_on


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
