"""Watchers in Airflow's shared streams: each promotion from outside is told once, whatever dies or does not answer.

The streams are Airflow's; the test is the rest of the triggerer: it takes events, and says when they are persisted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headgate.airflow import promotion_watch
from headgate.airflow.promoted import PromotedModel, from_extra
from headgate.airflow.promotion_watch import watch_of
from headgate.airflow.triggers import PromotionTrigger
from headgate.store.clock import now_ms
from headgate.store.deliveries import Claim
from headgate.store.entities import Promotion
from headgate.store.promotion_rows import PROMOTION_TOPIC
from headgate.store.store import Store
from headgate.store.tables import metadata
from tests.plugin.airflow.promotions import delivery_of
from tests.store.promotion_cases import candidate, draft

MODEL = "screening"
PATIENCE = 120.0
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW__HEADGATE__POLL_INTERVAL", "0.05")
    monkeypatch.setattr(promotion_watch, "LEASE_MS", 1500)
    watch_of.cache_clear()
    yield
    watch_of.cache_clear()


def promoted(store: Store, model: str = MODEL) -> Promotion:
    """A promotion from outside of Airflow."""
    now = now_ms()
    verdict = draft(store, candidate(store), model_name=model, decided_at=now, expires_at=now + 60_000)
    return store.promotions.promote(store.verdicts.record(verdict).verdict_id, actor="shell", now=now)


class Triggerer:
    """Runs triggers as Airflow's triggerer does, and keeps what they fire.

    Args:
        persists: whether it says that events were written to Airflow's database.
    """

    def __init__(self, persists: bool = True) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager

        self.told: list[PromotedModel] = []
        self.persists = persists
        self._manager = SharedStreamManager()
        self._tasks: list[asyncio.Task[None]] = []
        self._ids = itertools.count()

    def start(self, trigger: PromotionTrigger) -> None:
        self._tasks.append(asyncio.create_task(self._drive(next(self._ids), trigger)))

    async def _drive(self, trigger_id: int, trigger: PromotionTrigger) -> None:
        key = trigger.shared_stream_key()
        assert key is not None
        try:
            stream = self._manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
            async for event in trigger.filter_shared_stream(stream):
                seq = self._manager.bind_pending_event(trigger_id=trigger_id, key=key)
                told = from_extra({"from_trigger": True, "payload": event.payload})
                assert told is not None
                assert seq is not None
                self.told.append(told)
                if self.persists:
                    asyncio.get_running_loop().call_later(0.01, self._manager.confirm_persisted, [seq])
        finally:
            await self._manager.unsubscribe(trigger_id, key)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended
        await self._manager.stop_all()

    @property
    def ids(self) -> list[str]:
        return [model.promotion_id for model in self.told]


@asynccontextmanager
async def triggerer(*models: str, persists: bool = True) -> AsyncIterator[Triggerer]:
    """A triggerer of a process of its own, which it leaves as a process does that is killed."""
    watch_of.cache_clear()
    running = Triggerer(persists)
    for model in models:
        running.start(PromotionTrigger(model_name=model, target="@champion"))
    try:
        yield running
    finally:
        await running.stop()


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(wait(), PATIENCE)


async def subscribed(store: Store, model: str = MODEL, channel: str = "airflow") -> None:
    """Wait until a watcher has subscribed."""
    table = metadata.tables["headgate_subscription"]

    def there() -> bool:
        with store.database.read() as conn:
            return (channel, f"{model}@champion") in {
                (row.channel, row.subject) for row in conn.execute(table.select())
            }

    await until(there)


def run(work: Callable[[], Awaitable[Any]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_a_promotion_from_outside_is_told_once_and_confirmed(store: Store) -> None:
    before = promoted(store)

    async def work() -> None:
        async with triggerer(MODEL) as airflow:
            await subscribed(store)
            first = promoted(store)
            await until(lambda: delivery_is_done(store, first))
            assert airflow.ids == [first.promotion_id]
            back = store.promotions.roll_back(MODEL, "@champion", actor="shell", now=now_ms())
            await until(lambda: delivery_is_done(store, back))
            assert airflow.ids == [first.promotion_id, back.promotion_id]
        told, restored = airflow.told
        assert (told.version, told.previous_version, told.actor, told.superseded_by) == (2, 1, "shell", None)
        assert (restored.kind, restored.version, restored.previous_version) == ("roll_back", 1, 2)

    run(work)
    assert store.deliveries.get("airflow", before.promotion_id) is None


def delivery_is_done(store: Store, promotion: Promotion) -> bool:
    delivery = store.deliveries.get("airflow", promotion.promotion_id)
    return delivery is not None and delivery.delivered_at is not None


def test_what_is_promoted_while_no_triggerer_runs_is_told_by_the_next_in_its_order(store: Store) -> None:
    async def work() -> None:
        async with triggerer(MODEL):
            await subscribed(store)
        missed = [promoted(store), promoted(store), promoted(store)]
        async with triggerer(MODEL) as airflow:
            await until(lambda: delivery_is_done(store, missed[-1]))
        assert airflow.ids == [promotion.promotion_id for promotion in missed]
        assert [(model.late, model.superseded_by) for model in airflow.told] == [(True, 3), (True, 3), (False, None)]
        async with triggerer(MODEL) as airflow:
            last = promoted(store)
            await until(lambda: delivery_is_done(store, last))
        assert airflow.ids == [last.promotion_id]

    run(work)


def test_what_a_triggerer_did_not_get_written_before_it_died_is_told_again(store: Store) -> None:
    async def work() -> None:
        async with triggerer(MODEL, persists=False) as airflow:
            await subscribed(store)
            promotion = promoted(store)
            await until(lambda: airflow.ids == [promotion.promotion_id])
        assert not delivery_is_done(store, promotion)
        async with triggerer(MODEL) as heir:
            await until(lambda: delivery_is_done(store, promotion))
        assert heir.ids == [promotion.promotion_id]
        assert delivery_of(store, promotion.promotion_id).claims == 2

    run(work)


def test_what_is_being_written_is_not_told_again_however_long_it_takes(store: Store) -> None:
    async def work() -> None:
        async with triggerer(MODEL, persists=False) as airflow:
            await subscribed(store)
            promotion = promoted(store)
            await until(lambda: airflow.ids == [promotion.promotion_id])
            first = delivery_of(store, promotion.promotion_id)
            await until(lambda: delivery_of(store, promotion.promotion_id).due_at > first.due_at + 2000)
            assert airflow.ids == [promotion.promotion_id]
            assert delivery_of(store, promotion.promotion_id).claims == 1

    run(work)


def test_many_watchers_share_a_store_and_each_tells_its_own(store: Store) -> None:
    models = [f"model-{number}" for number in range(5)]

    async def work() -> None:
        async with triggerer(*models) as airflow:
            for model in models:
                await subscribed(store, model)
            promotions = [promoted(store, model) for model in models for _ in range(2)]
            unwatched = promoted(store, "unwatched")
            for promotion in promotions:
                await until(lambda promotion=promotion: delivery_is_done(store, promotion))  # type: ignore[misc]
            assert sorted(airflow.ids) == sorted(promotion.promotion_id for promotion in promotions)
            assert store.deliveries.get("airflow", unwatched.promotion_id) is None

    run(work)


def test_a_store_that_does_not_answer_is_asked_again(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def work() -> None:
        monkeypatch.setenv("HEADGATE_STORE_URL", NOWHERE)
        monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", "/nowhere")
        async with triggerer(MODEL) as airflow:
            await until(lambda: len(waits) >= 2)
            monkeypatch.setenv("HEADGATE_STORE_URL", store_url)
            await subscribed(store)
            first = promoted(store)
            await until(lambda: delivery_is_done(store, first))

            monkeypatch.setenv("HEADGATE_STORE_URL", NOWHERE)
            seen = len(waits)
            watch_of("headgate_default").close()
            await until(lambda: len(waits) > seen)
            second = promoted(store)
            monkeypatch.setenv("HEADGATE_STORE_URL", store_url)
            await until(lambda: delivery_is_done(store, second))
            assert airflow.ids == [first.promotion_id, second.promotion_id]

    async def wait_after(watch: promotion_watch.Watch, error: Exception, delay: float) -> float:
        waits.append(delay)
        await asyncio.to_thread(watch.close)
        await sleep(0.05)
        return delay

    monkeypatch.setattr(promotion_watch.Watch, "wait_after", wait_after)
    run(work)


def test_after_an_error_it_waits_longer_each_time_but_not_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def work() -> None:
        watch = watch_of("headgate_default")
        monkeypatch.setattr(asyncio, "sleep", sleep)
        delay = 1.0
        for _ in range(10):
            delay = await watch.wait_after(OSError("no route"), delay)
        monkeypatch.undo()

    run(work)
    assert all(
        0.8 * expected <= seconds <= 1.2 * expected
        for seconds, expected in zip(slept, [1, 2, 4, 8, 16, 32], strict=False)
    )
    assert max(slept) <= 72


def test_an_event_that_could_only_be_told_after_its_successor_says_so(store: Store) -> None:
    async def work() -> None:
        async with triggerer(MODEL):
            await subscribed(store)
        now = now_ms()
        verdict = draft(store, candidate(store), model_name=MODEL, decided_at=now, expires_at=now + 60_000)
        dead = Claim("airflow", "watcher:dead", now)
        late = store.promotions.promote(store.verdicts.record(verdict).verdict_id, actor="task", now=now, claim=dead)
        next_one = promoted(store)
        store.deliveries.claim(next_one.promotion_id, Claim("airflow", "told already", now + 60_000), now=now)
        store.deliveries.confirm("airflow", next_one.promotion_id, "told already", now=now)
        async with triggerer(MODEL) as airflow:
            await until(lambda: delivery_is_done(store, late))
        (told,) = airflow.told
        assert (told.promotion_id, told.version) == (late.promotion_id, 1)
        assert (told.late, told.superseded_by) == (True, 2)

    run(work)


def test_other_channels_are_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__HEADGATE__EVENT_CHANNEL", "airflow-staging")
    store.deliveries.subscribe("airflow", PROMOTION_TOPIC, now=now_ms())

    async def work() -> None:
        async with triggerer(MODEL) as airflow:
            await subscribed(store, channel="airflow-staging")
            promotion = promoted(store)
            await until(lambda: airflow.ids == [promotion.promotion_id])
            await until(lambda: delivery_of(store, promotion.promotion_id, "airflow-staging").delivered_at is not None)
            assert delivery_of(store, promotion.promotion_id).delivered_at is None

    run(work)


@pytest.mark.oldest_airflow
def test_without_a_shared_stream_a_watcher_works_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion_watch, "SETTLE_SECONDS", 0.05)
    trigger = PromotionTrigger(model_name=MODEL, target="@champion")
    told: list[str] = []

    async def watch() -> None:
        nonlocal told
        async for event in trigger.run():
            told += [event.payload["promotion_id"]]

    async def work() -> None:
        alone = asyncio.create_task(watch())
        await subscribed(store)
        promotions = [promoted(store), promoted(store)]
        await until(lambda: delivery_is_done(store, promotions[-1]))
        alone.cancel()
        await asyncio.gather(alone, return_exceptions=True)
        assert told == [promotion.promotion_id for promotion in promotions]

    run(work)
