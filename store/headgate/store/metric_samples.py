"""Histories of metrics thinned out for charts: as many points of each run as a chart can show, evenly taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.entities import Metric
from headgate.store.id_sets import is_one_of
from headgate.store.metric_values import decode_value
from headgate.store.metric_writing import POINT, SERIES


def sample_histories(
    conn: Connection, run_ids: Sequence[str], key: str, most: int, steps: tuple[int, int] | None
) -> list[Metric]:
    """Return at most ``most`` points of a metric for each run, by run in the order given, then by step.

    MLflow's rule: a run's points, ordered by step, timestamp and value, are dealt into ``most`` buckets of equal size;
    the first of each bucket is taken, and the very last point in place of the last taken.

    Args:
        run_ids: those that have no such metric, or don't exist, add nothing.
        steps: the first and the last step that count; None for all.
    """
    conditions = [is_one_of(conn, SERIES.c.run_id, run_ids), SERIES.c.key == key]
    if steps is not None:
        conditions.append(POINT.c.step.between(*steps))
    rows = conn.execute(_statement(most, conditions))
    of_run = {run_id: list(points) for run_id, points in groupby(rows, key=lambda row: row.run_id)}
    return [
        Metric(key, decode_value(row.value, row.is_nan), row.timestamp, row.step, run_id)
        for run_id in run_ids
        for row in _with_the_last(of_run.get(run_id, []), most)
    ]


def sample_metrics(conn: Connection, run_id: str, keys: Sequence[str], most: int) -> Mapping[str, tuple[Metric, ...]]:
    """Return at most ``most`` points of each of a run's metrics, taken as :func:`sample_histories` does, by key.

    One statement, whatever the number of keys; those that the run does not have are left out.
    """
    conditions = [SERIES.c.run_id == run_id, is_one_of(conn, SERIES.c.key, keys)]
    of_key: dict[str, list[Any]] = {}
    for row in conn.execute(_statement(most, conditions)):
        of_key.setdefault(row.key, []).append(row)
    return {
        key: tuple(
            Metric(key, decode_value(row.value, row.is_nan), row.timestamp, row.step, run_id)
            for row in _with_the_last(of_key[key], most)
        )
        for key in keys
        if key in of_key
    }


def _with_the_last(rows: list[Any], most: int) -> list[Any]:
    return rows if len(rows) <= most else [*rows[: most - 1], rows[-1]]


def _statement(most: int, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    order = (POINT.c.step, POINT.c.timestamp, POINT.c.value, POINT.c.is_nan)
    dealt = (
        sa.select(
            SERIES.c.run_id,
            SERIES.c.key,
            *order,
            sa.func.ntile(most).over(partition_by=POINT.c.series_id, order_by=order).label("bucket"),
            sa.func.row_number()
            .over(partition_by=POINT.c.series_id, order_by=[column.desc() for column in order])
            .label("from_the_end"),
        )
        .join(SERIES, SERIES.c.series_id == POINT.c.series_id)
        .where(*conditions)
        .subquery()
    )
    in_order = (dealt.c.step, dealt.c.timestamp, dealt.c.value, dealt.c.is_nan)
    of_bucket = [dealt.c.run_id, dealt.c.key, dealt.c.bucket]
    place = sa.func.row_number().over(partition_by=of_bucket, order_by=in_order)
    placed = sa.select(dealt, place.label("place")).subquery()
    return (
        sa.select(placed)
        .where(sa.or_(placed.c.place == 1, placed.c.from_the_end == 1))
        .order_by(placed.c.run_id, placed.c.key, placed.c.step, placed.c.timestamp, placed.c.value, placed.c.is_nan)
    )
