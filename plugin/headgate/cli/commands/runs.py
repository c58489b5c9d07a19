"""``headgate runs``: list, show and compare runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.documents import run_document
from headgate.cli.options import json_option, page_options, store_options
from headgate.cli.output import lasting, print_document, print_facts, print_more, print_section, print_table, utc
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.store.entities import Experiment, Page, Run, RunInfo
    from headgate.store.store import Store

_SHOWN_METRICS = 4


@click.group()
def runs() -> None:
    """Runs: list, show, compare."""


@runs.command("list")
@click.option("--experiment", "names", metavar="NAME", multiple=True, help="Only of this experiment. Repeatable.")
@click.option(
    "--filter", "filter_string", default="", help="MLflow's filter language: metrics.f1 > 0.9 AND params.depth = '6'."
)
@click.option("--order-by", multiple=True, help='Such as "metrics.f1 DESC". Repeatable. Default: the newest first.')
@click.option("--all-attempts", is_flag=True, help="Also show attempts that a newer one took over from.")
@page_options(20)
@store_options
@json_option
def list_(
    names: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    all_attempts: bool,
    max_results: int,
    page_token: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """List runs of one, several or all experiments."""
    with open_store(store_url, artifact_root) as store:
        page = _search(store, names, filter_string, order_by, all_attempts, max_results, page_token)
    if as_json:
        print_document({"runs": [run_document(run) for run in page.items], "next_page_token": page.next_page_token})
        return
    print_table(*_table(page.items), empty="There are no such runs.")
    print_more(page)


@runs.command()
@click.argument("run_id")
@store_options
@json_option
def show(run_id: str, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Show a run: its state, params, metrics, tags, inputs, outputs, and the runs nested in it."""
    with open_store(store_url, artifact_root) as store:
        run = store.runs.get(run_id)
        children = store.runs.children(run_id)
    if as_json:
        print_document({"run": run_document(run), "children": [child.run_id for child in children]})
        return
    print_facts(_facts(run.info))
    print_section("Params", ("key", "value"), sorted(run.params.items()))
    metrics = [(key, metric.value, metric.step, utc(metric.timestamp)) for key, metric in sorted(run.metrics.items())]
    print_section("Metrics", ("key", "latest", "step", "logged (UTC)"), metrics)
    print_section("Tags", ("key", "value"), sorted(run.tags.items()))
    datasets = [(item.dataset.name, item.dataset.digest, item.dataset.source) for item in run.dataset_inputs]
    print_section("Datasets", ("name", "digest", "source"), datasets)
    used = [("input", item.model_id) for item in run.model_inputs]
    made = [("output", item.model_id) for item in run.model_outputs]
    print_section("Models", ("direction", "model"), used + made)
    nested = [(child.name, child.status, child.run_id, utc(child.start_time)) for child in children]
    print_section("Nested runs", ("name", "status", "run", "started (UTC)"), nested)


@runs.command()
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also show what is the same in all of them.")
@store_options
@json_option
def compare(
    run_ids: tuple[str, ...], everything: bool, store_url: str | None, artifact_root: str | None, as_json: bool
) -> None:
    """Show params and metrics of several runs side by side: what differs, or everything."""
    chosen = list(dict.fromkeys(run_ids))
    if len(chosen) < 2:
        raise click.UsageError("Give at least two different runs.")
    with open_store(store_url, artifact_root) as store:
        found = [store.runs.get(run_id) for run_id in chosen]
    params = _side_by_side([run.params for run in found], everything=everything)
    metrics = _side_by_side(
        [{key: metric.value for key, metric in run.metrics.items()} for run in found], everything=everything
    )
    if as_json:
        sides = {"params": params, "metrics": metrics}
        compared = {
            what: {key: dict(zip(chosen, row, strict=True)) for key, row in sides[what].items()} for what in sides
        }
        print_document({"run_ids": chosen, **compared})
        return
    heads = [f"{run.info.name} {run.info.run_id[:8]}" for run in found]
    rows = [("param", key, *row) for key, row in params.items()] + [
        ("metric", key, *row) for key, row in metrics.items()
    ]
    print_table(("", "key", *heads), rows, empty="They do not differ.")


def _search(
    store: Store,
    names: Sequence[str],
    filter_string: str,
    order_by: Sequence[str],
    all_attempts: bool,
    max_results: int,
    page_token: str | None,
) -> Page[Run]:
    return store.runs.search(
        _experiment_ids(store, names),
        filter_string,
        order_by=order_by,
        max_results=max_results,
        page_token=page_token,
        newest_attempts_only=not all_attempts,
    )


def _experiment_ids(store: Store, names: Sequence[str]) -> list[str]:
    """Return the ids of the named experiments, or of all active ones of the workspace.

    Raises:
        NotFound: there is no active experiment of a name.
    """
    from headgate.store.entities import LifecycleStage
    from headgate.store.errors import NotFound

    if not names:
        return [experiment.experiment_id for experiment in _all_experiments(store)]
    ids = []
    for name in names:
        experiment = store.experiments.get_by_name(name)
        if experiment is None or experiment.lifecycle_stage is not LifecycleStage.ACTIVE:
            known = [each.name for each in store.experiments.list(max_results=500).items]
            close = get_close_matches(name, known, n=1)
            raise NotFound(
                f"There is no experiment {name!r}.",
                remedy=f"Did you mean {close[0]!r}?" if close else "See: headgate experiments list",
                kind="experiment",
                key=name,
            )
        ids.append(experiment.experiment_id)
    return ids


def _all_experiments(store: Store) -> Iterator[Experiment]:
    page = store.experiments.list()
    yield from page.items
    while page.next_page_token:
        page = store.experiments.list(page_token=page.next_page_token)
        yield from page.items


def _table(found: Sequence[Run]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the columns and rows of a list of runs; the metrics that most of them have get a column each."""
    counts: dict[str, int] = {}
    for run in found:
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    metrics = sorted(counts, key=lambda key: (-counts[key], key))[:_SHOWN_METRICS]
    rows = [
        (
            *(run.info.run_id, run.info.name, run.info.status, utc(run.info.start_time)),
            lasting(run.info.start_time, run.info.end_time),
            *(run.metrics[key].value if key in run.metrics else None for key in metrics),
        )
        for run in found
    ]
    return ("run", "name", "status", "started (UTC)", "took", *metrics), rows


def _facts(info: RunInfo) -> dict[str, Any]:
    context = info.context
    return {
        "run": info.run_id,
        "name": info.name,
        "status": info.status,
        "experiment": info.experiment_id,
        "started": utc(info.start_time),
        "ended": utc(info.end_time),
        "took": lasting(info.start_time, info.end_time),
        "user": info.user_id,
        "artifacts": info.artifact_uri,
        "nested in": info.parent_run_id,
        "origin": context.origin,
        "pipeline": context.pipeline,
        "pipeline run": context.pipeline_run_id,
        "task": context.task if context.map_index < 0 else f"{context.task} [{context.map_index}]",
        "attempt": context.attempt,
        "logical date": utc(context.logical_date),
        "attempt before": info.previous_attempt_id,
        "taken over by": info.superseded_by,
        "lifecycle": info.lifecycle_stage,
    }


def _side_by_side(sides: Sequence[Any], *, everything: bool) -> dict[str, list[Any]]:
    """Return the values of each key, one per side (None where it has none); without those that are the same in all."""
    keys = sorted({key for side in sides for key in side})
    rows = {key: [side.get(key) for side in sides] for key in keys}
    return {key: row for key, row in rows.items() if everything or any(repr(value) != repr(row[0]) for value in row)}
