"""What the watchers of one store share in a triggerer: the open store, the poll, and what is being told.

Airflow drives a *stream* per store: it yields what is due, every trigger takes what it is about, and once Airflow has
written the events that came of it, the stream is told to go on (*advance*), which confirms the delivery. Where Airflow
shares no streams, each trigger drives one of its own, and waits (*settle*) until its event is surely written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from headgate.airflow.channel import event_channel, poll_seconds, task_of_owner
from headgate.airflow.connection import open_store_of
from headgate.airflow.promoted import promotion_to_tell
from headgate.airflow.versions import shared_stream_producer

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

    from headgate.airflow.channel import TaskKey
    from headgate.airflow.promoted import PromotedModel
    from headgate.store.deliveries import Delivery
    from headgate.store.store import Store
else:
    SharedStreamProducer = shared_stream_producer()

T = TypeVar("T")

LEASE_MS = 60_000
# How long the claim of a task that is still at work is left alone before Airflow is asked again.
TASK_AT_WORK_MS = 20_000
# Without the shared stream nothing says when Airflow has written an event; it does so within a second or two.
SETTLE_SECONDS = 15.0
_SLOWEST_SECONDS = 60.0
# The task's process is at work, or about to be. In any other state but success there is no telling when it will be, if
# ever: a task that waits for its retry is not waited for, the retry finds the event told.
_AT_WORK = frozenset({"scheduled", "queued", "running", "restarting"})
_RUN_GOES_ON = frozenset({"queued", "running"})
# Airflow gives up an event that it could not write within its own time limit; a while later it may be told again.
_GIVEN_UP_AFTER = 60.0

_log = logging.getLogger(__name__)


@cache
def watch_of(headgate_conn_id: str) -> Watch:
    """Return what this process shares for the store that a connection names."""
    return Watch(headgate_conn_id)


class Watch:
    """A store as the triggerer sees it. Its methods are for the event loop; the store is called in threads.

    Args:
        headgate_conn_id: of the connection that names the store.
    """

    def __init__(self, headgate_conn_id: str) -> None:
        self.headgate_conn_id = headgate_conn_id
        self.owner = f"watcher:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._watched: Counter[tuple[str, str]] = Counter()
        # Promotion id → the time of the event loop after which nothing is heard of it any more.
        self._taken: dict[str, float] = {}
        self._told: set[str] = set()
        self._wake = asyncio.Event()
        self._opened: ExitStack | None = None
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def watching(self, model_name: str, target: str) -> AsyncIterator[None]:
        """Have a target polled for; from the first time on, every promotion of it reaches this Airflow."""
        from headgate.store.promotion_rows import PROMOTION_TOPIC, promotion_subject

        subject = promotion_subject(model_name, target)
        delay = 1.0
        while True:
            try:
                await self.call(
                    lambda store, now: store.deliveries.subscribe(event_channel(), PROMOTION_TOPIC, subject, now=now)
                )
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody may mend it while we wait
                delay = await self.wait_after(error, delay)
        self._watched[model_name, target] += 1
        try:
            yield
        finally:
            self._watched[model_name, target] -= 1

    def is_about(self, delivery: Delivery, model_name: str, target: str) -> bool:
        told = delivery.event.payload
        return (told.get("model_name"), told.get("target")) == (model_name, target)

    async def due(self) -> tuple[Delivery, ...]:
        """Return what is to be told, of what is watched; before that, confirm or hold what was told."""
        from headgate.store.promotion_rows import promotion_subject

        await self.confirm()
        now_loop = asyncio.get_running_loop().time()
        self._taken = {promotion_id: until for promotion_id, until in self._taken.items() if until > now_loop}
        subjects = [promotion_subject(*watched) for watched, count in self._watched.items() if count > 0]
        under_way = tuple(self._taken)

        def look(store: Store, now: int) -> tuple[Delivery, ...]:
            for promotion_id in under_way:
                store.deliveries.prolong(event_channel(), promotion_id, self.owner, expires_at=now + LEASE_MS)
            return store.deliveries.due(event_channel(), now=now, subjects=subjects)

        found = await self.call(look)
        return tuple(delivery for delivery in found if delivery.event.event_id not in self._taken)

    async def confirm(self) -> None:
        """Note in the store what Airflow has written."""
        told = tuple(self._told)
        if not told:
            return

        def work(store: Store, now: int) -> None:
            for promotion_id in told:
                store.deliveries.confirm(event_channel(), promotion_id, self.owner, now=now)

        await self.call(work)
        for promotion_id in told:
            self._told.discard(promotion_id)
            self._taken.pop(promotion_id, None)
        self._wake.set()  # the next event of the same model is due now

    async def pause(self, seconds: float) -> None:
        """Wait until it is time for the next look."""
        self._wake.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def take(self, delivery: Delivery) -> PromotedModel | None:
        """Claim an event that is due; return what to tell, or None when it is not to be told by us, now or ever.

        Never raises: what can't be taken now is due again.
        """
        event_id = delivery.event.event_id
        if event_id in self._taken:
            return None
        self._taken[event_id] = asyncio.get_running_loop().time() + _ack_seconds() + _GIVEN_UP_AFTER
        try:
            model = await self._take(delivery)
        except Exception as error:  # noqa: BLE001 - the next look finds it again
            _log.warning("The event of promotion %s could not be taken: %s", event_id, error)
            model = None
        except BaseException:
            self._taken.pop(event_id, None)
            raise
        if model is None:
            self._taken.pop(event_id, None)
        return model

    def told(self, promotion_id: str) -> None:
        """Note that Airflow has written the event; :meth:`confirm` has it noted in the store."""
        if promotion_id in self._taken:
            self._told.add(promotion_id)

    def failed(self, promotion_id: str) -> None:
        """Note that Airflow may not have written the event: its claim runs out."""
        self._taken.pop(promotion_id, None)

    async def wait_after(self, error: Exception, delay: float) -> float:
        """Wait because of an error, with the store closed; return how long to wait after the next one."""
        _log.warning("Promotions can't be watched at present, trying again in %.0f s: %s", delay, error)
        await asyncio.to_thread(self.close)
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - so that not all ask at once
        return min(2 * delay, _SLOWEST_SECONDS)

    async def call(self, work: Callable[[Store, int], T]) -> T:
        """Do something with the store in a thread; it gets the store and the time."""
        from headgate.store.clock import now_ms

        store = await self._open()
        return await asyncio.to_thread(lambda: work(store, now_ms()))

    def close(self) -> None:
        """Close the store; the next call opens it again."""
        opened, self._opened, self._store = self._opened, None, None
        if opened is not None:
            opened.close()

    async def _open(self) -> Store:
        async with self._opening:
            if self._store is None:
                opened = ExitStack()
                self._store = await asyncio.to_thread(opened.enter_context, open_store_of(self.headgate_conn_id))
                self._opened = opened
            return self._store

    async def _take(self, delivery: Delivery) -> PromotedModel | None:
        from headgate.store.deliveries import Claim

        channel, event_id = delivery.channel, delivery.event.event_id
        if (task := task_of_owner(delivery.owner)) is not None:
            emitted = await asyncio.to_thread(has_emitted, task, event_id)
            if emitted:
                await self.call(lambda store, now: store.deliveries.confirm(channel, event_id, delivery.owner, now=now))
                return None
            if emitted is None:
                later = TASK_AT_WORK_MS
                await self.call(
                    lambda store, now: store.deliveries.prolong(
                        channel, event_id, delivery.owner, expires_at=now + later
                    )
                )
                return None

        def claim(store: Store, now: int) -> PromotedModel | None:
            mine = Claim(channel, self.owner, now + LEASE_MS)
            if not store.deliveries.claim(event_id, mine, now=now, over=delivery):
                return None
            return promotion_to_tell(store, event_id, self.headgate_conn_id)

        return await self.call(claim)


class PromotionStream(SharedStreamProducer):
    """The poll of a store, as Airflow's triggerer drives it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        delay = first = poll_seconds()
        while True:
            try:
                due = await self._watch.due()
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody may mend it while we wait
                delay = await self._watch.wait_after(error, delay)
                continue
            delay = first
            for delivery in due:
                yield delivery, delivery.event.event_id
            await self._watch.pause(first)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        for item in batch:
            if item.outcome.is_clean:
                self._watch.told(item.broker_payload)
            else:
                self._watch.failed(item.broker_payload)
        await self._confirm()

    def get_advance_lane(self, broker_payload: Any) -> str:
        return str(broker_payload)  # none waits for another

    async def aclose(self) -> None:
        await self._confirm()
        await asyncio.to_thread(self._watch.close)

    async def _confirm(self) -> None:
        try:
            await self._watch.confirm()
        except Exception as error:  # noqa: BLE001 - the next look tries it again, and Airflow must not end the stream
            _log.warning("What was told could not be noted in the store yet: %s", error)

    async def settle(self, promotion_id: str) -> None:
        """Wait until Airflow has surely written an event, where it does not say so."""
        await asyncio.sleep(SETTLE_SECONDS)
        self._watch.told(promotion_id)
        await self._confirm()


def _ack_seconds() -> float:
    from airflow.sdk.configuration import conf

    return float(conf.getfloat("triggerer", "shared_stream_ack_timeout", fallback=300.0))


def has_emitted(task: TaskKey, promotion_id: str) -> bool | None:
    """Return whether a task emitted the event of its promotion with its success; None while it still may."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from airflow.sdk.execution_time.xcom import XCom

    from headgate.airflow.asset_events import XCOM_KEY

    states = RuntimeTaskInstance.get_task_states(
        dag_id=task.dag_id, map_index=task.map_index, task_ids=[task.task_id], run_ids=[task.run_id]
    ).get(task.run_id)
    if not states:
        return False  # the task or its run was deleted
    state = next(iter(states.values()))
    if state == "success":
        # Without the mark, somebody marked it successful by hand, and no event came of that.
        mark = XCom.get_one(
            key=XCOM_KEY, dag_id=task.dag_id, task_id=task.task_id, run_id=task.run_id, map_index=task.map_index
        )
        return bool(mark == promotion_id)
    if state is None:  # cleared, and to be scheduled again while its DAG run goes on
        return None if RuntimeTaskInstance.get_dagrun_state(task.dag_id, task.run_id) in _RUN_GOES_ON else False
    return None if state in _AT_WORK else False
