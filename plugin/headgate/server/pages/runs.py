"""The page of a run: what went in, what was measured, what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.server.pages.charts import Chart, chart
from headgate.server.pages.rendering import Page, render
from headgate.server.pages.rights import owner_of_run, readable_models, readable_runs, readable_verdicts
from headgate.server.pages.visit import Visit
from headgate.store.artifacts import FileInfo
from headgate.store.entities import LoggedModel, Run
from headgate.store.errors import HeadgateError, NotFound
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.store import Store

_CHARTS = 24
_POINTS = 100
_CHILDREN = 200
_ARTIFACTS = 100
_DECISIONS = 20
_INTERNAL = ("mlflow.", "headgate.", "airflow.", "prefect.")


def run_page(store: Store, visit: Visit, run_id: str) -> Page:
    """Return a run.

    Raises:
        NotFound: there is no such run.
        NotAllowed: it belongs to a pipeline that the reader may not see.
    """
    run = store.runs.get(run_id)
    visit.require(owner_of_run(store, run.info))
    return page_of_run(store, visit, run)


def page_of_run(store: Store, visit: Visit, run: Run) -> Page:
    """Return a run that the reader may see."""
    info = run.info
    named = info.context.pipeline_run_id is not None
    attempts = store.runs.attempts(info.context) if named else ()
    found = store.runs.children(info.run_id)
    parents = store.pipeline_runs.infos([info.parent_run_id]) if info.parent_run_id else ()
    readable = readable_runs(store, visit, [*parents, *found[:_CHILDREN]])
    children = [child for child in found[:_CHILDREN] if child.run_id in readable]
    charts = _charts(store, run)
    charted = {chart.key for chart in charts}
    decisions = store.standings.verdicts_of_work([info.run_id], _made(run), limit=_DECISIONS)
    tags = sorted(run.tags.items())
    files = _files(store, run)
    return render(
        "run.html",
        visit,
        run=run,
        message=run.tags.get(STATUS_MESSAGE_TAG, ""),
        experiment=_experiment(store, info.experiment_id),
        parent=next((parent for parent in parents if parent.run_id in readable), None),
        attempts=attempts,
        children=children,
        more_children=len(found) > _CHILDREN,
        decisions=decisions,
        readable=readable_verdicts(store, visit, decisions),
        metrics=run.metrics,
        charts=charts[:_CHARTS],
        uncharted=max(0, len(charts) - _CHARTS),
        plain_metrics=[run.metrics[key] for key in sorted(run.metrics) if key not in charted]
        + [run.metrics[each.key] for each in charts[_CHARTS:]],
        models=_models(store, visit, run),
        artifacts=files.shown,
        more_artifacts=files.more,
        artifacts_error=files.error,
        tags=[(key, value) for key, value in tags if not key.startswith(_INTERNAL)],
        internal_tags=[(key, value) for key, value in tags if key.startswith(_INTERNAL)],
    )


def _charts(store: Store, run: Run) -> Sequence[Chart]:
    """Return the charts of the metrics that have a history; more keys are sampled than are shown, to tell how many."""
    # A metric whose latest step is 0 was mostly logged once: those with later steps come first.
    keys = sorted(run.metrics, key=lambda key: (run.metrics[key].step == 0, key))[: 2 * _CHARTS]
    histories = store.metrics.charts(run.info.run_id, keys, most=_POINTS) if keys else {}
    return sorted((chart(key, points) for key, points in histories.items() if len(points) > 1), key=lambda c: c.key)


def _made(run: Run) -> list[str]:
    return [output.model_id for output in run.model_outputs]


def _models(store: Store, visit: Visit, run: Run) -> list[tuple[str, LoggedModel]]:
    ids = {each.model_id: "used" for each in run.model_inputs} | {each.model_id: "made" for each in run.model_outputs}
    found = store.logged_models.get_many(list(ids)) if ids else ()
    readable = readable_models(store, visit, found)
    return [(ids[model.model_id], model) for model in found if model.model_id in readable]


def _experiment(store: Store, experiment_id: str) -> str:
    try:
        return store.experiments.get(experiment_id).name
    except NotFound:
        return experiment_id


@dataclass(frozen=True, slots=True)
class _Files:
    shown: tuple[FileInfo, ...] | None
    more: int = 0
    error: str = ""


def _files(store: Store, run: Run) -> _Files:
    """Return what lies at the top of the run's artifacts; a page without them is better than none."""
    try:
        found = store.artifacts(run.info.artifact_uri).list()
    except HeadgateError as error:
        return _Files(None, error=str(error))
    return _Files(found[:_ARTIFACTS], max(0, len(found) - _ARTIFACTS))
