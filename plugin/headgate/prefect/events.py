"""The events that Prefect gets: a version was promoted, rolled back, or a gate rejected a candidate. Pure.

=============================  =====================================  =================================
event                          resource                               payload
=============================  =====================================  =================================
``model-version.promoted``     the version that holds the target      the committed promotion
``model-version.rolled-back``  the version that holds it again; of a  the committed rollback
                               target that is left empty, the one
                               that held it
``model-version.rejected``     the candidate, which is no version     the recorded verdict
=============================  =====================================  =================================

An event's id is made of the promotion's or the verdict's, so Prefect itself takes the same one only once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.store.entities import Outcome, PromotionKind

if TYPE_CHECKING:
    from headgate.store.entities import Verdict
    from headgate.tasks.promoted import PromotedModel

PROMOTED = "model-version.promoted"
ROLLED_BACK = "model-version.rolled-back"
REJECTED = "model-version.rejected"

# Labels of an event's resource, for triggers to match.
MODEL_LABEL = "headgate.model"
TARGET_LABEL = "headgate.target"
VERSION_LABEL = "headgate.version"  # missing where nobody holds the target
WORKSPACE_LABEL = "headgate.workspace"
LATE_LABEL = "headgate.late"  # "true" where a later promotion had come before the event could be told

_IDS = uuid.UUID("6f1c3f52-3a0b-5d1c-9c6e-4a2f0b7d9e11")
# Prefect takes no event above 1.5 MB; the verdict in the store has everything.
_MOST_CHECKS = 100
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """An event, as Prefect takes it.

    Args:
        name: what happened.
        key: of what in the store: the promotion's id or the verdict's.
        occurred_at: UTC epoch ms.
        resource: labels of what it is about.
        related: labels of what else is involved, each with a role.
        payload: JSON values.
    """

    name: str
    key: str
    occurred_at: int
    resource: Mapping[str, str]
    related: tuple[Mapping[str, str], ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def event_id(self) -> uuid.UUID:
        """The event's id, the same whoever tells it and however often."""
        return uuid.uuid5(_IDS, self.key)


def promotion_event(model: PromotedModel, committed: Mapping[str, Any], workspace: str) -> ModelEvent:
    """Return the event of a promotion or a rollback.

    Args:
        model: what is to be told now.
        committed: the payload that the promotion's transaction wrote.
        workspace: that the model belongs to.
    """
    version = model.version if model.version is not None else model.previous_version
    labels = {
        "prefect.resource.id": f"headgate.model-version.{model.model_name}.{version}",
        "prefect.resource.name": f"{model.model_name} version {version}",
        MODEL_LABEL: model.model_name,
        TARGET_LABEL: model.target,
        WORKSPACE_LABEL: workspace,
        LATE_LABEL: str(model.late).lower(),
        **({} if model.version is None else {VERSION_LABEL: str(model.version)}),
    }
    previous = None if model.previous_version is None else f"{model.model_name}.{model.previous_version}"
    related = (
        *_related("model", "model", model.model_name),
        *_related("logged-model", "logged-model", model.model_id),
        *_related("run", "run", model.run_id),
        *_related("verdict", "verdict", model.verdict_id),
        *_related("model-version", "previous-version", previous),
    )
    return ModelEvent(
        name=ROLLED_BACK if model.kind == PromotionKind.ROLL_BACK else PROMOTED,
        key=model.promotion_id,
        occurred_at=model.promoted_at,
        resource=labels,
        related=related,
        payload={**committed, **asdict(model), "model_uri": model.model_uri, "workspace": workspace},
    )


def rejection_event(verdict: Verdict) -> ModelEvent | None:
    """Return the event of a verdict that rejects; None for any other, whose candidate may be promoted yet."""
    from headgate.store.canonical import to_plain
    from headgate.tasks.gates.explain import failures

    if verdict.outcome is not Outcome.REJECT:
        return None
    labels = {
        "prefect.resource.id": f"headgate.logged-model.{verdict.candidate_model_id}",
        "prefect.resource.name": f"{verdict.candidate_model_id} for {verdict.model_name} {verdict.target}",
        MODEL_LABEL: verdict.model_name,
        TARGET_LABEL: verdict.target,
        WORKSPACE_LABEL: verdict.workspace,
    }
    champion = None if verdict.champion_version is None else f"{verdict.model_name}.{verdict.champion_version}"
    told = to_plain(verdict)
    checks = [{key: _short(value) for key, value in check.items()} for check in told["checks"][:_MOST_CHECKS]]
    reasons = [_short(f"{check.rule}: {check.message}") for check in failures(verdict)[:_MOST_CHECKS]]
    related = (
        *_related("model", "model", verdict.model_name),
        *_related("verdict", "verdict", verdict.verdict_id),
        *_related("run", "run", verdict.run_id),
        *_related("model-version", "champion", champion),
    )
    payload = {**told, "checks": checks, "reasons": reasons, "model_id": verdict.candidate_model_id}
    payload.pop("gate_definition")
    return ModelEvent(REJECTED, verdict.verdict_id, verdict.decided_at, labels, related, payload)


def _short(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def _related(kind: str, role: str, identifier: str | None) -> tuple[Mapping[str, str], ...]:
    if identifier is None:
        return ()
    return ({"prefect.resource.id": f"headgate.{kind}.{identifier}", "prefect.resource.role": role},)
