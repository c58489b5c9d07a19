"""Searching runs."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.store.database import Database
from headgate.store.entities import LifecycleStage, Page, Run
from headgate.store.run_records import read_runs
from headgate.store.search.grammar import parse_filter
from headgate.store.search.order_by import parse_order_by
from headgate.store.search.pages import (
    check_max_results,
    make_page_token,
    parse_experiment_ids,
    read_page_token,
    stages_of,
)
from headgate.store.search.planner import look_up_by_index
from headgate.store.search.run_conditions import Demand, demand_of
from headgate.store.search.run_order import levels_of
from headgate.store.search.run_walk import RunWalk, Scope
from headgate.store.search.vocabulary import RUNS

MOST_RUNS = 50_000


def search_runs(
    database: Database,
    experiment_ids: Sequence[str],
    filter: str | None = None,  # noqa: A002  # MLflow's word
    *,
    view_type: LifecycleStage | None = LifecycleStage.ACTIVE,
    order_by: Sequence[str] | None = None,
    max_results: int = 1000,
    page_token: str | None = None,
    newest_attempts_only: bool = False,
    most: int = MOST_RUNS,
) -> Page[Run]:
    """Return one page of the runs that match a filter, with their latest metrics, params, tags, inputs and outputs.

    Args:
        experiment_ids: the experiments to look in; unknown ones hold no runs.
        filter: such as ``metrics.f1 > 0.9 AND params.depth = '6' AND tags.team IS NOT NULL``. Metrics are compared by
            their latest value; NaN matches nothing but ``!=``. ``!=`` on a param or tag leaves out runs without it.
        view_type: look at active or at deleted runs; None looks at both.
        order_by: such as ``["metrics.f1 DESC", "start_time"]``. In both directions values come first, then NaN, then
            runs without; ties are broken by start time, the newest first, and then by id. Params and tags are ordered
            by their first 200 characters.
        max_results: the most runs of the page.
        page_token: ``next_page_token`` of the page before; runs that arrive meanwhile move nothing.
        newest_attempts_only: leave out attempts that a newer attempt of the same work took over from.
        most: the most that ``max_results`` may be.

    Raises:
        InvalidFilter: ``filter`` or ``order_by`` can't be read.
        InvalidInput: another argument is not valid, or the token belongs to another search.
    """
    check_max_results(max_results, most)
    experiments = parse_experiment_ids(experiment_ids)
    stages = stages_of(view_type)
    comparisons = parse_filter(filter, RUNS)
    levels = levels_of(parse_order_by(order_by, RUNS))
    query = ["runs", experiments, filter or "", list(order_by or ()), stages, newest_attempts_only]
    behind = read_page_token(page_token, query, [level.kind for level in levels])
    demands = [demand_of(comparison, database.dialect) for comparison in comparisons]
    if newest_attempts_only:
        demands.append(Demand(lambda run: run.c.superseded_by.is_(None)))
    scope = Scope(experiments, stages, tuple(demands))
    if not experiments:
        return Page(())
    with database.read() as connection:
        look_up_by_index(connection)
        found = RunWalk(connection).page(scope, levels, behind, max_results + 1)
        shown = found[:max_results]
        runs = read_runs(connection, [position[-1][1] for position in shown])
    return Page(runs, make_page_token(query, shown[-1]) if len(found) > max_results else None)
