"""Where the gate asks for an approval itself: it holds, people agree, and it decides again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from headgate.store.entities import Approval, CheckResult, Outcome, Promotion, Severity, Verdict
from headgate.store.errors import NotApproved, VerdictUnusable
from headgate.store.promotion_checks import awaits_approval
from headgate.store.store import Store
from tests.store.approval_cases import REJECT, at_once, promote, say
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW, PASSED, candidate, draft, verdict_on

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
