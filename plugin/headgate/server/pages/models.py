"""Pages of registered models, of their versions and of LoggedModels."""

from __future__ import annotations

from headgate.server.pages.production import verdicts_of
from headgate.server.pages.rendering import Page, render
from headgate.server.pages.rights import UNKNOWN, readable_models, readable_verdicts
from headgate.server.pages.visit import Visit
from headgate.store.entities import LoggedModel
from headgate.store.errors import NotFound
from headgate.store.store import Store

_VERSIONS = 50
_PROMOTIONS = 30
_DECISIONS = 20


def model_page(store: Store, visit: Visit, name: str) -> Page:
    """Return a registered model: what holds its targets, its versions, promotions and decisions.

    Raises:
        NotFound: there is no such model.
    """
    model = store.registry.get_model(name)
    versions = store.standings.newest_versions(name, limit=_VERSIONS + 1)
    standings = store.standings.of([name]).get(name, ())
    promotions = store.promotions.history(name, newest=_PROMOTIONS)[::-1]
    decisions = store.verdicts.search(name, max_results=_DECISIONS).items
    verdicts = verdicts_of(store, promotions)
    held = [each.verdict for each in standings if each.verdict is not None]
    return render(
        "model.html",
        visit,
        model=model,
        versions=versions[:_VERSIONS],
        more_versions=len(versions) > _VERSIONS,
        standings=standings,
        guards=store.gates.list(name),
        promotions=promotions,
        decisions=decisions,
        verdicts=verdicts,
        readable=readable_verdicts(store, visit, [*decisions, *verdicts.values(), *held]),
    )


def version_page(store: Store, visit: Visit, name: str, version: str) -> Page:
    """Return one version of a registered model, with its LoggedModel where the reader may see that.

    Raises:
        NotFound: there is no such version.
    """
    if not version.isdecimal() or len(version) > 9:
        raise NotFound(f"There is no version {version[:40]!r} of {name!r}.", remedy="A version is a number.")
    found = store.registry.get_version(name, int(version))
    models = store.logged_models.get_many([found.model_id]) if found.model_id else ()
    model = models[0] if models else None
    if model is not None:
        readable_model = model.model_id in readable_models(store, visit, [model])
    else:
        runs = store.pipeline_runs.contexts([found.run_id], ())[0] if found.run_id else {}
        readable_model = not found.run_id or visit.reader.may_read(runs.get(found.run_id, UNKNOWN))
    promotions = store.promotions.history(name, version=found.version, newest=_PROMOTIONS)[::-1]
    decisions = (
        store.verdicts.search(candidate_model_id=found.model_id, max_results=_DECISIONS).items if found.model_id else ()
    )
    decisions = tuple(each for each in decisions if each.model_name == name)
    verdicts = verdicts_of(store, promotions)
    return render(
        "version.html",
        visit,
        version=found,
        logged_model=model,
        readable_model=readable_model,
        promotions=promotions,
        decisions=decisions,
        verdicts=verdicts,
        readable=readable_verdicts(store, visit, [*decisions, *verdicts.values()]),
    )


def logged_model_page(store: Store, visit: Visit, model_id: str) -> Page:
    """Return a LoggedModel; it belongs to the pipeline whose run made it.

    Raises:
        NotFound: there is no such model.
        NotAllowed: the reader may not see the run that made it.
    """
    model = store.logged_models.get(model_id)
    _require_readable(store, visit, model)
    decisions = store.verdicts.search(candidate_model_id=model_id, max_results=_DECISIONS).items
    return render(
        "logged_model.html",
        visit,
        model=model,
        versions=store.registry.versions_of_logged_model(model_id),
        decisions=decisions,
        readable=readable_verdicts(store, visit, decisions),
    )


def _require_readable(store: Store, visit: Visit, model: LoggedModel) -> None:
    if model.source_run_id:
        runs, _ = store.pipeline_runs.contexts([model.source_run_id], ())
        visit.require(runs.get(model.source_run_id, UNKNOWN))
