"""Promotions at the same time, from threads and from processes: exactly one wins, and the history stays whole."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any

from headgate.store.entities import Promotion
from headgate.store.errors import ChampionChanged, HeadgateError, NotFound, PromotionRefused, TargetGuarded
from headgate.store.promotion_history import fold, holders
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW, candidate, draft, promote, verdict_on

THREADS = 6
PROCESSES = 3

Answer = Promotion | HeadgateError


def answer(act: Callable[[], Promotion]) -> Answer:
    try:
        return act()
    except HeadgateError as error:
        return error


def together(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all of them in threads that start at the same time."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait()
        return answer(act)

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def promotions(store: Store, verdict_ids: Sequence[str]) -> list[Callable[[], Promotion]]:
    return [
        lambda verdict_id=verdict_id: store.promotions.promote(verdict_id, actor="alice", now=NOW)
        for verdict_id in verdict_ids
    ]


def assert_one_won(store: Store, answers: Sequence[Answer], before: int) -> None:
    won = [found for found in answers if isinstance(found, Promotion)]
    lost = [found for found in answers if not isinstance(found, Promotion)]
    assert [type(error) for error in lost] == [ChampionChanged] * (len(answers) - 1)
    history = store.promotions.history(MODEL, CHAMPION)
    assert [event.sequence for event in history] == list(range(1, before + 2))
    assert history[-1:] == tuple(won)
    assert store.registry.get_version_by_alias(MODEL, "champion").version == won[0].to_version
    used = [verdict for verdict in store.verdicts.search(MODEL).items if verdict.used_by == won[0].promotion_id]
    assert [verdict.verdict_id for verdict in used] == [won[0].verdict_id]


def test_of_many_threads_one_makes_the_first_promotion(store: Store) -> None:
    verdicts = [verdict_on(store, candidate(store)).verdict_id for _ in range(THREADS)]
    assert_one_won(store, together(promotions(store, verdicts)), before=0)


def test_of_many_threads_one_displaces_the_champion(store: Store) -> None:
    promote(store, candidate(store))
    promote(store, candidate(store))
    verdicts = [verdict_on(store, candidate(store)).verdict_id for _ in range(THREADS)]
    assert_one_won(store, together(promotions(store, verdicts)), before=2)


def test_one_verdict_in_many_threads_promotes_once_and_all_get_that_promotion(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    answers = together(promotions(store, [verdict.verdict_id] * THREADS))
    assert len(set(answers)) == 1
    assert store.promotions.history(MODEL) == (answers[0],)
    assert len(store.registry.get_latest_versions(MODEL)) == 1


def test_one_verdict_recorded_by_many_threads_is_one(store: Store) -> None:
    verdict = draft(store, candidate(store))
    assert together([lambda: store.verdicts.record(verdict)] * THREADS) == [verdict] * THREADS
    assert store.verdicts.search(MODEL, candidate_model_id=verdict.candidate_model_id).items == (verdict,)


def test_a_rollback_and_promotions_at_once_come_one_after_the_other(store: Store) -> None:
    for _ in range(3):
        promote(store, candidate(store))
    verdicts = [verdict_on(store, candidate(store)).verdict_id for _ in range(3)]
    acts = [
        *promotions(store, verdicts),
        *[lambda: store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW, from_version=3)] * 2,
    ]
    answers = together(acts)
    written = {found for found in answers if isinstance(found, Promotion)}
    assert len(written) == 1
    assert all(type(found) is ChampionChanged for found in answers if found not in written)
    history = store.promotions.history(MODEL, CHAMPION)
    assert len(history) == 4
    assert set(history[3:]) == written
    assert holders(history)[-1] == store.registry.get_version_by_alias(MODEL, "champion").version


def test_a_hand_that_moves_the_alias_while_it_becomes_guarded_comes_before_or_not_at_all(store: Store) -> None:
    promote(store, candidate(store))
    store.gates.remove(MODEL, CHAMPION, now=NOW)
    other = store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW).version
    verdict = verdict_on(store, candidate(store))
    moved, promotion = together(
        [lambda: store.registry.set_alias(MODEL, "champion", other), *promotions(store, [verdict.verdict_id])]
    )
    holder = store.registry.get_version_by_alias(MODEL, "champion").version
    if isinstance(promotion, Promotion):
        assert isinstance(moved, TargetGuarded)
        assert holder == promotion.to_version
    else:
        assert moved is None
        assert isinstance(promotion, ChampionChanged)
        assert holder == other


def test_a_guard_and_a_deletion_at_once_come_one_after_the_other(store: Store) -> None:
    store.registry.create_model(MODEL, now=NOW)
    store.registry.create_version(MODEL, model_id=candidate(store).model_id, now=NOW)
    store.registry.set_alias(MODEL, "champion", 1)
    guard, deleted = together(
        [
            lambda: store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW),
            lambda: store.registry.delete_alias(MODEL, "champion"),
        ]
    )
    assert guard == store.gates.get(MODEL, CHAMPION)
    if isinstance(deleted, TargetGuarded):
        assert store.promotions.holder(MODEL, CHAMPION) is not None
    else:
        assert store.promotions.holder(MODEL, CHAMPION) is None


_start: Barrier | None = None


def _keep(barrier: Barrier) -> None:
    global _start
    _start = barrier


def _promote_in_a_process(url: str, artifact_root: str, verdict_id: str) -> Answer:
    with open_store(url, artifact_root=artifact_root, settings=Settings()) as store:
        store.promotions.history(MODEL)  # connected, so that the barrier lets all of them go at once
        assert _start is not None
        _start.wait(300)
        return answer(lambda: store.promotions.promote(verdict_id, actor="alice", now=NOW))


def test_of_many_processes_one_displaces_the_champion(store: Store) -> None:
    promote(store, candidate(store))
    verdicts = [verdict_on(store, candidate(store)).verdict_id for _ in range(PROCESSES)]
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, mp_context=spawn, initializer=_keep, initargs=(barrier,)) as pool:
        asked = [
            pool.submit(_promote_in_a_process, store.url, store.artifact_root, verdict_id) for verdict_id in verdicts
        ]
        assert_one_won(store, [future.result(400) for future in asked], before=1)


def test_many_promotions_one_after_the_other_in_many_threads_leave_a_whole_history(store: Store) -> None:
    """Each thread decides and promotes until it has won once: nothing is lost, and nothing is promoted twice."""

    def win() -> Promotion:
        model = candidate(store)
        while True:
            verdict = verdict_on(store, model)
            (act,) = promotions(store, [verdict.verdict_id])
            found = answer(act)
            if isinstance(found, Promotion):
                return found
            assert isinstance(found, ChampionChanged), found

    won = together([win] * 4)
    history = store.promotions.history(MODEL, CHAMPION)
    assert sorted(won, key=lambda event: event.sequence) == list(history)
    assert [event.from_version for event in history] == [None, *(event.to_version for event in history[:-1])]
    assert fold(history) == {(MODEL, CHAMPION): store.registry.get_version_by_alias(MODEL, "champion").version}
    assert not isinstance(answer(lambda: store.promotions.roll_back(MODEL, CHAMPION, actor="a", now=NOW)), NotFound)


def test_a_writer_without_the_lock_is_still_refused_by_the_unique_keys(store: Store) -> None:
    from headgate.store.promotion_rows import append_promotion

    event = promote(store, candidate(store))
    used_again = answer(lambda: store.database.transact(lambda conn: append_promotion(conn, event, {})))
    assert isinstance(used_again, PromotionRefused)
    assert store.promotions.history(MODEL) == (event,)
