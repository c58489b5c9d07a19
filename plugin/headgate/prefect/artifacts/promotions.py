"""A registered model as an artifact: what holds its aliases and stages, and why. Its history is that of promotions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from headgate.prefect.artifacts.lineage import diagram
from headgate.prefect.artifacts.links import lineage_links, promotions_key
from headgate.prefect.artifacts.markdown import table
from headgate.prefect.artifacts.publish import newest_artifacts, publish_markdown
from headgate.store.entities import PromotionKind
from headgate.tasks.gates.explain import time_text
from headgate.tasks.gates.markdown import escaped, verdict_markdown

if TYPE_CHECKING:
    from uuid import UUID

    from headgate.store.entities import Promotion
    from headgate.store.standings import Standing
    from headgate.store.store import Store
    from headgate.tasks.promoted import PromotedModel

_SHOWN_PROMOTIONS = 20
_LOOKED_THROUGH = 50
_NODES = 150
_SHORT_ID = 10


def publish_promotion(store: Store, model: PromotedModel) -> UUID:
    """Make the artifact of a registered model after a promotion or a rollback of it. May run twice: it makes one.

    Raises:
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    key = promotions_key(model.model_name)
    verb = "rolled back to" if model.kind == PromotionKind.ROLL_BACK else "promoted to"
    held = "nobody" if model.version is None else f"version {model.version}"
    description = f"{model.target} {verb} {held} by {model.actor} ({model.promotion_id})"
    for artifact in newest_artifacts(key, _LOOKED_THROUGH):
        if model.promotion_id in (artifact.description or ""):
            return artifact.id
    return publish_markdown(key, promotion_markdown(store, model), description)


def promotion_markdown(store: Store, model: PromotedModel) -> str:
    """Return the text of the artifact."""
    name = model.model_name
    standings = store.standings.of([name]).get(name, ())
    history = store.promotions.history(name, newest=_SHOWN_PROMOTIONS)
    parts = [
        _facts(model),
        f"## What holds what now\n\n{_standings_table(standings)}",
        f"## Promotions and rollbacks, the newest first\n\n{_history_table(reversed(history))}",
    ]
    if model.verdict_id is not None:
        parts.insert(1, f"## Why\n\n{verdict_markdown(store.verdicts.get(model.verdict_id))}")
    if model.model_id is not None:
        lineage = store.lineage.of(model.promotion_id, downstream=False, limit=_NODES)
        parts.append(f"## Where it comes from\n\n{diagram(lineage, lineage_links(lineage))}")
    return "\n\n".join(parts) + "\n"


def _facts(model: PromotedModel) -> str:
    rows = [
        ("Model", f"{escaped(model.model_name)} {escaped(model.target)}"),
        ("Holds it now", _version(model.version)),
        ("Held it before", _version(model.previous_version)),
        ("By", escaped(model.actor)),
        ("Reason", escaped(model.reason)),
        ("At", time_text(model.promoted_at)),
        ("LoggedModel", escaped(model.model_id or "")),
        ("Event", model.promotion_id),
    ]
    return table(("", ""), (row for row in rows if row[1]))


def _standings_table(standings: Sequence[Standing]) -> str:
    rows = []
    for each in standings:
        last = each.promotion
        by = "moved by hand" if each.by_hand else "" if last is None else f"{escaped(last.actor)}, {_at(last)}"
        gate = "" if each.guard is None else escaped(each.guard.gate_name)
        rows.append((escaped(each.target), _version(each.version), by, gate))
    return table(("Alias or stage", "Version", "By", "Guarded by gate"), rows) if rows else "Nothing holds anything."


def _history_table(history: Iterable[Promotion]) -> str:
    rows = [
        (
            _at(each),
            escaped(each.target),
            str(each.kind).replace("_", " "),
            f"{_version(each.from_version)} → {_version(each.to_version)}",
            escaped(each.actor),
            escaped(each.approved_by or ""),
            escaped(each.reason),
            (each.verdict_id or "")[:_SHORT_ID],
        )
        for each in history
    ]
    return table(("At", "Alias or stage", "What", "From → to", "By", "Approved by", "Reason", "Verdict"), rows)


def _at(promotion: Promotion) -> str:
    return time_text(promotion.created_at)


def _version(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"
