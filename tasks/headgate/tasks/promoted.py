"""What the event of a promotion tells whoever is told of it, through whichever orchestrator: the committed record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.store.entities import Promotion
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
        late: another promotion or rollback of the target has come since.
        superseded_by: the version that holds the target since then; None when nobody does.
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
    """Return what is to be told now of a promotion in the store, also once its event was pruned from the outbox.

    Raises:
        NotFound: there is no such promotion.
    """
    from headgate.store.errors import NotFound

    try:
        values = told_values(store.outbox.get(promotion_id).payload)
    except NotFound:
        values = _recorded_values(store, store.promotions.get(promotion_id))
    model = PromotedModel(**values)
    last = store.promotions.current(model.model_name, model.target)
    if last is None or last.sequence <= model.sequence:
        return model
    return replace(model, superseded_by=last.to_version, late=True)


def _recorded_values(store: Store, promotion: Promotion) -> dict[str, Any]:
    """Return the fields of a :class:`PromotedModel` as the history has them; a version may be deleted since."""
    from headgate.store.errors import NotFound

    model_id = run_id = digest = gate = None
    if promotion.to_version is not None:
        try:
            version = store.registry.get_version(promotion.model_name, promotion.to_version)
        except NotFound:
            version = None
        if version is not None:
            model_id, run_id = version.model_id, version.run_id
            known = store.logged_models.get_many([model_id]) if model_id is not None else ()
            digest = known[0].artifact_digest if known else None
    if promotion.verdict_id is not None:
        gate = store.verdicts.get(promotion.verdict_id).gate_name
    return {
        **{name: getattr(promotion, name) for name in ("promotion_id", "model_name", "target", "sequence")},
        **{name: getattr(promotion, name) for name in ("verdict_id", "actor", "reason", "logical_date")},
        "kind": str(promotion.kind),
        "version": promotion.to_version,
        "previous_version": promotion.from_version,
        "model_id": model_id,
        "run_id": run_id,
        "digest": digest,
        "gate": gate,
        "promoted_at": promotion.created_at,
    }
