"""Any sequence of what can be done to a model's targets: the fold of its events is what the registry says.

A machine of Hypothesis decides, promotes, overrides, rolls back, approves, rejects, guards, and moves by hand, on each
database. Beside the store it keeps nothing but who held what after each step, and so what was in production when.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headgate.store.entities import (
    Approval,
    ApprovalDecision,
    CheckResult,
    LoggedModel,
    Outcome,
    Promotion,
    PromotionKind,
    Verdict,
)
from headgate.store.errors import NotFound, PromotionRefused
from headgate.store.promotion_history import fold, holders
from headgate.store.registry.stages import STAGES
from headgate.store.stage_rules import leads
from headgate.store.store import Store
from tests.store.promotion_cases import DAY, DEFINITION, NOW, PASSED, candidate, draft

TARGETS = ("@champion", "@shadow", "stage:Production")
PEOPLE = ("alice", "bob", "carol")
CANDIDATES = 4

# One gate by its name, in three definitions; the last one asks for approvals, so it is held before it passes.
LAX = {**DEFINITION, "checks": {"all_of": [{"metric": "recall", "at_least": 0.0, "severity": "block"}]}}
ASKING = {**DEFINITION, "checks": {"all_of": [*DEFINITION["checks"]["all_of"], {"approval": "required"}]}}
WAITS = CheckResult("all_of[1]", "approval", "approved", Outcome.HOLD)

targets = st.sampled_from(TARGETS)
versions = st.integers(1, CANDIDATES + 1)
people = st.sampled_from(PEOPLE)
number = st.integers(0, CANDIDATES - 1)
promoters = st.sampled_from(("pipeline", "alice"))
decisions = st.sampled_from((ApprovalDecision.APPROVE, ApprovalDecision.REJECT))


class Targets(RuleBasedStateMachine):
    """The targets of one registered model of its own."""

    store: Store  # of the test

    def __init__(self) -> None:
        super().__init__()
        self.name = f"model-{uuid.uuid4().hex}"
        self.verdicts: list[Verdict] = []
        self.words: list[Approval] = []
        self.models: list[LoggedModel] = []
        self.now = NOW
        self.events: list[Promotion] = []
        self.by_hand: set[str] = set()  # targets that were moved, or emptied, while nothing guarded them

    @initialize()
    def register(self) -> None:
        self.models = [candidate(self.store) for _ in range(CANDIDATES)]
        self.store.registry.create_model(self.name, now=NOW)

    # What may be done

    @rule(by=st.integers(-300_000, 300_000))
    def look_at_another_clock(self, by: int) -> None:
        """The next writer is another machine, whose clock may be behind."""
        self.now = max(NOW, self.now + by)

    @rule(target_=targets, which=number, gate=st.sampled_from((DEFINITION, DEFINITION, LAX, ASKING)))
    def decide(self, target_: str, which: int, gate: dict[str, Any]) -> None:
        about = {"model_name": self.name, "target": target_, "gate_definition": gate}
        checks: dict[Outcome, tuple[CheckResult, ...]] = {Outcome.PASS: (PASSED,)}
        if gate is ASKING:
            checks = {o: (PASSED, replace(WAITS, outcome=o)) for o in (Outcome.HOLD, Outcome.PASS)}
        for outcome, found in checks.items():
            self.now += 1
            at = {"decided_at": self.now, "expires_at": self.now + DAY}
            verdict = draft(self.store, self.models[which], outcome=outcome, checks=found, **at, **about)
            self.verdicts.append(self.store.verdicts.record(verdict))

    @precondition(lambda self: self.verdicts)
    @rule(back=st.integers(0, 3), required=st.booleans(), who=promoters, known=st.booleans())
    def promote(self, back: int, required: bool, who: str, known: bool) -> None:
        verdict = self.verdicts[-1 - back % len(self.verdicts)]
        before, events = self.store.gates.get(self.name, verdict.target), len(self.events)
        self._move(
            lambda now: self.store.promotions.promote(
                verdict.verdict_id, actor=who, authenticated=known, require_approval=required, now=now
            )
        )
        after = self.store.gates.get(self.name, verdict.target)
        if before is not None and before.overriders and (who != "alice" or (before.authenticated and not known)):
            assert after == before, "only they change its gate"
        if len(self.events) > events:
            assert verdict.outcome is Outcome.PASS
            assert not self._rejected(verdict)

    @precondition(lambda self: self.verdicts)
    @rule(
        back=st.integers(0, 2),
        who=st.sampled_from((*PEOPLE, "Alice Smith (alice)")),
        decision=decisions,
        known=st.booleans(),
    )
    def say(self, back: int, who: str, decision: ApprovalDecision, known: bool) -> None:
        verdict_id = self.verdicts[-1 - back % len(self.verdicts)].verdict_id

        def said(now: int) -> None:
            word = self.store.approvals.record(
                verdict_id, decision, actor=who, authenticated=known, source="test", now=now
            )
            self.words += [word] if word not in self.words else []

        self._try(said)

    @rule(target_=targets, which=number, strict=st.booleans(), who=promoters, known=st.booleans())
    def weaken_the_gate(self, target_: str, which: int, strict: bool, who: str, known: bool) -> None:
        self.guard(target_, 0, strict)
        self.decide(target_, which, LAX)
        self.promote(0, False, who, known)

    @rule(target_=targets, which=number, back=st.integers(0, 1), who=people, decision=decisions, known=st.booleans())
    def ask_people(
        self, target_: str, which: int, back: int, who: str, decision: ApprovalDecision, known: bool
    ) -> None:
        self.decide(target_, which, ASKING)
        self.say(back, who, decision, known)
        self.promote(0, False, "alice", True)

    @rule(target_=targets, to=st.none() | versions)
    def roll_back(self, target_: str, to: int | None) -> None:
        self._move(lambda now: self.store.promotions.roll_back(self.name, target_, actor="bob", to_version=to, now=now))

    @rule(target_=targets, from_=versions)
    def roll_back_from(self, target_: str, from_: int) -> None:
        self._move(
            lambda now: self.store.promotions.roll_back(self.name, target_, actor="bob", from_version=from_, now=now)
        )

    @rule(target_=targets, to=versions, who=people)
    def override(self, target_: str, to: int, who: str) -> None:
        self._move(
            lambda now: self.store.promotions.override(self.name, target_, to, actor=who, reason="at 3 AM", now=now)
        )

    @rule(target_=targets, quorum=st.integers(0, 2), strict=st.booleans())
    def guard(self, target_: str, quorum: int, strict: bool) -> None:
        who = {"approvers": PEOPLE[:2], "quorum": quorum, "authenticated": strict, "overriders": ["alice"]}
        self._try(
            lambda now: self.store.gates.set(
                self.name, target_, DEFINITION, **who, actor="alice", actor_authenticated=True, now=now
            )
        )

    @rule(target_=targets, who=people)
    def take_the_guard_off(self, target_: str, who: str) -> None:
        before = self.store.gates.get(self.name, target_)
        refused = self._try(
            lambda now: self.store.gates.remove(self.name, target_, actor=who, actor_authenticated=True, now=now)
        )
        assert (refused == "NotPermitted") == (before is not None and bool(before.overriders) and who != "alice")

    @rule(target_=targets, to=versions)
    def move_by_hand(self, target_: str, to: int) -> None:
        registry = self.store.registry
        if target_.startswith("@"):
            self._by_hand(lambda now: registry.set_alias(self.name, target_[1:], to))
        else:
            self._by_hand(
                lambda now: registry.transition_stage(
                    self.name, to, "Production", archive_existing_versions=True, now=now
                )
            )

    @rule(to=versions, stage=st.sampled_from(STAGES))
    def put_into_a_stage(self, to: int, stage: str) -> None:
        rules = self.store.stages.get(self.name)
        try:
            left = self.store.registry.get_version(self.name, to).current_stage
        except NotFound:
            return
        refused = self._by_hand(lambda now: self.store.registry.transition_stage(self.name, to, stage, now=now))
        if rules is not None and left != stage and not leads(rules.order, left, stage):
            assert refused is not None
            assert self.store.registry.get_version(self.name, to).current_stage == left

    @rule(short=st.booleans())
    def set_stage_rules(self, short: bool) -> None:
        order = ("None", "Production", "Archived") if short else STAGES
        self._try(lambda now: self.store.stages.set(self.name, order=order, now=now))

    @rule()
    def free_the_stages(self) -> None:
        self._try(lambda now: self.store.stages.remove(self.name, now=now))

    @rule(which=versions)
    def delete_version(self, which: int) -> None:
        self._by_hand(lambda now: self.store.registry.delete_version(self.name, which, now=now))

    # What always holds

    @invariant()
    def the_fold_is_what_the_registry_says(self) -> None:
        history = self.store.promotions.history(self.name)
        holding = self._holding()
        for (_, target_), version in fold(history).items():
            assert version == holding[target_] or target_ in self.by_hand
        assert sorted(e.promotion_id for e in history) == sorted(e.promotion_id for e in self.events)

    @invariant()
    def one_version_is_in_production_where_the_rules_say_so(self) -> None:
        if self.models and (rules := self.store.stages.get(self.name)) is not None and rules.single:
            versions_ = self.store.registry.search_versions(f"name = '{self.name}'").items
            assert sum(version.current_stage == "Production" for version in versions_) <= 1

    def teardown(self) -> None:
        if not self.models:
            return
        for target_ in TARGETS:
            events = self.store.promotions.history(self.name, target_)
            assert [each.sequence for each in events] == list(range(1, len(events) + 1))
            assert not events or holders(events)[-1] == events[-1].to_version
            assert [each.created_at for each in events] == sorted(each.created_at for each in events)
            for each in events:  # what was in production then
                stood = [event for event in events if event.created_at <= each.created_at][-1]
                assert self.store.promotions.at(self.name, target_, each.created_at) == stood
                assert self.store.promotions.at(self.name, target_, NOW - 1) is None
        last = max((each.created_at for each in self.events), default=NOW)
        assert {e.target: e.to_version for e in self.store.promotions.all_at(self.name, last)} == {
            target_: version for (_, target_), version in fold(self.events).items()
        }
        promoted = [each.verdict_id for each in self.events if each.kind is PromotionKind.PROMOTE]
        assert len(promoted) == len(set(promoted))
        used = {v.verdict_id for v in self.store.verdicts.search(self.name).items if v.used_by is not None}
        assert used == set(promoted)

    def _rejected(self, verdict: Verdict) -> bool:
        """Say whether somebody's last word on a verdict, or on a held one about the same, is a rejection."""

        def about(each: Verdict) -> tuple[object, ...]:
            return each.target, each.candidate_model_id, each.gate_digest, each.champion_version

        held = {
            each.verdict_id for each in self.verdicts if each.outcome is Outcome.HOLD and about(each) == about(verdict)
        }
        last: dict[tuple[str, bool], Approval] = {}
        for word in self.words:
            if word.verdict_id in {verdict.verdict_id, *held}:
                who = "alice" if "alice" in word.actor else word.actor, word.authenticated
                # A word from a clock that is behind may be taken for an earlier one.
                before = last.get(who)
                if before is None or before.verdict_id == word.verdict_id or before.created_at < word.created_at:
                    last[who] = word
        return any(word.decision is ApprovalDecision.REJECT for word in last.values())

    # How it is done

    def _try(self, act: Callable[[int], Any]) -> str | None:
        """Do something that may be refused; return the name of the refusal. Whatever else comes is a fault."""
        try:
            self.now += 1
            act(self.now)
        except (PromotionRefused, NotFound) as error:
            event(type(error).__name__)
            return type(error).__name__
        return None

    def _move(self, act: Callable[[int], Promotion]) -> None:
        """Promote, roll back or override: one event more, or none, or the answer of before."""
        known = {each.promotion_id for each in self.events}

        def moved(now: int) -> None:
            made = act(now)
            if made.promotion_id not in known:
                before = [each.created_at for each in self.events if each.target == made.target]
                assert made.created_at == max([now, *before])
                self.events.append(made)
                self.by_hand.discard(made.target)
                event(str(made.kind))

        self._try(moved)

    def _by_hand(self, act: Callable[[int], Any]) -> str | None:
        before = self._holding()
        refused = self._try(act)
        changed = {target_ for target_, version in self._holding().items() if version != before[target_]}
        assert all(self.store.gates.get(self.name, target_) is None for target_ in changed)
        self.by_hand |= changed
        return refused

    def _holding(self) -> dict[str, int | None]:
        found = {target_: self.store.promotions.holder(self.name, target_) for target_ in TARGETS}
        return {target_: version.version if version else None for target_, version in found.items()}


def test_the_history_folds_to_what_the_registry_says(store: Store) -> None:
    machine = type("TargetsOfThisStore", (Targets,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
