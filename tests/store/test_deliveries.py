"""Deliveries: a channel gets every event it wants, one owner at a time tells it, and a dead owner is replaced."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headgate.store.deliveries import Claim, Delivery
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.outbox import announce
from headgate.store.promotion_rows import PROMOTION_TOPIC, promotion_subject
from headgate.store.store import Store
from tests.store.promotion_cases import CHAMPION, MODEL, NOW, candidate, promote, verdict_on

MINUTE = 60_000
CONSUMERS = 4


def tell(store: Store, event_id: str, subject: str = "thing") -> None:
    store.database.transact(
        lambda conn: announce(conn, store.workspace, "test", subject, {}, NOW, model_name="", event_id=event_id)
    )


def due(store: Store, channel: str = "airflow", now: int = NOW) -> list[str]:
    return [delivery.event.event_id for delivery in store.deliveries.due(channel, now=now)]


def claim(store: Store, event_id: str, owner: str, *, now: int = NOW, over: Delivery | None = None) -> bool:
    return store.deliveries.claim(event_id, Claim("airflow", owner, now + MINUTE), now=now, over=over)


def the_delivery(store: Store, event_id: str, channel: str = "airflow") -> Delivery:
    found = store.deliveries.get(channel, event_id)
    assert found is not None
    return found


def together(acts: list[Callable[[], Any]]) -> list[Any]:
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.fixture
def subscribed(store: Store) -> Store:
    assert store.deliveries.subscribe("airflow", "test", now=NOW)
    return store


def test_a_channel_gets_what_is_committed_after_it_subscribed(store: Store) -> None:
    tell(store, "before")
    assert store.deliveries.subscribe("airflow", "test", now=NOW)
    assert not store.deliveries.subscribe("airflow", "test", now=NOW)
    assert store.deliveries.subscribe("prefect", "test", "other", now=NOW)
    tell(store, "after")
    tell(store, "other", subject="other")

    assert due(store) == ["after", "other"]
    assert due(store, "prefect") == ["other"]
    assert due(store, "webhook") == []
    assert store.deliveries.get("airflow", "before") is None

    assert store.deliveries.unsubscribe("airflow", "test")
    assert not store.deliveries.unsubscribe("airflow", "test")
    tell(store, "later")
    assert due(store) == ["after", "other"]


def test_a_topic_that_nobody_wants_is_delivered_to_nobody(subscribed: Store) -> None:
    promote(subscribed, candidate(subscribed))
    assert due(subscribed) == []


def test_an_event_is_claimed_told_and_confirmed_and_each_may_run_twice(subscribed: Store) -> None:
    tell(subscribed, "e")
    assert due(subscribed) == ["e"]
    assert claim(subscribed, "e", "me")
    assert claim(subscribed, "e", "me")
    assert not claim(subscribed, "e", "you")
    assert due(subscribed) == []
    assert not subscribed.deliveries.confirm("airflow", "e", "you", now=NOW)
    assert subscribed.deliveries.confirm("airflow", "e", "me", now=NOW + 1)
    assert subscribed.deliveries.confirm("airflow", "e", "me", now=NOW + 2)

    delivery = the_delivery(subscribed, "e")
    assert (delivery.owner, delivery.claims, delivery.delivered_at) == ("me", 2, NOW + 1)
    assert not claim(subscribed, "e", "me", now=NOW + 2 * MINUTE)
    assert due(subscribed, now=NOW + 2 * MINUTE) == []


def test_a_claim_that_ran_out_is_taken_over_by_who_saw_it_and_not_by_accident(subscribed: Store) -> None:
    tell(subscribed, "e")
    claim(subscribed, "e", "dead")
    later = NOW + MINUTE
    assert due(subscribed, now=later - 1) == []
    (lapsed,) = subscribed.deliveries.due("airflow", now=later)
    assert (lapsed.owner, lapsed.claims) == ("dead", 1)

    assert not claim(subscribed, "e", "heir", now=later)
    assert claim(subscribed, "e", "heir", now=later, over=lapsed)
    assert not claim(subscribed, "e", "late heir", now=later, over=lapsed)
    assert not subscribed.deliveries.confirm("airflow", "e", "dead", now=later)
    assert not subscribed.deliveries.prolong("airflow", "e", "dead", expires_at=later + MINUTE)
    assert subscribed.deliveries.confirm("airflow", "e", "heir", now=later)


def test_a_claim_that_was_renewed_is_not_taken_over_by_who_saw_it_lapse(subscribed: Store) -> None:
    tell(subscribed, "e")
    claim(subscribed, "e", "slow")
    later = NOW + MINUTE
    (lapsed,) = subscribed.deliveries.due("airflow", now=later)
    assert subscribed.deliveries.prolong("airflow", "e", "slow", expires_at=later + MINUTE)

    assert not claim(subscribed, "e", "heir", now=later, over=lapsed)
    assert due(subscribed, now=later) == []


def test_of_many_heirs_one_takes_over(subscribed: Store) -> None:
    tell(subscribed, "e")
    claim(subscribed, "e", "dead")
    (lapsed,) = subscribed.deliveries.due("airflow", now=NOW + MINUTE)

    def take(owner: str) -> Callable[[], bool]:
        return lambda: claim(subscribed, "e", owner, now=NOW + MINUTE, over=lapsed)

    assert sorted(together([take(str(heir)) for heir in range(CONSUMERS)])) == [False] * (CONSUMERS - 1) + [True]


def test_a_claim_that_is_given_back_waits_for_its_next_try(subscribed: Store) -> None:
    tell(subscribed, "e")
    claim(subscribed, "e", "me")
    assert not subscribed.deliveries.release("airflow", "e", "you", due_at=NOW)
    assert subscribed.deliveries.release("airflow", "e", "me", due_at=NOW + MINUTE, error="it did not answer")

    assert due(subscribed) == []
    assert not claim(subscribed, "e", "you", now=NOW + MINUTE - 1)
    (again,) = subscribed.deliveries.due("airflow", now=NOW + MINUTE)
    assert (again.owner, again.error) == ("", "it did not answer")
    assert claim(subscribed, "e", "you", now=NOW + MINUTE)
    assert subscribed.deliveries.confirm("airflow", "e", "you", now=NOW + MINUTE)
    assert the_delivery(subscribed, "e").error == ""


def test_events_of_one_subject_are_due_one_after_the_other(subscribed: Store) -> None:
    for event_id, subject in [("a1", "a"), ("b1", "b"), ("a2", "a")]:
        tell(subscribed, event_id, subject)
    assert due(subscribed) == ["a1", "b1"]
    claim(subscribed, "a1", "me")
    assert due(subscribed) == ["b1"]
    subscribed.deliveries.confirm("airflow", "a1", "me", now=NOW)
    assert due(subscribed) == ["b1", "a2"]
    assert [found.event.event_id for found in subscribed.deliveries.due("airflow", now=NOW, subjects=["a", "c"])] == [
        "a2"
    ]
    assert subscribed.deliveries.due("airflow", now=NOW, subjects=[]) == ()


def test_a_channel_that_is_not_subscribed_can_claim_too(store: Store) -> None:
    tell(store, "e")
    assert claim(store, "e", "me")
    assert store.deliveries.confirm("airflow", "e", "me", now=NOW)
    with pytest.raises(NotFound, match="nothing"):
        claim(store, "nothing", "me")
    with pytest.raises(InvalidInput, match="owner"):
        claim(store, "e", "")


def test_a_promotion_that_is_claimed_as_it_is_made_is_not_due_for_others(store: Store) -> None:
    store.deliveries.subscribe("airflow", PROMOTION_TOPIC, promotion_subject(MODEL, CHAMPION), now=NOW)
    store.deliveries.subscribe("prefect", PROMOTION_TOPIC, now=NOW)
    verdict = verdict_on(store, candidate(store))
    mine = Claim("airflow", "task", NOW + MINUTE)
    promotion = store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW, claim=mine)

    assert due(store) == []
    assert due(store, "prefect") == [promotion.promotion_id]
    delivery = the_delivery(store, promotion.promotion_id)
    assert (delivery.owner, delivery.claims, delivery.due_at) == ("task", 1, NOW + MINUTE)
    again = store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW + 1, claim=mine)
    assert again == promotion
    assert claim(store, promotion.promotion_id, "task", now=NOW + 1)
    assert store.deliveries.confirm("airflow", promotion.promotion_id, "task", now=NOW + 2)
    assert due(store, now=NOW + 5 * MINUTE) == []


def test_a_rollback_is_claimed_as_it_is_made(store: Store) -> None:
    store.deliveries.subscribe("airflow", PROMOTION_TOPIC, now=NOW)
    promote(store, candidate(store))
    promote(store, candidate(store))
    back = store.promotions.roll_back(
        MODEL, CHAMPION, actor="bob", now=NOW, claim=Claim("airflow", "task", NOW + MINUTE)
    )
    assert the_delivery(store, back.promotion_id).owner == "task"


def test_a_promotion_that_is_refused_leaves_no_claim(store: Store) -> None:
    verdict = verdict_on(store, candidate(store))
    promote(store, candidate(store))
    with pytest.raises(Exception, match="holds"):
        store.promotions.promote(
            verdict.verdict_id, actor="alice", now=NOW, claim=Claim("airflow", "task", NOW + MINUTE)
        )
    store.deliveries.subscribe("airflow", PROMOTION_TOPIC, now=NOW)
    assert due(store, now=NOW + MINUTE) == []


def test_many_consumers_tell_every_event_once_while_it_is_written(subscribed: Store) -> None:
    """Two channels, each with consumers of its own, of which some die between their claim and its confirmation."""
    store = subscribed
    store.deliveries.subscribe("prefect", "test", now=NOW)
    events = [f"e{number}" for number in range(24)]
    told: Counter[tuple[str, str]] = Counter()
    counting = threading.Lock()
    clock = iter(range(NOW, NOW + 10_000 * MINUTE, MINUTE))  # each look is a minute later, so that claims run out

    def write(part: int) -> None:
        for event_id in events[part::2]:
            tell(store, event_id, subject=f"thing {part}")

    def consume(channel: str, consumer: int) -> None:
        owner = f"{channel} {consumer}"
        while True:
            with counting:
                if sum(count for (to, _), count in told.items() if to == channel) == len(events):
                    return
                now = next(clock)
            for delivery in store.deliveries.due(channel, now=now):
                mine = Claim(channel, owner, now + MINUTE)
                event_id = delivery.event.event_id
                if not store.deliveries.claim(event_id, mine, now=now, over=delivery):
                    continue
                if consumer == 0 and delivery.claims == 0:
                    continue  # it dies before it tells
                if store.deliveries.confirm(channel, event_id, owner, now=now):
                    with counting:
                        told[channel, event_id] += 1

    acts: list[Callable[[], Any]] = [lambda part=part: write(part) for part in range(2)]
    acts += [lambda at=(channel, n): consume(*at) for channel in ("airflow", "prefect") for n in range(2)]
    together(acts)

    assert told == {(channel, event_id): 1 for channel in ("airflow", "prefect") for event_id in events}


def test_a_subscription_amid_writers_gets_all_that_is_written_after_it(store: Store) -> None:
    subscribed = threading.Event()
    begun_after: list[str] = []

    def write(writer: int) -> None:
        for number in range(15):
            event_id = f"{writer}.{number}"
            if subscribed.is_set():
                begun_after.append(event_id)
            tell(store, event_id, subject=event_id)

    def subscribe() -> None:
        store.deliveries.subscribe("airflow", "test", now=NOW)
        subscribed.set()
        tell(store, "last", subject="last")

    together([*[lambda writer=writer: write(writer) for writer in range(3)], subscribe])

    assert {"last", *begun_after} <= set(due(store))
