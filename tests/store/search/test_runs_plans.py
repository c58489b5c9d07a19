"""A page costs what a page costs: the same statements whatever its size, and indexes walked in order, never sorted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store.entities import Metric
from headgate.store.search import run_walk
from headgate.store.store import Store

NOW = 1_800_000_000_000
BY_METRIC = "ix_headgate_metric_series_search"
BY_PARAM = "ix_headgate_param_search"
BY_TIME = "ix_headgate_run_search"

Statement = tuple[str, Any]


@contextmanager
def statements(store: Store) -> Iterator[list[Statement]]:
    """Collect what is executed."""
    executed: list[Statement] = []

    def collect(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        executed.append((statement, parameters))

    sa.event.listen(store.database.engine, "before_cursor_execute", collect)
    try:
        yield executed
    finally:
        sa.event.remove(store.database.engine, "before_cursor_execute", collect)


def fill(store: Store, runs: int) -> None:
    for number in range(runs):
        run_id = store.runs.open("0", start_time=NOW + number, params={"depth": str(number % 3)}).info.run_id
        store.metrics.log(run_id, [Metric("f1", number / runs, NOW)])


@pytest.mark.parametrize("few", [0, 2000])
def test_a_page_takes_the_same_statements_whatever_its_size(
    store: Store, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(run_walk, "FEW", few)
    monkeypatch.setattr(run_walk, "FEW_PER_RESULT", 0)
    fill(store, 30)
    counted = []
    for size in (2, 25):
        with statements(store) as executed:
            page = store.runs.search(["0"], "metrics.f1 >= 0", order_by=["metrics.f1 DESC"], max_results=size)
        assert len(page.items) == size
        counted.append(len(executed))

    assert counted[0] == counted[1]
    assert counted[0] <= 12


@pytest.mark.parametrize(
    ("filter", "order_by", "index"),
    [
        ("metrics.f1 > 0.1 AND params.depth = '1'", ["metrics.f1 DESC"], BY_METRIC),
        ("metrics.f1 > 0.1 AND params.depth = '1'", ["metrics.f1 ASC"], BY_METRIC),
        ("", ["metrics.f1"], BY_METRIC),
        ("status = 'RUNNING'", ["metrics.f1 DESC"], BY_METRIC),
        ("", ["params.depth DESC"], BY_PARAM),
        ("", [], BY_TIME),
        ("params.depth = '1'", [], BY_TIME),
        ("status = 'RUNNING' AND tags.none IS NULL", ["start_time"], BY_TIME),
    ],
)
def test_sqlite_walks_the_index_of_the_order(
    sqlite_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    filter: str,  # noqa: A002
    order_by: list[str],
    index: str,
) -> None:
    monkeypatch.setattr(run_walk, "FEW", 0)
    monkeypatch.setattr(run_walk, "FEW_PER_RESULT", 0)
    fill(sqlite_store, 12)

    with statements(sqlite_store) as executed:
        sqlite_store.runs.search(["0"], filter, order_by=order_by, max_results=2)

    walks = [(text, parameters) for text, parameters in executed if "ORDER BY" in text and "LIMIT" in text]
    plan = plan_of(sqlite_store, *walks[0])
    assert index in plan[0], plan
    assert not [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN")], plan


def test_sqlite_reads_few_runs_by_the_index_that_finds_them(sqlite_store: Store) -> None:
    fill(sqlite_store, 12)

    with statements(sqlite_store) as executed:
        sqlite_store.runs.search(["0"], "params.depth = '1'", order_by=["metrics.f1 DESC"], max_results=2)

    (read,) = [(text, parameters) for text, parameters in executed if "CROSS JOIN" in text]
    plan = plan_of(sqlite_store, *read)
    assert BY_PARAM in plan[1], plan
    # What is read from its beginning to its end is what that index found, and no table.
    assert [step for step in plan if step.startswith("SCAN")] == [plan[0].replace("CO-ROUTINE", "SCAN")], plan


def plan_of(store: Store, statement: str, parameters: Any) -> list[str]:
    with store.database.engine.connect() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
