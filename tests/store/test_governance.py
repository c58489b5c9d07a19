"""Whose approvals a guard counts, who may override it, how stages are entered, and what held a target when."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.store.entities import Approval, ApprovalDecision, Guard, Promotion, PromotionKind, Verdict
from headgate.store.errors import (
    ChampionChanged,
    InvalidInput,
    NotApproved,
    NotFound,
    NotPermitted,
    PromotionRefused,
    StageRefused,
    StaleApproval,
    TargetGuarded,
)
from headgate.store.stage_rules import DEFAULT_ORDER, leads
from headgate.store.store import Store
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW, candidate, promote, verdict_on

PRODUCTION = "stage:Production"


def guard(store: Store, target: str = CHAMPION, **people: Any) -> Guard:
    return store.gates.set(MODEL, target, DEFINITION, now=NOW, actor="root", actor_authenticated=True, **people)


def say(store: Store, verdict: Verdict, who: str, *, known: bool = False, no: bool = False) -> Approval:
    decision = ApprovalDecision.REJECT if no else ApprovalDecision.APPROVE
    return store.approvals.record(verdict.verdict_id, decision, actor=who, authenticated=known, source="test", now=NOW)


def use(store: Store, verdict: Verdict, **options: Any) -> Promotion:
    return store.promotions.promote(verdict.verdict_id, actor="pipeline", now=NOW, **options)


# Approvals


def test_a_quorum_of_the_approvers_is_needed_and_counted_in_the_promotion(store: Store) -> None:
    made = guard(store, approvers=["alice", "bob", "carol"], quorum=2)
    assert (made.approvers, made.quorum, made.authenticated) == (("alice", "bob", "carol"), 2, False)
    assert store.gates.get(MODEL, CHAMPION) == made
    verdict = verdict_on(store, candidate(store))
    with pytest.raises(NotApproved, match="2 people have to approve"):
        use(store, verdict)
    with pytest.raises(NotPermitted, match="mallory may not approve"):
        say(store, verdict, "mallory")
    say(store, verdict, "alice")
    with pytest.raises(NotApproved, match="1 of 2 people approved") as too_few:
        use(store, verdict)
    assert (too_few.value.needed, too_few.value.approved_by) == (2, ["alice"])
    say(store, verdict, "alice", known=True)  # the same person, known by another door
    with pytest.raises(NotApproved, match="1 of 2"):
        use(store, verdict)
    last = say(store, verdict, "Bob Builder (bob)", known=True)  # as Airflow names him
    assert use(store, verdict).approval_id == last.approval_id


def test_naming_approvers_asks_for_one_approval(store: Store) -> None:
    assert guard(store, approvers=["alice"]).quorum == 1
    assert guard(store, quorum=0).quorum == 0  # said: their word counts where one is required, and nobody is asked
    use(store, verdict_on(store, candidate(store)))


def test_where_names_have_to_be_proved_a_claimed_one_counts_for_nothing(store: Store) -> None:
    guard(store, quorum=1, authenticated=True)
    verdict = verdict_on(store, candidate(store))
    with pytest.raises(NotPermitted, match="only claimed"):
        say(store, verdict, "alice")
    say(store, verdict, "alice", known=True)
    assert use(store, verdict).approved_by == "alice"


def test_an_approval_that_a_later_guard_does_not_count_is_stale(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    given = say(store, verdict, "mallory")
    guard(store, approvers=["alice"])
    with pytest.raises(NotApproved, match="Nobody approved"):
        use(store, verdict)
    with pytest.raises(StaleApproval, match="does not count"):
        use(store, verdict, approval_id=given.approval_id)
    with pytest.raises(NotApproved):
        store.approvals.require(verdict.verdict_id, now=NOW)


def test_one_rejection_stops_a_quorum_whoever_says_it(store: Store) -> None:
    guard(store, approvers=["alice"])
    verdict = verdict_on(store, candidate(store))
    say(store, verdict, "alice")
    say(store, verdict, "a passer-by", no=True)
    with pytest.raises(NotApproved, match="a passer-by rejected"):
        use(store, verdict)


def test_one_voice_may_be_asked_about_alone(store: Store) -> None:
    guard(store, quorum=2)
    verdict = verdict_on(store, candidate(store))
    given = say(store, verdict, "alice")
    assert store.approvals.require(verdict.verdict_id, alone=True, now=NOW) == given
    with pytest.raises(NotApproved, match="1 of 2"):
        store.approvals.require(verdict.verdict_id, now=NOW)


def test_a_newer_gate_keeps_the_people_and_makes_approvals_stale(store: Store) -> None:
    made = guard(store, approvers=["alice"])
    old = verdict_on(store, candidate(store))
    given = say(store, old, "alice")
    newer = {**DEFINITION, "expires_after": "2d"}
    store.gates.set(MODEL, CHAMPION, newer, now=NOW + 1, actor="root")
    with pytest.raises(PromotionRefused, match="before the gate"):
        use(store, old, approval_id=given.approval_id)
    verdict = verdict_on(store, candidate(store), gate_definition=newer, decided_at=NOW + 2)
    with pytest.raises(NotApproved):
        store.promotions.promote(verdict.verdict_id, actor="pipeline", now=NOW + 3)
    standing = store.gates.get(MODEL, CHAMPION)
    assert standing is not None
    assert (standing.approvers, standing.quorum) == (made.approvers, made.quorum)


@pytest.mark.parametrize(
    "people",
    [{"quorum": -1}, {"approvers": ["a", "b"], "quorum": 3}, {"approvers": [" "]}, {"overriders": ["x" * 257]}],
)
def test_people_that_can_not_be_are_refused(sqlite_store: Store, people: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        guard(sqlite_store, **people)
    assert sqlite_store.gates.get(MODEL, CHAMPION) is None


# Overrides


def overridden(store: Store, version: int, **changes: Any) -> Promotion:
    said = {"actor": "root", "reason": "the new one answers nonsense", "now": NOW + 5, **changes}
    return store.promotions.override(MODEL, CHAMPION, version, **said)


def test_an_override_moves_a_guarded_target_on_the_record(store: Store) -> None:
    first, second = promote(store, candidate(store)), promote(store, candidate(store))
    guard(store, overriders=["root"])
    event = overridden(store, first.to_version, authenticated=True, from_version=second.to_version)
    assert (event.kind, event.actor, event.reason) == (
        PromotionKind.OVERRIDE,
        "root",
        "the new one answers nonsense",
    )
    assert (event.authenticated, event.verdict_id, event.from_version) == (True, None, second.to_version)
    assert store.registry.get_version_by_alias(MODEL, "champion").version == first.to_version
    assert store.promotions.history(MODEL, CHAMPION)[-1] == event
    assert store.outbox.get(event.promotion_id).payload["kind"] == "override"
    assert overridden(store, first.to_version) == event  # asked again
    assert len(store.promotions.history(MODEL)) == 3
    back = store.promotions.roll_back(MODEL, CHAMPION, actor="root", now=NOW + 6)
    assert back.to_version == second.to_version


def test_only_whom_the_guard_names_overrides(store: Store) -> None:
    first, _ = promote(store, candidate(store)), promote(store, candidate(store))
    with pytest.raises(NotPermitted, match="Nobody may: the guard names no overriders"):
        overridden(store, first.to_version)
    guard(store, overriders=["root"], authenticated=True)
    with pytest.raises(NotPermitted, match="mallory"):
        overridden(store, first.to_version, actor="mallory", authenticated=True)
    with pytest.raises(NotPermitted, match="only claimed"):
        overridden(store, first.to_version)
    assert len(store.promotions.history(MODEL)) == 2


def test_an_override_needs_a_reason_a_guard_and_a_version(store: Store) -> None:
    first, second = promote(store, candidate(store)), promote(store, candidate(store))
    guard(store, overriders=["root"])
    with pytest.raises(InvalidInput, match="who and why"):
        overridden(store, first.to_version, reason=" ")
    with pytest.raises(NotFound):
        overridden(store, 99)
    with pytest.raises(ChampionChanged):
        overridden(store, first.to_version, from_version=first.to_version + 7)
    with pytest.raises(PromotionRefused, match="holds it now"):
        overridden(store, second.to_version)
    assert store.gates.remove(MODEL, CHAMPION, now=NOW, actor="root", actor_authenticated=True)
    with pytest.raises(PromotionRefused, match="nothing guards it"):
        overridden(store, first.to_version)


def test_a_guard_with_overriders_is_loosened_by_them_only(store: Store) -> None:
    made = guard(store, overriders=["root"], approvers=["alice"])
    for change in (
        lambda: store.gates.set(MODEL, CHAMPION, DEFINITION, quorum=0, now=NOW, actor="mallory"),
        lambda: store.gates.set(MODEL, CHAMPION, {**DEFINITION, "name": "lax"}, now=NOW, actor="mallory"),
        lambda: store.gates.remove(MODEL, CHAMPION, now=NOW, actor="mallory"),
    ):
        with pytest.raises(NotPermitted):
            change()
    assert store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW, actor="mallory") == made  # changes nothing
    assert store.gates.set(MODEL, CHAMPION, DEFINITION, quorum=0, now=NOW, actor="root").quorum == 0


def test_a_promotion_weakens_the_gate_of_a_guard_with_overriders_by_their_hand_only(store: Store) -> None:
    standing = guard(store, overriders=["root"])
    lax = {**DEFINITION, "checks": {"all_of": [{"metric": "recall", "at_least": 0.0, "severity": "block"}]}}
    verdict = verdict_on(store, candidate(store), gate_definition=lax, decided_at=NOW + 1)

    def by(actor: str, *, known: bool = False) -> Promotion:
        return store.promotions.promote(verdict.verdict_id, actor=actor, authenticated=known, now=NOW + 2)

    with pytest.raises(TargetGuarded, match="mallory may not change its gate") as refused:
        by("mallory")
    assert "models guard" in refused.value.remedy
    assert (store.gates.get(MODEL, CHAMPION), store.promotions.history(MODEL)) == (standing, ())
    guard(store, authenticated=True)
    with pytest.raises(TargetGuarded, match="only claimed"):
        by("root")
    done = by("root", known=True)
    found = store.gates.get(MODEL, CHAMPION)
    assert found is not None
    assert (found.gate_definition, found.overriders, found.updated_by) == (lax, ("root",), "root")
    assert (done.actor, done.authenticated) == ("root", True)


def test_the_gate_that_guards_may_be_used_by_anybody(store: Store) -> None:
    guard(store, overriders=["root"])
    assert use(store, verdict_on(store, candidate(store))).actor == "pipeline"


# Stages


def version(store: Store, stage: str = "None") -> int:
    store.registry.get_or_create_model(MODEL, now=NOW)
    made = store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW).version
    if stage != "None":
        store.registry.transition_stage(MODEL, made, stage, now=NOW)
    return made


@pytest.mark.parametrize(
    ("left", "entered", "allowed"),
    [
        ("None", "Staging", True),
        ("None", "Production", False),
        ("Staging", "Production", True),
        ("Production", "Staging", True),
        ("Production", "None", True),
        ("None", "Archived", True),
        ("Archived", "Production", False),
        ("Archived", "Staging", False),
        ("Archived", "None", True),
    ],
)
def test_versions_go_one_stage_forward_and_never_jump(left: str, entered: str, allowed: bool) -> None:
    assert leads(DEFAULT_ORDER, left, entered) is allowed


def test_stage_rules_hold_for_hands_and_promotions_but_not_for_rollbacks(store: Store) -> None:
    first = version(store)
    rules = store.stages.set(MODEL, now=NOW, actor="root")
    assert (rules.order, rules.single) == (DEFAULT_ORDER, ("Production",))
    assert store.stages.get(MODEL) == store.stages.set(MODEL, now=NOW + 1) == rules
    with pytest.raises(StageRefused, match="None can't go to Production"):
        store.registry.transition_stage(MODEL, first, "Production", now=NOW)
    model = candidate(store)
    with pytest.raises(StageRefused):
        promote(store, model, target=PRODUCTION)
    assert store.promotions.history(MODEL) == ()
    made = []
    for _ in range(2):
        made.append(version(store, "Staging"))
        model_id = store.registry.get_version(MODEL, made[-1]).model_id
        promote(store, store.logged_models.get(str(model_id)), target=PRODUCTION)
    assert store.registry.get_version(MODEL, made[0]).current_stage == "Archived"
    store.promotions.roll_back(MODEL, PRODUCTION, actor="bob", now=NOW + 9)  # out of the archive again
    assert store.registry.get_version(MODEL, made[0]).current_stage == "Production"


def test_one_version_is_in_production_at_a_time(store: Store) -> None:
    first, second = version(store, "Staging"), version(store, "Staging")
    store.stages.set(MODEL, now=NOW)
    store.registry.transition_stage(MODEL, first, "Production", now=NOW)
    with pytest.raises(StageRefused, match="which holds one version"):
        store.registry.transition_stage(MODEL, second, "Production", now=NOW)
    store.registry.transition_stage(MODEL, second, "Production", archive_existing_versions=True, now=NOW)
    assert store.registry.get_version(MODEL, first).current_stage == "Archived"


def test_rules_are_configurable_checked_and_follow_the_model(store: Store) -> None:
    made = version(store)
    short = store.stages.set(MODEL, order=["none", "production", "archived"], now=NOW)
    assert short.order == ("None", "Production", "Archived")
    store.registry.transition_stage(MODEL, made, "Production", now=NOW)
    with pytest.raises(StageRefused, match="Staging"):
        store.registry.transition_stage(MODEL, made, "Staging", now=NOW)
    store.registry.rename_model(MODEL, "renamed", now=NOW)
    assert store.stages.get("renamed") is not None
    assert store.stages.remove("renamed", now=NOW)
    assert not store.stages.remove("renamed", now=NOW)
    store.registry.transition_stage("renamed", made, "Staging", now=NOW)
    for order in (["Staging", "Production"], ["None", "Archived", "Staging"], ["None", "None"], ["None", "Odd"]):
        with pytest.raises(InvalidInput):
            store.stages.set("renamed", order=order, now=NOW)
    with pytest.raises(StageRefused, match="leaves out"):
        store.stages.set("renamed", order=["None", "Production"], now=NOW)
    with pytest.raises(InvalidInput, match="Staging is to hold one version at a time, and is not in the order"):
        store.stages.set("renamed", order=["None", "Production"], single=["staging"], now=NOW)
    with pytest.raises(NotFound):
        store.stages.set("nobody", now=NOW)


def test_rules_that_are_broken_already_are_refused(store: Store) -> None:
    version(store, "Production"), version(store, "Production")
    with pytest.raises(StageRefused, match="which is to hold one"):
        store.stages.set(MODEL, now=NOW)


# What stood when


def test_what_was_in_production_on_a_date(store: Store) -> None:
    first = promote(store, candidate(store), now=NOW + 10)
    second = promote(store, candidate(store), now=NOW + 20)
    shadow = promote(store, candidate(store), target="@shadow", now=NOW + 25)
    back = store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW + 30)
    at = store.promotions.at
    assert [at(MODEL, CHAMPION, NOW + ms) for ms in (9, 10, 19, 20, 29, 30)] == [
        None,
        first,
        first,
        second,
        second,
        back,
    ]
    assert store.promotions.all_at(MODEL, NOW + 26) == (second, shadow)
    assert store.promotions.all_at(MODEL, NOW) == ()
    assert at("nobody", CHAMPION, NOW + 99) is None


def test_numbers_of_a_model_made_anew_come_after_its_history(store: Store) -> None:
    made = promote(store, candidate(store))
    store.gates.remove(MODEL, CHAMPION, now=NOW)
    store.registry.delete_model(MODEL)
    assert version(store) == made.to_version + 1
    assert version(store) == made.to_version + 2


def test_a_hand_can_not_move_what_is_guarded_with_people(store: Store) -> None:
    made = promote(store, candidate(store))
    guard(store, approvers=["alice"], overriders=["root"])
    with pytest.raises(TargetGuarded):
        store.registry.set_alias(MODEL, "champion", made.to_version)
