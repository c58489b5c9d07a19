"""The outbox: what a promotion says to the outside, and an order of reading that skips no event that commits late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headgate.store.deliveries import Claim
from headgate.store.errors import NotFound
from headgate.store.outbox import OutboxEvent, announce
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from tests.store.promotion_cases import CHAMPION, MODEL, NOW, candidate, promote, verdict_on

WRITERS = 4
EVENTS_EACH = 12


def tell(store: Store, event_id: str, *, topic: str = "test", subject: str = "thing", **payload: Any) -> None:
    store.database.transact(
        lambda conn: announce(conn, store.workspace, topic, subject, payload, NOW, model_name="", event_id=event_id)
    )


def read_all(store: Store, after: int = 0, *, page: int = 100) -> list[OutboxEvent]:
    """Read as a reader does that keeps the last position it saw."""
    found: list[OutboxEvent] = []
    while events := store.outbox.read(after=after, max_results=page):
        found += events
        after = events[-1].position
    return found


def test_a_promotion_tells_who_holds_the_target_now_by_whose_verdict(store: Store) -> None:
    model = candidate(store)
    promote(store, candidate(store), now=NOW)
    verdict = verdict_on(store, model)
    promotion = store.promotions.promote(verdict.verdict_id, actor="alice", reason="better", now=NOW)

    event = store.outbox.get(promotion.promotion_id)

    assert event == read_all(store)[-1]
    assert (event.event_id, event.topic, event.subject) == (promotion.promotion_id, "promotion", f"{MODEL}{CHAMPION}")
    assert (event.created_at, event.workspace) == (NOW, "default")
    told = dict(event.payload)
    assert (told["promotion_id"], told["kind"], told["sequence"]) == (promotion.promotion_id, "promote", 2)
    assert (told["model_name"], told["target"], told["to_version"], told["from_version"]) == (MODEL, CHAMPION, 2, 1)
    assert (told["model_id"], told["digest"], told["run_id"]) == (
        model.model_id,
        model.artifact_digest,
        model.source_run_id,
    )
    assert (told["verdict_id"], told["gate_name"], told["gate_digest"]) == (
        verdict.verdict_id,
        verdict.gate_name,
        verdict.gate_digest,
    )
    assert (told["actor"], told["reason"], told["created_at"]) == ("alice", "better", NOW)


def test_a_rollback_tells_whom_it_brought_back(store: Store) -> None:
    first = candidate(store)
    promote(store, first)
    promote(store, candidate(store))
    back = store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW)
    emptied = store.promotions.roll_back(MODEL, CHAMPION, actor="bob", now=NOW)

    told, last = (store.outbox.get(event.promotion_id).payload for event in (back, emptied))

    assert (told["kind"], told["to_version"], told["from_version"], told["actor"]) == ("roll_back", 1, 2, "bob")
    assert (told["model_id"], told["digest"], told["run_id"]) == (
        first.model_id,
        first.artifact_digest,
        first.source_run_id,
    )
    assert (told["verdict_id"], told["gate_name"]) == (None, None)
    assert (last["to_version"], last["model_id"], last["digest"], last["run_id"]) == (None, None, None, None)


def test_events_are_read_in_their_order_and_only_once(store: Store) -> None:
    for number in range(5):
        tell(store, f"e{number}", topic="odd" if number % 2 else "even", number=number)

    assert [(event.event_id, event.position) for event in read_all(store, page=2)] == [
        (f"e{number}", number + 1) for number in range(5)
    ]
    assert [event.payload["number"] for event in store.outbox.read(topics=["odd"])] == [1, 3]
    assert store.outbox.read(after=5) == ()
    tell(store, "e5")
    assert [(event.event_id, event.position) for event in store.outbox.read(after=5)] == [("e5", 6)]


def test_an_event_of_another_workspace_is_not_read(store: Store, store_url: str) -> None:
    settings = Settings(workspace="other")
    with open_store(store_url, artifact_root=store.artifact_root, settings=settings) as other:
        tell(other, "theirs")
        tell(store, "ours")
        assert [(event.event_id, event.position) for event in store.outbox.read()] == [("ours", 2)]
        assert [event.event_id for event in other.outbox.read()] == ["theirs"]
    with pytest.raises(NotFound, match="theirs"):
        store.outbox.get("theirs")


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"], indirect=True)
def test_an_event_that_commits_late_is_read_after_those_that_were_read_before(store: Store) -> None:
    with store.database.engine.connect() as slow, slow.begin():
        announce(slow, "default", "test", "slow", {}, NOW, model_name="", event_id="written first")
        tell(store, "committed first", subject="quick")
        assert [(event.event_id, event.position) for event in store.outbox.read()] == [("committed first", 1)]

    assert [(event.event_id, event.position) for event in store.outbox.read(after=1)] == [("written first", 2)]
    assert [event.event_id for event in store.outbox.read()] == ["committed first", "written first"]


def test_readers_beside_many_writers_see_every_event_once_and_in_the_same_order(store: Store) -> None:
    writing = threading.Event()
    writing.set()

    def write(writer: int) -> None:
        for number in range(EVENTS_EACH):
            tell(store, f"{writer}.{number}", subject=f"thing {writer}", number=number)

    def read(page: int) -> list[str]:
        seen: list[OutboxEvent] = []
        while writing.is_set():
            seen += store.outbox.read(after=seen[-1].position if seen else 0, max_results=page)
        seen += read_all(store, seen[-1].position if seen else 0)
        assert [event.position for event in seen] == list(range(1, len(seen) + 1))
        return [event.event_id for event in seen]

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        readers = [pool.submit(read, page) for page in (3, 100)]
        try:
            list(pool.map(write, range(WRITERS)))
        finally:
            writing.clear()
        first, second = (reader.result() for reader in readers)

    assert first == second
    assert sorted(first) == sorted(f"{writer}.{number}" for writer in range(WRITERS) for number in range(EVENTS_EACH))
    for writer in range(WRITERS):
        own = [name for name in first if name.startswith(f"{writer}.")]
        assert own == [f"{writer}.{number}" for number in range(EVENTS_EACH)]


def test_pruning_leaves_what_is_on_its_way_dead_or_the_newest_of_its_subject(store: Store) -> None:
    store.deliveries.subscribe("hook", "promotion", now=NOW)
    for number in range(6):
        tell(store, f"e{number}", topic="promotion", subject="m@champion")
    tell(store, "alone", topic="promotion", subject="m@shadow")
    assert len(store.outbox.read()) == 7
    for number in (0, 1, 3):
        assert store.deliveries.claim(f"e{number}", Claim("hook", "me", NOW + 1), now=NOW)
    store.deliveries.confirm("hook", "e0", "me", now=NOW)
    store.deliveries.confirm("hook", "e1", "me", now=NOW)
    store.deliveries.bury("hook", "e3", "me", error="gone", now=NOW)
    assert store.outbox.prune(before=NOW) == 0  # none is older
    assert store.outbox.prune(before=NOW + 1, at_once=2) == 2
    assert [event.event_id for event in store.outbox.read()] == ["e2", "e3", "e4", "e5", "alone"]
    assert store.outbox.prune(before=NOW + 1) == 0
