"""Any sequence of promotions and rollbacks can be rolled back to where it began; what is forbidden is told apart."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.store.entities import LoggedModel, Promotion, Verdict
from headgate.store.errors import ChampionChanged, NotFound, PromotionRefused
from headgate.store.store import Store
from tests.store.promotion_cases import NOW, candidate, draft

TARGETS = ("@champion", "@shadow", "stage:Production")
CANDIDATES = 4


class World:
    """One registered model of its own, and what was decided about it so far."""

    def __init__(self, store: Store, models: list[LoggedModel]) -> None:
        self.store = store
        self.models = models
        self.name = f"model-{uuid.uuid4().hex}"
        self.verdicts: list[Verdict] = []
        self.clock = itertools.count(NOW)
        store.registry.create_model(self.name, now=NOW)

    def take(self, step: tuple[Any, ...]) -> str:
        try:
            return str(self._take(*step))
        except (PromotionRefused, NotFound) as error:  # whatever else comes is a fault of the store
            return type(error).__name__

    def _take(self, what: str, *rest: Any) -> object:
        registry, history = self.store.registry, self.store.promotions
        if what == "decide":
            target, number = rest
            verdict = draft(self.store, self.models[number], model_name=self.name, target=target)
            self.verdicts.append(self.store.verdicts.record(verdict))
            return "decided"
        if what in ("promote", "promote newest"):
            if not self.verdicts:
                return "nothing"
            return self.promote(self.verdicts[-1 - (rest[0] if rest else 0) % len(self.verdicts)])
        if what == "roll back":
            return history.roll_back(self.name, rest[0], actor="bob", now=next(self.clock), to_version=rest[1]).kind
        if what == "roll back from":
            return history.roll_back(self.name, rest[0], actor="bob", now=next(self.clock), from_version=rest[1]).kind
        if what == "take the guard off":
            return self.store.gates.remove(self.name, rest[0], now=next(self.clock))
        if what == "delete version":
            return registry.delete_version(self.name, rest[0], now=next(self.clock))
        if rest[0].startswith("@"):
            return registry.set_alias(self.name, rest[0][1:], rest[1])
        return registry.transition_stage(self.name, rest[1], "Production", now=next(self.clock))

    def promote(self, verdict: Verdict) -> str:
        used_before = self.store.verdicts.get(verdict.verdict_id).used_by
        length = len(self.store.promotions.history(self.name))
        promotion = self.store.promotions.promote(verdict.verdict_id, actor="alice", now=next(self.clock))
        assert promotion.verdict_id == verdict.verdict_id
        if used_before is not None:
            assert promotion.promotion_id == used_before
            assert len(self.store.promotions.history(self.name)) == length
            return "answered again"
        return "promoted"

    def holding(self) -> dict[tuple[str, str], int | None]:
        found = {target: self.store.promotions.holder(self.name, target) for target in TARGETS}
        return {(self.name, target): version.version if version else None for target, version in found.items()}


@given(moves=st.lists(st.tuples(st.integers(0, CANDIDATES - 1), st.booleans()), max_size=15))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_rolling_back_everything_ends_where_it_began(sqlite_store: Store, moves: list[tuple[int, bool]]) -> None:
    store = sqlite_store
    world = World(store, [candidate(store) for _ in range(CANDIDATES)])
    depth = 0
    for number, undo in moves:
        if undo and depth:
            store.promotions.roll_back(world.name, "@champion", actor="bob", now=NOW)
            depth -= 1
        elif not undo:
            outcome = world.take(("decide", "@champion", number)), world.take(("promote newest",))
            depth += outcome[1] == "promoted"
    while depth:
        assert world.holding()[world.name, "@champion"] is not None
        event_written: Promotion = store.promotions.roll_back(world.name, "@champion", actor="bob", now=NOW)
        assert event_written.to_version is None or depth > 1
        depth -= 1
    assert world.holding()[world.name, "@champion"] is None
    assert world.take(("roll back", "@champion", None)) == PromotionRefused.__name__


def test_the_errors_of_a_world_are_told_apart(sqlite_store: Store) -> None:
    world = World(sqlite_store, [candidate(sqlite_store) for _ in range(CANDIDATES)])
    script = [
        (("decide", "@champion", 0), "decided"),
        (("decide", "@champion", 1), "decided"),
        (("promote newest",), "promoted"),
        (("promote newest",), "answered again"),
        (("promote", 1), ChampionChanged.__name__),
        (("move by hand", "@champion", 1), "TargetGuarded"),
        (("delete version", 1), "TargetGuarded"),
        (("roll back from", "@champion", 3), ChampionChanged.__name__),
        (("roll back", "@champion", 4), PromotionRefused.__name__),
        (("roll back", "@champion", None), "roll_back"),
        (("roll back", "@champion", None), PromotionRefused.__name__),
    ]
    assert [world.take(step) for step, _ in script] == [said for _, said in script]
