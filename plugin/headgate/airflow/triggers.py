"""The watcher of promotions from outside of Airflow: by the shell, a notebook, Prefect, another Airflow.

``model_asset(…, alias=…)`` brings it along. Airflow runs it in the triggerer while an unpaused DAG is scheduled by the
asset. It subscribes to the outbox, claims what is due, and yields it; the triggerer writes it as an event of the asset.
What it has told is kept in the store and nowhere else, so restarts and second triggerers neither lose nor double
anything; see :mod:`headgate.airflow.asset_events` for who tells what, and for what happens when something dies.

All watchers of one store in one triggerer share one poll (:mod:`headgate.airflow.promotion_watch`). Every call of the
store is made in a thread: a slow database never holds up other triggers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from headgate.airflow.connection import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

    from headgate.store.deliveries import Delivery


class PromotionTrigger(BaseEventTrigger):
    """Fires for every promotion and rollback of one target that nobody in this Airflow has told yet.

    Args:
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        headgate_conn_id: of the connection that names the store.
    """

    def __init__(self, *, model_name: str, target: str, headgate_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model_name = model_name
        self.target = target
        self.headgate_conn_id = headgate_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "headgate.airflow.triggers.PromotionTrigger",
            {"model_name": self.model_name, "target": self.target, "headgate_conn_id": self.headgate_conn_id},
        )

    def shared_stream_key(self) -> Hashable | None:
        return ("headgate", self.headgate_conn_id)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        from headgate.airflow.promotion_watch import PromotionStream, watch_of

        return PromotionStream(watch_of(kwargs.get("headgate_conn_id", DEFAULT_CONN_ID)))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Delivery]) -> AsyncIterator[TriggerEvent]:
        from headgate.airflow.promotion_watch import watch_of

        watch = watch_of(self.headgate_conn_id)
        async with watch.watching(self.model_name, self.target):
            async for delivery in shared_stream:
                if not watch.is_about(delivery, self.model_name, self.target):
                    continue
                model = await watch.take(delivery)
                if model is not None:
                    yield TriggerEvent(model.as_extra())  # type: ignore[no-untyped-call]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch alone, for an Airflow that shares no streams, or can't at present."""
        from headgate.airflow.promotion_watch import PromotionStream, watch_of

        stream = PromotionStream(watch_of(self.headgate_conn_id))
        alone = (delivery async for delivery, _ in stream.open_stream())
        async for event in self.filter_shared_stream(alone):
            yield event
            await stream.settle(event.payload["promotion_id"])
