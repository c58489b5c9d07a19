"""What the event of a promotion tells whoever is told of it, through whichever orchestrator: the committed record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class PromotedModel:
    """A promotion or a rollback.

    Args:
        promotion_id: the same in every form of this event.
        kind: ``promote`` or ``roll_back``.
        target: ``@alias`` or ``stage:Name``.
        version: of the registered model that holds the target now; None when a rollback left nobody there.
        previous_version: that held it before; None when nobody did.
        sequence: counts the promotions of this target from 1.
        model_id, digest, run_id: of the LoggedModel, of its files, and of the run that made it.
        verdict_id, gate: by which it was promoted; None for a rollback.
        actor, reason: who promoted, and why.
        promoted_at: UTC epoch ms.
        logical_date: what the model stands for in time, UTC epoch ms.
        late: a later promotion or rollback of the target came before this event could be told.
        superseded_by: the version that held the target by then; None when nobody did.
    """

    promotion_id: str
    kind: str
    model_name: str
    target: str
    version: int | None
    previous_version: int | None
    sequence: int
    model_id: str | None
    digest: str | None
    run_id: str | None
    verdict_id: str | None
    gate: str | None
    actor: str
    reason: str
    promoted_at: int
    logical_date: int | None = None
    late: bool = False
    superseded_by: int | None = None

    @property
    def model_uri(self) -> str:
        """The version's ``models:/`` URI; empty when nobody holds the target."""
        return "" if self.version is None else f"models:/{self.model_name}/{self.version}"


def told_values(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a :class:`PromotedModel` as the payload of the outbox has them."""
    return {
        **{name: payload[name] for name in ("promotion_id", "kind", "model_name", "target", "sequence")},
        **{name: payload[name] for name in ("model_id", "digest", "run_id", "verdict_id")},
        **{name: payload[name] for name in ("actor", "reason", "logical_date")},
        "version": payload["to_version"],
        "previous_version": payload["from_version"],
        "gate": payload["gate_name"],
        "promoted_at": payload["created_at"],
    }


def promotion_to_tell(store: Store, promotion_id: str) -> PromotedModel:
    """Return what is to be told now of a promotion in the store.

    Raises:
        NotFound: there is no such promotion.
    """
    model = PromotedModel(**told_values(store.outbox.get(promotion_id).payload))
    last = store.promotions.current(model.model_name, model.target)
    if last is None or last.sequence <= model.sequence:
        return model
    return replace(model, superseded_by=last.to_version, late=True)
