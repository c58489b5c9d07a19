"""Rollbacks: events of the history like promotions, back along the stack of holders."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.entities import Outcome, Promotion, PromotionKind
from headgate.store.errors import ChampionChanged, NotFound, PromotionRefused, VerdictUnusable
from headgate.store.promotion_history import Move, fold, holders, previous_holder
from headgate.store.promotion_rows import read_moves
from headgate.store.store import Store
from headgate.store.tables import LoggedModelRow
from tests.store.promotion_cases import CHAMPION, DAY, MODEL, NOW, candidate, promote, verdict_on

PRODUCTION = "stage:Production"


def back(store: Store, target: str = CHAMPION, **changes: Any) -> Promotion:
    return store.promotions.roll_back(MODEL, target, **{"actor": "bob", "reason": "worse", "now": NOW + DAY, **changes})


def holding(store: Store, target: str = CHAMPION) -> int | None:
    holder = store.promotions.holder(MODEL, target)
    return holder.version if holder else None


def test_a_rollback_is_an_event_of_the_history(store: Store) -> None:
    first, second = promote(store, candidate(store), candidate_logical_date=5), promote(store, candidate(store))
    event = back(store)
    assert event == Promotion(
        promotion_id=event.promotion_id,
        model_name=MODEL,
        target=CHAMPION,
        sequence=3,
        kind=PromotionKind.ROLL_BACK,
        to_version=1,
        from_version=2,
        created_at=NOW + DAY,
        actor="bob",
        reason="worse",
        logical_date=5,
    )
    assert store.promotions.history(MODEL) == (first, second, event)
    assert holding(store) == 1


def test_a_verdict_is_the_reason_of_one_rollback_of_its_own_target(store: Store) -> None:
    model = candidate(store)
    promote(store, model)
    promote(store, candidate(store))
    another = verdict_on(store, model, model_name="another", outcome=Outcome.REJECT)
    with pytest.raises(VerdictUnusable, match="is no reason to roll back @champion of 'tumor-screening'"):
        back(store, verdict_id=another.verdict_id)
    with pytest.raises(NotFound, match="no verdict 'v-unknown'"):
        back(store, verdict_id="v-unknown")
    judged = verdict_on(store, model, outcome=Outcome.REJECT)
    assert back(store, verdict_id=judged.verdict_id).verdict_id == judged.verdict_id
    promote(store, candidate(store))
    with pytest.raises(VerdictUnusable, match="was used"):
        back(store, verdict_id=judged.verdict_id)
    assert holding(store) == 3


def test_two_rollbacks_go_back_two_promotions_and_then_there_is_nobody(store: Store) -> None:
    for _ in range(3):
        promote(store, candidate(store))
    assert [back(store).to_version for _ in range(3)] == [2, 1, None]
    assert holding(store) is None
    assert store.registry.get_model(MODEL).aliases == {}
    with pytest.raises(PromotionRefused, match="no earlier holder"):
        back(store)
    again = promote(store, candidate(store))
    assert (again.from_version, again.to_version, again.sequence) == (None, 4, 7)


def test_a_stage_is_given_back_and_the_one_that_left_is_archived(store: Store) -> None:
    promote(store, candidate(store), target=PRODUCTION)
    promote(store, candidate(store), target=PRODUCTION)
    assert back(store, "stage:production").to_version == 1
    stages = [store.registry.get_version(MODEL, number).current_stage for number in (1, 2)]
    assert stages == ["Production", "Archived"]
    assert back(store, PRODUCTION).to_version is None
    assert store.registry.get_version(MODEL, 1).current_stage == "Archived"
    assert holding(store, PRODUCTION) is None


def test_a_version_that_held_the_target_can_be_named(store: Store) -> None:
    for _ in range(3):
        promote(store, candidate(store))
    assert back(store, to_version=1).to_version == 1
    assert back(store, to_version=3).to_version == 3
    for to_version, says in ((3, "holds it now"), (9, "never held it")):
        with pytest.raises(PromotionRefused, match=says):
            back(store, to_version=to_version)
    assert holding(store) == 3


def test_a_version_that_never_passed_the_gate_is_nobody_to_go_back_to(store: Store) -> None:
    promote(store, candidate(store))
    untested = store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW)
    with pytest.raises(PromotionRefused, match="never held it"):
        back(store, to_version=untested.version)


def test_a_holder_of_before_the_first_promotion_gets_the_target_back(store: Store) -> None:
    store.registry.create_model(MODEL, now=NOW)
    by_hand = store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW)
    store.registry.set_alias(MODEL, "champion", by_hand.version)
    promote(store, candidate(store))
    assert back(store).to_version == by_hand.version


def test_a_target_moved_by_hand_since_goes_back_to_whoever_was_promoted(store: Store) -> None:
    promote(store, candidate(store))
    promote(store, candidate(store))
    by_hand = store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW)
    assert store.gates.remove(MODEL, CHAMPION, now=NOW, actor="root")
    store.registry.set_alias(MODEL, "champion", by_hand.version)
    event = back(store)
    assert (event.from_version, event.to_version) == (by_hand.version, 2)
    assert back(store).to_version == 1


def test_a_retry_that_names_what_is_to_go_does_not_go_back_further(store: Store) -> None:
    for _ in range(3):
        promote(store, candidate(store))
    event = back(store, from_version=3)
    assert back(store, from_version=3) == event
    assert back(store, from_version=3, to_version=2) == event
    assert holding(store) == 2
    for wrong in ({"from_version": 3, "to_version": 1}, {"from_version": 1}):
        with pytest.raises(ChampionChanged, match="Version 2 holds @champion") as caught:
            back(store, **wrong)
        assert caught.value.actual == 2
    assert len(store.promotions.history(MODEL)) == 4


def test_a_verdict_against_a_champion_that_was_rolled_back_finds_it_changed(store: Store) -> None:
    promote(store, candidate(store))
    promote(store, candidate(store))
    verdict = verdict_on(store, candidate(store))
    back(store)
    with pytest.raises(ChampionChanged):
        store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW)


def test_files_that_changed_since_the_promotion_do_not_come_back(store: Store) -> None:
    model = candidate(store)
    promote(store, model)
    promote(store, candidate(store))
    of_model = LoggedModelRow.__table__.c.model_id == model.model_id
    with store.database.write() as conn:  # behind the store's back, which would refuse it
        conn.execute(sa.update(LoggedModelRow.__table__).where(of_model).values(artifact_digest="ef" * 32))
    with pytest.raises(PromotionRefused, match="not any more what was promoted") as caught:
        back(store)
    assert caught.value.version == 1
    assert holding(store) == 2


def test_a_deleted_version_is_named_and_an_older_one_can_be_said(store: Store) -> None:
    for _ in range(3):
        promote(store, candidate(store))
    store.registry.delete_version(MODEL, 2, now=NOW)
    with pytest.raises(NotFound, match="version=2"):
        back(store)
    assert back(store, to_version=1).to_version == 1


def test_the_number_of_a_version_that_held_a_target_is_never_another_models(store: Store) -> None:
    store.registry.create_model(MODEL, now=NOW)
    versions = [store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW) for _ in range(5)]
    store.registry.set_alias(MODEL, "champion", 5)
    model_id = str(versions[0].model_id)
    promote(store, store.logged_models.get(model_id), candidate_digest="ab" * 32)
    for number in (5, 4, 3, 2):
        store.registry.delete_version(MODEL, number, now=NOW)
    assert store.registry.create_version(MODEL, model_id=model_id, now=NOW).version == 6
    with pytest.raises(NotFound, match="version=5"):
        back(store)


def test_without_a_model_or_a_history_there_is_nothing_to_roll_back(store: Store) -> None:
    with pytest.raises(NotFound, match=MODEL):
        back(store)
    store.registry.create_model(MODEL, now=NOW)
    with pytest.raises(PromotionRefused, match="no earlier holder"):
        back(store)
    assert store.promotions.history(MODEL) == ()


# ---------------------------------------------------------------------------------------------------------------------
# The pure functions


def events(*moves: tuple[str, int | None, int | None]) -> list[Promotion]:
    return [
        Promotion(
            promotion_id=f"p-{number}",
            model_name=MODEL,
            target=CHAMPION,
            sequence=number,
            kind=PromotionKind(kind),
            to_version=to,
            from_version=before,
            created_at=NOW,
            actor="alice",
        )
        for number, (kind, before, to) in enumerate(moves, 1)
    ]


@pytest.mark.parametrize(
    ("moves", "stack"),
    [
        ([], ()),
        ([("promote", None, 1)], (None, 1)),
        ([("promote", None, 1), ("promote", 1, 2)], (None, 1, 2)),
        ([("promote", None, 1), ("promote", 1, 2), ("roll_back", 2, 1)], (None, 1)),
        ([("promote", None, 1), ("roll_back", 1, None)], (None,)),
        ([("promote", None, 1), ("roll_back", 1, None), ("promote", None, 2)], (None, 2)),
        ([("promote", 7, 1), ("promote", 9, 2)], (7, 1, 9, 2)),
        ([("promote", None, 1), ("promote", 1, 2), ("promote", 2, 1), ("roll_back", 1, 2)], (None, 1, 2)),
        ([("promote", None, 1), ("promote", 1, 2), ("roll_back", 2, 1), ("roll_back", 1, 2)], (None, 1, 2)),
        ([("promote", None, 1), ("promote", 1, 2), ("roll_back", 9, 2)], (None, 1, 2)),
    ],
)
def test_holders_are_a_stack(moves: list[tuple[str, int | None, int | None]], stack: tuple[int | None, ...]) -> None:
    history = events(*moves)
    assert holders(history) == stack
    if stack:
        assert fold(reversed(history)) == {(MODEL, CHAMPION): stack[-1]}
        assert previous_holder(history, stack[-1]) == ((True, stack[-2]) if len(stack) > 1 else (False, None))
        assert previous_holder(history, 99) == (True, stack[-1])
    else:
        assert fold(history) == {}
        assert previous_holder(history, 99) == (False, None)


kinds = st.sampled_from([PromotionKind.PROMOTE, PromotionKind.OVERRIDE, PromotionKind.ROLL_BACK])
some_version = st.none() | st.integers(1, 4)


@given(st.lists(st.builds(Move, kinds, some_version, some_version), max_size=12), some_version, st.integers(0, 12))
def test_the_latest_events_tell_what_all_would_or_that_they_do_not(
    moves: list[Move], holder: int | None, newest: int
) -> None:
    told = previous_holder(moves[max(0, len(moves) - newest) :], holder, whole=newest > len(moves))
    assert told in (None, previous_holder(moves, holder))


def test_a_rollback_after_a_rollback_reads_back_as_far_as_it_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headgate.store import promotion_roll_back

    read: list[int] = []

    def counting(*about: Any, newest: int) -> tuple[Move, ...]:
        found = read_moves(*about, newest=newest)
        read.append(len(found))
        return found

    monkeypatch.setattr(promotion_roll_back, "read_moves", counting)
    monkeypatch.setattr(promotion_roll_back, "_MOVES_READ", 3)
    for _ in range(6):
        promote(store, candidate(store))
    assert [back(store).to_version for _ in range(3)] == [5, 4, 3]
    assert read == [3, 3, 8]


def test_the_history_of_a_version_is_what_led_to_it_and_away_from_it(store: Store) -> None:
    first, second, third = (promote(store, candidate(store)) for _ in range(3))
    gone = back(store)
    assert store.promotions.history(MODEL, version=1) == (first, second)
    assert store.promotions.history(MODEL, version=2) == (second, third, gone)
    assert store.promotions.history(MODEL, version=2, newest=1) == (gone,)
    assert store.promotions.history(MODEL, version=9) == ()
