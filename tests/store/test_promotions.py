"""Promotions: what one does in its transaction, and everything for which it is refused with nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store import promotions
from headgate.store.canonical import digest_of
from headgate.store.entities import LoggedModel, LoggedModelStatus, ModelVersion, Outcome, Promotion, PromotionKind
from headgate.store.errors import (
    ChampionChanged,
    InvalidInput,
    NotFound,
    OlderThanChampion,
    PromotionRefused,
    TargetGuarded,
    VerdictUnusable,
)
from headgate.store.store import Store
from headgate.store.tables import metadata
from tests.store.promotion_cases import (
    CHAMPION,
    DAY,
    DEFINITION,
    HOUR,
    MODEL,
    NOW,
    candidate,
    draft,
    promote,
    verdict_on,
)

PRODUCTION = "stage:Production"


def everything(store: Store) -> dict[str, list[Any]]:
    """Every row of every table that a promotion could touch."""
    names = ("registered_model", "model_version", "model_alias", "promotion", "verdict", "guard", "outbox")
    with store.database.read() as conn:
        return {name: conn.execute(sa.select(metadata.tables[f"headgate_{name}"])).all() for name in names}


def outbox(store: Store) -> list[tuple[str, dict[str, Any]]]:
    table = metadata.tables["headgate_outbox"]
    with store.database.read() as conn:
        rows = conn.execute(sa.select(table.c.topic, table.c.payload).order_by(table.c.outbox_id))
        return [(row.topic, row.payload) for row in rows]


def holding(store: Store, target: str = CHAMPION) -> int | None:
    holder = store.promotions.holder(MODEL, target)
    return holder.version if holder else None


def refused(store: Store, error: type[PromotionRefused], says: str, act: Callable[[], Any]) -> PromotionRefused:
    before = everything(store)
    with pytest.raises(error, match=says) as caught:
        act()
    assert everything(store) == before
    assert caught.value.remedy
    assert caught.value.exit_code == 3
    assert not caught.value.retryable
    return caught.value


# ---------------------------------------------------------------------------------------------------------------------
# What a promotion does


def test_the_first_promotion_makes_model_version_alias_guard_event_and_outbox_row(store: Store) -> None:
    model = candidate(store, logical_date=NOW - DAY)
    verdict = verdict_on(store, model, candidate_logical_date=NOW - DAY)
    promotion = store.promotions.promote(verdict.verdict_id, actor="alice", reason="first", now=NOW + HOUR)

    assert promotion == Promotion(
        promotion_id=promotion.promotion_id,
        model_name=MODEL,
        target=CHAMPION,
        sequence=1,
        kind=PromotionKind.PROMOTE,
        to_version=1,
        from_version=None,
        created_at=NOW + HOUR,
        actor="alice",
        reason="first",
        verdict_id=verdict.verdict_id,
        logical_date=NOW - DAY,
    )
    version = store.registry.get_version_by_alias(MODEL, "champion")
    assert (version.version, version.model_id, version.source) == (1, model.model_id, f"models:/{model.model_id}")
    assert version.run_id == model.source_run_id
    assert store.promotions.history(MODEL) == (promotion,)
    assert store.promotions.current(MODEL, CHAMPION) == promotion
    assert store.promotions.holder(MODEL, CHAMPION) == version
    assert store.verdicts.get(verdict.verdict_id).used_by == promotion.promotion_id
    guard = store.gates.get(MODEL, CHAMPION)
    assert guard is not None
    assert (guard.gate_name, guard.gate_definition, guard.updated_by) == ("screening-gate", DEFINITION, "alice")
    (guarded, promoted) = outbox(store)
    assert guarded[0] == "guard.set"
    assert promoted[0] == "promotion"
    told = promoted[1]
    assert (told["promotion_id"], told["model_id"], told["to_version"]) == (promotion.promotion_id, model.model_id, 1)
    assert (told["verdict_id"], told["gate_name"], told["actor"]) == (verdict.verdict_id, "screening-gate", "alice")


def test_the_next_promotion_follows_on_the_first(store: Store) -> None:
    first, second = promote(store, candidate(store)), promote(store, candidate(store))
    assert (second.sequence, second.from_version, second.to_version) == (2, 1, 2)
    assert store.promotions.history(MODEL, CHAMPION) == (first, second)
    assert store.promotions.history(MODEL, newest=1) == (second,)
    assert holding(store) == 2
    assert [topic for topic, _ in outbox(store)] == ["guard.set", "promotion", "promotion"]


def test_a_stage_moves_and_its_holder_is_archived(store: Store) -> None:
    promote(store, candidate(store), target=PRODUCTION)
    promote(store, candidate(store), target=PRODUCTION)
    stages = [store.registry.get_version(MODEL, number).current_stage for number in (1, 2)]
    assert stages == ["Archived", "Production"]
    assert holding(store, PRODUCTION) == 2
    assert store.promotions.history(MODEL, CHAMPION) == ()


def test_targets_have_histories_of_their_own(store: Store) -> None:
    model = candidate(store)
    in_staging = promote(store, model, target="stage:Staging")
    as_champion = promote(store, model)
    assert (in_staging.sequence, as_champion.sequence) == (1, 1)
    assert in_staging.to_version == as_champion.to_version == 1
    assert set(store.promotions.history(MODEL)) == {in_staging, as_champion}


def registered(store: Store, model: LoggedModel, **changes: Any) -> ModelVersion:
    store.registry.get_or_create_model(MODEL, now=NOW)
    return store.registry.create_version(MODEL, model_id=model.model_id, now=NOW, **changes)


def test_a_version_that_the_candidate_has_already_is_used(store: Store) -> None:
    model = candidate(store)
    registered(store, candidate(store))
    registered(store, model)
    newest = registered(store, model, source=model.artifact_location + "/")
    registered(store, model, source="s3://elsewhere/model")
    assert promote(store, model).to_version == newest.version == 3


def test_a_version_can_be_named(store: Store) -> None:
    model = candidate(store)
    named, _ = registered(store, model), registered(store, model)
    verdict = verdict_on(store, model)
    promotion = store.promotions.promote(
        verdict.verdict_id, version=named.version, model_id=model.model_id, actor="alice", now=NOW
    )
    assert promotion.to_version == named.version == 1


def test_a_model_registered_only_from_elsewhere_gets_a_version_of_its_own(store: Store) -> None:
    model = candidate(store)
    registered(store, model, source="s3://elsewhere/model")
    assert promote(store, model).to_version == 2


def test_an_external_model_without_a_digest_can_be_promoted(store: Store) -> None:
    model = store.logged_models.create_external_model("0", name="api", now=NOW)
    assert promote(store, model).to_version == 1


def test_a_verdict_lives_until_it_expires(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    assert store.promotions.promote(verdict.verdict_id, actor="alice", now=verdict.expires_at).to_version == 1


# ---------------------------------------------------------------------------------------------------------------------
# Verdicts that promote nothing


@pytest.mark.parametrize(
    ("changes", "now", "says"),
    [
        ({"outcome": Outcome.REJECT}, NOW, "says reject"),
        ({"outcome": Outcome.HOLD}, NOW, "says hold"),
        ({"outcome": Outcome.ERROR}, NOW, "says error"),
        ({}, NOW + DAY + 1, "expired"),
        ({}, NOW - HOUR, "decided in the future"),
        ({"candidate_digest": "cd" * 32}, NOW, "other files"),
        ({"candidate_digest": None}, NOW, "other files"),
        ({"candidate_model_id": "m-" + "0" * 32}, NOW, "deleted"),
    ],
)
def test_an_unusable_verdict_promotes_nothing(store: Store, changes: dict[str, Any], now: int, says: str) -> None:
    verdict = verdict_on(store, candidate(store), **changes)
    error = refused(
        store, VerdictUnusable, says, lambda: store.promotions.promote(verdict.verdict_id, actor="alice", now=now)
    )
    assert (error.verdict_id, error.model_name, error.target) == (verdict.verdict_id, MODEL, CHAMPION)


def test_a_missing_verdict_promotes_nothing(store: Store) -> None:
    refused(store, VerdictUnusable, "no verdict", lambda: store.promotions.promote("v-none", actor="alice", now=NOW))


def retrained(store: Store, model: LoggedModel) -> None:
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ef" * 32, now=NOW)


def deleted(store: Store, model: LoggedModel) -> None:
    store.logged_models.delete(model.model_id, now=NOW)


def failed(store: Store, model: LoggedModel) -> None:
    store.logged_models.finalize(model.model_id, LoggedModelStatus.FAILED, now=NOW)


@pytest.mark.parametrize(
    ("meanwhile", "says"),
    [
        (retrained, "other files"),
        (deleted, "deleted"),
        (failed, "FAILED"),
    ],
)
def test_a_candidate_that_changed_since_is_not_promoted(
    store: Store, meanwhile: Callable[[Store, LoggedModel], Any], says: str
) -> None:
    model = candidate(store)
    verdict = verdict_on(store, model)
    meanwhile(store, model)
    refused(store, VerdictUnusable, says, lambda: store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW))


def test_only_the_very_candidate_is_promoted(store: Store) -> None:
    model, other = candidate(store), candidate(store)
    foreign, elsewhere = registered(store, other), registered(store, model, source="s3://elsewhere/model")
    verdict = verdict_on(store, model)

    def attempt(**asked: Any) -> Callable[[], Any]:
        return lambda: store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW, **asked)

    refused(store, VerdictUnusable, "not about m-", attempt(model_id=other.model_id))
    refused(store, VerdictUnusable, "not about version 1", attempt(version=foreign.version))
    refused(store, VerdictUnusable, "whose files are those of s3://", attempt(version=elsewhere.version))
    before = everything(store)
    with pytest.raises(NotFound, match="version=9"):
        attempt(version=9)()
    assert everything(store) == before


def test_a_verdict_used_again_answers_with_its_promotion_and_writes_nothing(store: Store) -> None:
    model = candidate(store)
    verdict = verdict_on(store, model)
    promotion = store.promotions.promote(verdict.verdict_id, actor="alice", reason="try 1", now=NOW)
    before = everything(store)
    for asked in ({}, {"version": 1}, {"model_id": model.model_id}):
        again = store.promotions.promote(verdict.verdict_id, actor="alice", reason="try 2", now=NOW + 9 * DAY, **asked)
        assert again == promotion
    assert everything(store) == before


def test_a_used_verdict_does_not_answer_for_another_candidate(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW)
    for asked in ({"version": 2}, {"model_id": "m-" + "0" * 32}):
        refused(
            store,
            VerdictUnusable,
            "was used",
            lambda asked=asked: store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW, **asked),
        )


def test_a_verdict_never_promotes_twice(store: Store) -> None:
    first = verdict_on(store, candidate(store))

    def again() -> Promotion:
        return store.promotions.promote(first.verdict_id, actor="alice", now=NOW)

    again()
    promote(store, candidate(store))
    refused(store, VerdictUnusable, "was used", again)
    store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW)
    assert holding(store) == 1
    refused(store, VerdictUnusable, "was used", again)


# ---------------------------------------------------------------------------------------------------------------------
# Compare and set, backfills, gates


def test_the_second_of_two_verdicts_against_one_champion_finds_it_changed(store: Store) -> None:
    promote(store, candidate(store))
    first, second = (verdict_on(store, candidate(store)) for _ in range(2))
    store.promotions.promote(first.verdict_id, actor="alice", now=NOW)
    error = refused(
        store,
        ChampionChanged,
        "Version 2 holds @champion .* when version 1 held it",
        lambda: store.promotions.promote(second.verdict_id, actor="bob", now=NOW),
    )
    assert (error.expected, error.actual) == (1, 2)


def test_a_first_champion_is_a_changed_champion(store: Store) -> None:
    late = verdict_on(store, candidate(store))
    promote(store, candidate(store))
    refused(
        store,
        ChampionChanged,
        "when nobody held it",
        lambda: store.promotions.promote(late.verdict_id, actor="bob", now=NOW),
    )


def test_a_champion_put_there_by_hand_before_the_guard_is_compared_too(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    version = registered(store, candidate(store))
    store.registry.set_alias(MODEL, "champion", version.version)
    refused(
        store,
        ChampionChanged,
        "Version 1 holds",
        lambda: store.promotions.promote(verdict.verdict_id, actor="bob", now=NOW),
    )
    assert promote(store, candidate(store)).from_version == 1


def test_the_champion_itself_is_not_promoted_again(store: Store) -> None:
    model = candidate(store)
    promote(store, model)
    verdict = verdict_on(store, model)
    refused(
        store,
        VerdictUnusable,
        "holds @champion already",
        lambda: store.promotions.promote(verdict.verdict_id, actor="bob", now=NOW),
    )


def on_date(store: Store, date: int | None) -> str:
    return verdict_on(store, candidate(store, logical_date=date), candidate_logical_date=date).verdict_id


def test_a_backfill_leaves_a_newer_champion_alone_unless_it_is_meant(store: Store) -> None:
    store.promotions.promote(on_date(store, NOW), actor="alice", now=NOW)
    older = on_date(store, NOW - DAY)
    error = refused(
        store,
        OlderThanChampion,
        "earlier logical date",
        lambda: store.promotions.promote(older, actor="alice", now=NOW),
    )
    assert (error.logical_date, error.champion_logical_date) == (NOW - DAY, NOW)
    assert store.promotions.promote(older, actor="alice", now=NOW, allow_older=True).to_version == 2
    # The champion stands for the older date now.
    assert store.promotions.promote(on_date(store, NOW - HOUR), actor="alice", now=NOW).to_version == 3


@pytest.mark.parametrize(
    ("champion_date", "date"), [(NOW, NOW), (NOW, NOW + 1), (None, NOW), (NOW, None), (None, None)]
)
def test_what_is_not_known_to_be_older_is_promoted(store: Store, champion_date: int | None, date: int | None) -> None:
    store.promotions.promote(on_date(store, champion_date), actor="alice", now=NOW)
    assert store.promotions.promote(on_date(store, date), actor="alice", now=NOW).to_version == 2


def test_a_champion_put_there_by_hand_has_the_date_of_its_run(store: Store) -> None:
    version = registered(store, candidate(store, logical_date=NOW))
    store.registry.set_alias(MODEL, "champion", version.version)
    older = on_date(store, NOW - DAY)
    refused(store, OlderThanChampion, "earlier", lambda: store.promotions.promote(older, actor="alice", now=NOW))


def test_another_gate_does_not_promote_to_a_guarded_target(store: Store) -> None:
    promote(store, candidate(store))
    lax = {**DEFINITION, "name": "lax-gate"}
    verdict = verdict_on(store, candidate(store), gate_definition=lax)
    error = refused(
        store,
        TargetGuarded,
        "guarded by the gate 'screening-gate'",
        lambda: store.promotions.promote(verdict.verdict_id, actor="mallory", now=NOW),
    )
    assert error.gate_name == "screening-gate"
    store.gates.set(MODEL, CHAMPION, lax, now=NOW, actor="alice")
    assert store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW).to_version == 2


def test_a_changed_gate_takes_the_place_of_its_older_definition_on_the_record(store: Store) -> None:
    promote(store, candidate(store), now=NOW)
    stricter = {**DEFINITION, "expires_after": "2d"}
    changed = draft(store, candidate(store), gate_definition=stricter, decided_at=NOW + HOUR)
    store.verdicts.record(changed)
    store.promotions.promote(changed.verdict_id, actor="bob", now=NOW + HOUR)
    guard = store.gates.get(MODEL, CHAMPION)
    assert guard is not None
    assert (guard.gate_digest, guard.updated_by) == (digest_of(stricter), "bob")
    told = [payload for topic, payload in outbox(store) if topic == "guard.set"]
    assert [payload["gate_digest"] for payload in told] == [digest_of(DEFINITION), digest_of(stricter)]
    assert told[1]["replaces"]["gate_definition"] == DEFINITION


def test_a_verdict_of_before_the_gate_was_changed_is_worth_nothing(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    store.gates.set(MODEL, CHAMPION, {**DEFINITION, "expires_after": "2d"}, now=NOW, actor="alice")
    refused(
        store,
        VerdictUnusable,
        "before the gate 'screening-gate' was changed",
        lambda: store.promotions.promote(verdict.verdict_id, actor="bob", now=NOW),
    )


@pytest.mark.parametrize("target", [CHAMPION, PRODUCTION])
def test_a_promoted_target_moves_by_no_other_path(store: Store, target: str) -> None:
    promote(store, candidate(store), target=target)
    other = registered(store, candidate(store))
    registry = store.registry
    paths: list[Callable[[], Any]] = [
        lambda: registry.delete_version(MODEL, 1, now=NOW),
        lambda: registry.delete_model(MODEL),
    ]
    if target == CHAMPION:
        paths += [
            lambda: registry.set_alias(MODEL, "champion", other.version),
            lambda: registry.delete_alias(MODEL, "champion"),
        ]
    else:
        paths += [
            lambda: registry.transition_stage(MODEL, other.version, "production", now=NOW),
            lambda: registry.transition_stage(MODEL, 1, "Archived", now=NOW),
            lambda: registry.transition_stage(MODEL, 1, "None", now=NOW),
        ]
    for path in paths:
        refused(store, TargetGuarded, "screening-gate", path)
    with pytest.raises(PromotionRefused):
        registry.rename_model(MODEL, "another", now=NOW)
    assert holding(store, target) == 1


def test_a_failure_on_the_way_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(store, candidate(store))
    verdict = verdict_on(store, candidate(store))
    before = everything(store)

    def fail(*_: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(promotions, "append_promotion", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW)
    assert everything(store) == before
    monkeypatch.undo()
    assert store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW).to_version == 2


def test_names_that_the_records_can_not_hold_are_refused(sqlite_store: Store) -> None:
    verdict = verdict_on(sqlite_store, candidate(sqlite_store))
    with pytest.raises(InvalidInput, match="257 characters"):
        sqlite_store.promotions.promote(verdict.verdict_id, actor="x" * 257, now=NOW)
    with pytest.raises(InvalidInput, match="target of a promotion"):
        sqlite_store.promotions.history(MODEL, "champion")


def test_a_verdict_of_another_version_of_the_same_champion_finds_it_changed(store: Store) -> None:
    promote(store, candidate(store))
    verdict = draft(store, candidate(store))
    verdict = store.verdicts.record(replace(verdict, champion_model_id="m-" + "0" * 32))
    refused(
        store,
        ChampionChanged,
        "Version 1 holds",
        lambda: store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW),
    )


def test_a_promotion_is_found_by_its_id(store: Store) -> None:
    promotion = promote(store, candidate(store))
    assert store.promotions.get(promotion.promotion_id) == promotion
    with pytest.raises(NotFound, match="no promotion 'p-none'"):
        store.promotions.get("p-none")


def test_a_clock_that_is_behind_does_not_change_what_stood_when(store: Store) -> None:
    first = promote(store, candidate(store), now=NOW + 300_000)
    second = promote(store, candidate(store), now=NOW + 1)
    assert second.created_at == first.created_at
    assert store.promotions.at(MODEL, CHAMPION, NOW + 300_000) == second == store.promotions.current(MODEL, CHAMPION)
    assert store.promotions.at(MODEL, CHAMPION, NOW + 299_999) is None
    assert store.outbox.get(second.promotion_id).created_at == second.created_at
    assert store.standings.newest_promotions(limit=2) == (second, first)
