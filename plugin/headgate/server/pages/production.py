"""The first page, what is in production and why; and the history of all promotions."""

from __future__ import annotations

from headgate.server.pages.empty import nothing_recorded
from headgate.server.pages.rendering import Page, render
from headgate.server.pages.rights import readable_verdicts
from headgate.server.pages.visit import Visit
from headgate.store.entities import Promotion, Verdict
from headgate.store.errors import InvalidInput
from headgate.store.store import Store

_MODELS = 50
_LATEST = 10
_PROMOTIONS = 50


def production_page(store: Store, visit: Visit, page_token: str | None = None) -> Page:
    """Return the registered models with what holds their targets."""
    page = store.registry.search_models("", max_results=_MODELS, page_token=page_token or None)
    if not page.items and not page_token:
        return nothing_recorded(visit)
    names = [model.name for model in page.items]
    standings = store.standings.of(names)
    promotions = store.standings.newest_promotions(limit=_LATEST) if not page_token else ()
    verdicts = verdicts_of(store, promotions)
    shown = [each.verdict for found in standings.values() for each in found if each.verdict is not None]
    return render(
        "models.html",
        visit,
        models=sorted(page.items, key=lambda model: model.name not in standings),  # what stands somewhere comes first
        standings=standings,
        newest=store.registry.latest_versions_of(names),
        promotions=promotions,
        verdicts=verdicts,
        readable=readable_verdicts(store, visit, [*shown, *verdicts.values()]),
        next_page=page.next_page_token,
    )


def promotions_page(store: Store, visit: Visit, before: str | None = None) -> Page:
    """Return the promotions and rollbacks of all models; those behind ``before`` (``time:id``), when it is said.

    Raises:
        InvalidInput: ``before`` is no place in the history.
    """
    promotions = store.standings.newest_promotions(limit=_PROMOTIONS + 1, before=_place_of(before))
    shown = promotions[:_PROMOTIONS]
    verdicts = verdicts_of(store, shown)
    return render(
        "promotions.html",
        visit,
        promotions=shown,
        verdicts=verdicts,
        readable=readable_verdicts(store, visit, verdicts.values()),
        before=f"{shown[-1].created_at}:{shown[-1].promotion_id}" if len(promotions) > _PROMOTIONS else None,
        earlier=bool(before),
    )


def verdicts_of(store: Store, promotions: tuple[Promotion, ...]) -> dict[str, Verdict]:
    """Return the verdicts that permitted promotions, by id."""
    ids = [promotion.verdict_id for promotion in promotions if promotion.verdict_id is not None]
    return dict(store.standings.verdicts(ids)) if ids else {}


def _place_of(text: str | None) -> tuple[int, str] | None:
    if not text:
        return None
    time, _, promotion_id = text.partition(":")
    if not time.isdecimal() or len(time) > 16:
        raise InvalidInput(
            f"{text[:40]!r} is no place in the history.", remedy="Start again from the newest promotions."
        )
    return int(time), promotion_id
