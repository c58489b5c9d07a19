"""What tests of promotions in Airflow share: an operator that only promotes, and the events that Airflow has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.airflow.asset_events import confirm_emitted, emit_promotion, hold_back, model_outlets
from headgate.airflow.channel import task_claim
from headgate.airflow.operators.base import HeadgateOperator
from headgate.airflow.references import promotion_reference

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.deliveries import Delivery
    from headgate.store.store import Store


class PromotesOperator(HeadgateOperator):
    """Promotes by a verdict and emits, or does not where ``verdict_id`` is empty; the least an operator has to do.

    Args:
        dies: ``before`` it emits, ``after`` it has emitted, once the server ``refused`` its success, or not.
    """

    template_fields: Sequence[str] = (*HeadgateOperator.template_fields, "model_name", "target", "verdict_id", "dies")

    def __init__(
        self, *, model_name: str, verdict_id: str, target: str = "@champion", dies: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.target = target
        self.verdict_id = verdict_id
        self.dies = dies
        self.outlets = model_outlets(self.outlets, model_name, target, self.headgate_conn_id)

    def work(self, context: Context) -> Any:
        from headgate.tasks.promote import promote

        hold_back(context)
        if not self.verdict_id:
            return None
        with self.open_store() as store:
            promotion = promote(store, self.verdict_id, actor="airflow", claim=task_claim(context))
            if self.dies == "before":
                raise RuntimeError("died before it emitted")
            emit_promotion(context, store, promotion, headgate_conn_id=self.headgate_conn_id)
        if self.dies == "refused":
            confirm_emitted(context["ti"])  # what the listener does, which does not know that Airflow said no
        if self.dies:
            raise RuntimeError("died after it emitted")
        return promotion_reference(promotion, model_id=None, run_id=None, digest=None)


@dataclass(frozen=True)
class Event:
    """An asset event that Airflow has."""

    uri: str
    group: str
    extra: dict[str, Any]
    source: tuple[str | None, str | None, int | None]


def events_of(text: str) -> list[Event]:
    """Return the events of assets whose URI holds a text, the oldest first."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
        return [
            Event(event.asset.uri, event.asset.group, event.extra, _source(event))
            for event in found
            if text in event.asset.uri
        ]


def _source(event: Any) -> tuple[str | None, str | None, int | None]:
    return event.source_dag_id, event.source_task_id, event.source_map_index


def delivery_of(store: Store, promotion_id: str, channel: str = "airflow") -> Delivery:
    found = store.deliveries.get(channel, promotion_id)
    assert found is not None
    return found
