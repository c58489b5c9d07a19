"""Pages of pipelines, of their runs and of their tasks: what an orchestrator's own pages lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.server.pages.empty import nothing_here
from headgate.server.pages.models import version_page
from headgate.server.pages.production import verdicts_of
from headgate.server.pages.rendering import Page, render
from headgate.server.pages.rights import readable_verdicts
from headgate.server.pages.runs import page_of_run
from headgate.server.pages.timeline import bars
from headgate.server.pages.verdicts import verdict_page
from headgate.server.pages.visit import Visit
from headgate.store.entities import Run, RunContext, Verdict
from headgate.store.errors import NotFound
from headgate.store.store import Store

_RUNS = 300
_METRICS = 5


def pipeline_page(store: Store, visit: Visit, origin: str, pipeline: str) -> Page:
    """Return the newest runs of a pipeline.

    Raises:
        NotAllowed: the reader may not see its runs.
    """
    visit.require(RunContext(origin, pipeline))
    summaries = store.pipeline_runs.newest(origin, pipeline)
    if not summaries:
        return nothing_here(visit, pipeline)
    return render("pipeline.html", visit, origin=origin, pipeline=pipeline, summaries=summaries)


def pipeline_run_page(store: Store, visit: Visit, origin: str, pipeline: str, pipeline_run_id: str) -> Page:
    """Return what one pipeline run did: its runs by task, the decisions of its gates, what it promoted.

    Raises:
        NotAllowed: the reader may not see its runs.
    """
    visit.require(RunContext(origin, pipeline, pipeline_run_id))
    found = store.pipeline_runs.get(origin, pipeline, pipeline_run_id, limit=_RUNS)
    if found.parent is None and not found.runs:
        back = (visit.links.pipeline(origin, pipeline), f"All runs of {pipeline}")
        return nothing_here(visit, pipeline_run_id, back=back)
    every = [*([found.parent] if found.parent else []), *found.runs]
    made = [output.model_id for run in every for output in run.model_outputs]
    decisions = store.standings.verdicts_of_work([run.info.run_id for run in every], made)
    promotions = store.standings.promotions([each.used_by for each in decisions if each.used_by])
    keys = key_metrics(found.runs, decisions)
    return render(
        "pipeline_run.html",
        visit,
        origin=origin,
        pipeline=pipeline,
        pipeline_run_id=pipeline_run_id,
        parent=found.parent,
        runs=found.runs,
        truncated=found.truncated,
        bars=bars([run.info for run in found.runs], visit.now),
        counts=_counts(found.runs),
        decisions=decisions,
        promotions=promotions,
        verdicts=verdicts_of(store, promotions),
        readable=readable_verdicts(store, visit, decisions),
        metric_keys=keys,
        left_out_metrics=len({key for run in found.runs for key in run.metrics}) - len(keys),
    )


def task_run_page(
    store: Store,
    visit: Visit,
    origin: str,
    pipeline: str,
    pipeline_run_id: str,
    task: str,
    map_index: str = "-1",
    reference: Any = None,
) -> Page:
    """Return the run of one task of a pipeline run; of a mapped task without its index, all of its runs.

    Args:
        map_index: what is no number stands for a task that is not mapped.
        reference: what the task returned, which may name a verdict or a version; tasks that decide, promote or register
            record no run of their own.

    Raises:
        NotAllowed: the reader may not see its runs.
    """
    index = int(map_index) if map_index.isdecimal() and len(map_index) < 9 else -1
    context = RunContext(origin, pipeline, pipeline_run_id, task, index)
    visit.require(context)
    run = store.runs.find_by_context(context)
    if run is not None:
        return page_of_run(store, visit, run)
    whole = store.pipeline_runs.get(origin, pipeline, pipeline_run_id, task=task, limit=_RUNS)
    if index < 0 and whole.runs:
        lead = f"Its runs in {pipeline_run_id}."
        return _task(visit, context, lead, whole.runs, with_task=True)
    if isinstance(reference, Mapping):
        referred = _page_of_reference(store, visit, reference)
        if referred is not None:
            return referred
    back = (visit.links.pipeline_run(origin, pipeline, pipeline_run_id), f"All of {pipeline_run_id}")
    said = task if index < 0 else f"{task} [{index}]"
    return nothing_here(visit, said, back=back)


def task_page(store: Store, visit: Visit, origin: str, pipeline: str, task: str) -> Page:
    """Return the newest runs of a task.

    Raises:
        NotAllowed: the reader may not see its runs.
    """
    context = RunContext(origin, pipeline, task=task)
    visit.require(context)
    runs = store.pipeline_runs.newest_of_task(origin, pipeline, task)
    if not runs:
        return nothing_here(visit, task, back=(visit.links.pipeline(origin, pipeline), f"All runs of {pipeline}"))
    return _task(visit, context, "Its newest runs.", runs, with_task=False)


def key_metrics(runs: Sequence[Run], verdicts: Sequence[Verdict] = ()) -> tuple[str, ...]:
    """Return the metrics that a table of runs shows: those that gates asked for, then those that most runs have."""
    asked = [check.metric for verdict in verdicts for check in verdict.checks if check.metric]
    counts: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    often = sorted(counts, key=lambda key: (-counts[key], key))
    wanted = [key for key in dict.fromkeys([*asked, *often]) if key in counts]
    return tuple(wanted[:_METRICS])


def _page_of_reference(store: Store, visit: Visit, reference: Mapping[str, Any]) -> Page | None:
    """Return the page of what a task's result names; None when it names nothing of ours that is there."""
    verdict_id, name, version = (reference.get(each) for each in ("verdict_id", "model_name", "version"))
    try:
        if isinstance(verdict_id, str):
            return verdict_page(store, visit, verdict_id)
        if isinstance(name, str) and isinstance(version, int):
            return version_page(store, visit, name, str(version))
    except NotFound:
        return None  # a result may hold anything
    return None


def _task(visit: Visit, context: RunContext, lead: str, runs: Sequence[Run], *, with_task: bool) -> Page:
    return render(
        "task.html",
        visit,
        origin=context.origin,
        pipeline=context.pipeline,
        task=context.task,
        lead=lead,
        runs=runs,
        with_task=with_task,
        metric_keys=key_metrics(runs),
    )


def _counts(runs: Sequence[Run]) -> list[tuple[str, int]]:
    states = [run.info.status.value for run in runs]
    return sorted((state, states.count(state)) for state in set(states))
