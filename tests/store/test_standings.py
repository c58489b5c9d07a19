"""Who holds what and why, of many models at once, on each database."""

from __future__ import annotations

from headgate.store.store import Store
from tests.store.lineage_world import CHAMPION, MODEL, NOW, counted_queries, run_pipeline
from tests.store.promotion_cases import NOW as THEN
from tests.store.promotion_cases import candidate, promote


def test_a_promotion_stands_with_its_verdict_and_its_gate(store: Store) -> None:
    made = run_pipeline(store)

    (standing,) = store.standings.of([MODEL, "unknown"])[MODEL]

    assert (standing.model_name, standing.target, standing.version) == (MODEL, CHAMPION, 1)
    assert standing.promotion == made.promotion
    assert standing.verdict is not None
    assert standing.verdict.checks[0].rule == "recall >= 0.9"
    assert standing.guard is not None
    assert standing.guard.gate_name == "screening"
    assert not standing.by_hand


def test_what_was_set_by_hand_is_said_to_be(store: Store) -> None:
    run_pipeline(store)
    store.registry.set_alias(MODEL, "shadow", 1)
    store.registry.transition_stage(MODEL, 1, "Staging", now=NOW)

    champion, shadow, staging = store.standings.of([MODEL])[MODEL]

    assert [champion.by_hand, shadow.by_hand, staging.by_hand] == [False, True, True]
    assert [shadow.target, staging.target] == ["@shadow", "stage:Staging"]
    assert (shadow.promotion, shadow.guard) == (None, None)


def test_a_rollback_is_the_last_event_and_has_no_verdict(store: Store) -> None:
    run_pipeline(store, 1)
    run_pipeline(store, 2)
    back = store.promotions.roll_back(MODEL, CHAMPION, actor="bob", reason="wrong", now=NOW + 900_000)

    (standing,) = store.standings.of([MODEL])[MODEL]

    assert standing.promotion == back
    assert (standing.version, standing.verdict, standing.by_hand) == (1, None, False)


def test_a_target_that_nobody_holds_any_more_still_stands_with_its_history(store: Store) -> None:
    run_pipeline(store)
    back = store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW + 900_000)

    (standing,) = store.standings.of([MODEL])[MODEL]

    assert (standing.version, standing.promotion, standing.by_hand) == (None, back, False)


def test_the_statements_do_not_grow_with_the_models(sqlite_store: Store) -> None:
    run_pipeline(sqlite_store)
    names = [f"model {number}" for number in range(20)]
    for name in names:
        sqlite_store.registry.create_model(name, now=NOW)
        sqlite_store.registry.create_version(name, "/files", now=NOW)
        sqlite_store.registry.set_alias(name, "champion", 1)
    with counted_queries(sqlite_store) as few:
        sqlite_store.standings.of([MODEL])
    with counted_queries(sqlite_store) as many:
        found = sqlite_store.standings.of([MODEL, *names])
    assert len(found) == 21
    assert len(few) == len(many)


def test_promotions_of_all_models_come_newest_first_in_pages(store: Store) -> None:
    made = [run_pipeline(store, number).promotion for number in (1, 2, 3)]

    newest = store.standings.newest_promotions(limit=2)
    earlier = store.standings.newest_promotions(limit=2, before=(newest[-1].created_at, newest[-1].promotion_id))

    assert [*newest, *earlier] == made[::-1]
    ids = [each.promotion_id for each in made if each is not None]
    assert list(store.standings.promotions([*ids, "p-unknown"])) == made[::-1]
    assert store.standings.promotions([]) == ()


def test_pages_of_promotions_leave_none_of_one_instant_out(store: Store) -> None:
    made = {promote(store, candidate(store), now=THEN).promotion_id for _ in range(4)}
    seen: list[str] = []
    before = None
    while page := store.standings.newest_promotions(limit=1, before=before):
        seen += [each.promotion_id for each in page]
        before = page[-1].created_at, page[-1].promotion_id
    assert len(seen) == 4
    assert set(seen) == made


def test_verdicts_by_id_and_by_the_work_that_they_were_about(store: Store) -> None:
    one, other = run_pipeline(store, 1), run_pipeline(store, 2)
    assert one.verdict is not None
    assert other.verdict is not None

    assert store.standings.verdicts([one.verdict.verdict_id, "v-unknown"]).keys() == {one.verdict.verdict_id}
    of_work = store.standings.verdicts_of_work([one.train.info.run_id], [one.model.model_id, other.model.model_id])
    assert [each.verdict_id for each in of_work] == [other.verdict.verdict_id, one.verdict.verdict_id]
    assert store.standings.verdicts_of_work([], []) == ()


def test_the_newest_versions_of_a_model_of_any_name(store: Store) -> None:
    name = 'it\'s "quoted"'
    store.registry.create_model(name, now=NOW)
    for _ in range(3):
        store.registry.create_version(name, "/files", now=NOW)
    store.registry.set_alias(name, "champion", 3)

    newest = store.standings.newest_versions(name, limit=2)

    assert [(each.version, each.aliases) for each in newest] == [(3, ("champion",)), (2, ())]
    assert store.standings.newest_versions("unknown", limit=2) == ()
