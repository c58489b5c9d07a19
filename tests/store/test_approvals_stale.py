"""What makes an approval stale, and what can't be approved."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headgate.store.entities import LoggedModelStatus, Outcome, Verdict
from headgate.store.errors import ChampionChanged, HeadgateError, StaleApproval, TargetGuarded, VerdictUnusable
from headgate.store.store import Store
from tests.store.approval_cases import REJECT, change_files, promote, say
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW, candidate, verdict_on
from tests.store.promotion_cases import promote as promote_another


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
