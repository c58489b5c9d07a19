"""Writing points of metrics: in sets, whatever the number of runs and keys.

The caller's transaction has taken the runs (:mod:`headgate.store.run_guard`), so nobody else writes their series.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.dialects import insert_ignore, is_mysql, upsert
from headgate.store.driver_statements import DriverStatement
from headgate.store.entities import Metric
from headgate.store.id_sets import is_in_parameter, set_parameter
from headgate.store.metric_values import MAX_DOUBLE, check_point_timestamp, check_step, check_value, encode_value
from headgate.store.tables import MetricPointRow, MetricSeriesRow
from headgate.store.validation import MAX_INT64, MIN_INT64, check_key

SERIES = MetricSeriesRow.__table__
POINT = MetricPointRow.__table__

# A point as it is ordered and stored: step, timestamp, value, is_nan. The latest of a series is the greatest. The flag
# is 0 or 1, as sqlite3 spends as long on binding a bool as on the rest of the row.
Point = tuple[int, int, float, int]
# Points of one series as columns: their number does not concern the garbage collector, which otherwise goes through
# all that the process holds after some ten thousand of them.
Points = tuple[list[int], list[int], list[float], list[int]]
# Run id and key.
SeriesName = tuple[str, str]
# Number and latest point.
Series = tuple[int, Point]


def points_by_key(metrics: Iterable[Metric]) -> dict[str, Points]:
    """Return the checked points of each key.

    Raises:
        InvalidInput: a name, value, timestamp or step is not valid.
    """
    found: dict[str, Points] = {}
    for metric in metrics:  # a hot loop: everything that is usual is decided in place
        key = metric.key
        value = metric.value
        timestamp = metric.timestamp
        step = metric.step
        points = found.get(key)
        if points is None:
            points = found[check_key("metric", key)] = ([], [], [], [])
        is_nan = 0
        if not (
            type(value) is float
            and -MAX_DOUBLE <= value <= MAX_DOUBLE
            and type(timestamp) is int
            and 0 <= timestamp <= MAX_INT64
            and type(step) is int
            and MIN_INT64 <= step <= MAX_INT64
        ):
            step, timestamp, value, is_nan = _checked_point(metric)
        steps, timestamps, values, are_nan = points
        steps.append(step)
        timestamps.append(timestamp)
        values.append(value)
        are_nan.append(is_nan)
    return found


def _checked_point(metric: Metric) -> Point:
    step = check_step(metric.key, metric.step)
    timestamp = check_point_timestamp(metric.key, metric.timestamp)
    value, is_nan = encode_value(check_value(metric.key, metric.value))
    return step, timestamp, value, int(is_nan)


def write_points(
    connection: Connection,
    points: Mapping[SeriesName, Points],
    experiment_ids: Mapping[str, int],
    known: Mapping[SeriesName, Series],
) -> None:
    """Append points and bring the latest value of their series up to date.

    Args:
        points: checked points by run id and key; none of them empty.
        experiment_ids: experiment by run id.
        known: those of the series that there are, read after their runs were taken.
    """
    if not points:
        return
    latest: dict[SeriesName, Point] = {series: max(zip(*columns, strict=True)) for series, columns in points.items()}
    missing = sorted(points.keys() - known.keys())
    if missing:
        _insert_series(connection, missing, latest, experiment_ids)
        known = {**known, **read_series(connection, missing)}
    # In the order of the table, in which they are cheapest to insert.
    by_number = sorted((known[series][0], series) for series in points)
    new = [(number, points[series]) for number, series in by_number]
    newer = [(number, series, latest[series]) for number, series in by_number if latest[series] > known[series][1]]
    if connection.dialect.name == "postgresql":
        _write_arrays(connection, new, newer)
    else:
        _write_rows(connection, new, newer, experiment_ids)


def _insert_series(
    connection: Connection,
    missing: Sequence[SeriesName],
    latest: Mapping[SeriesName, Point],
    experiment_ids: Mapping[str, int],
) -> None:
    rows = []
    for run_id, key in missing:
        step, timestamp, value, is_nan = latest[run_id, key]
        rows.append((run_id, key, experiment_ids[run_id], value, bool(is_nan), timestamp, step))
    _INSERT_SERIES.run(connection, rows)


_SERIES = sa.select(
    SERIES.c.run_id,
    SERIES.c.key,
    SERIES.c.series_id,
    SERIES.c.step,
    SERIES.c.timestamp,
    SERIES.c.value,
    SERIES.c.is_nan,
)
_ONE_SERIES = DriverStatement(
    lambda _: _SERIES.where(SERIES.c.run_id == sa.bindparam("run"), SERIES.c.key == sa.bindparam("key")),
    ("run", "key"),
)
_MANY_SERIES = DriverStatement(
    lambda connection: _SERIES.where(
        is_in_parameter(connection, SERIES.c.run_id, "runs"),
        is_in_parameter(connection, SERIES.c.key, "keys"),
    ),
    ("runs", "keys"),
)


def read_series(connection: Connection, wanted: Collection[SeriesName]) -> dict[SeriesName, Series]:
    """Return those series that exist."""
    rows: list[Any] = []
    if len(wanted) == 1:
        rows += _ONE_SERIES.run(connection, next(iter(wanted)))
    else:
        for keys, run_ids in _runs_by_keys(wanted).items():
            rows += _read_many_series(connection, run_ids, keys)
    return {(run_id, key): (number, (step, time, value, nan)) for run_id, key, number, step, time, value, nan in rows}


def _read_many_series(connection: Connection, run_ids: Collection[str], keys: Collection[str]) -> Iterable[Any]:
    if is_mysql(connection):
        return connection.execute(_SERIES.where(SERIES.c.run_id.in_(list(run_ids)), SERIES.c.key.in_(list(keys))))
    return _MANY_SERIES.run(connection, (set_parameter(connection, run_ids), set_parameter(connection, keys)))


def _runs_by_keys(wanted: Iterable[SeriesName]) -> dict[tuple[str, ...], list[str]]:
    """Return the runs that share the same keys, which one query can then ask for."""
    keys_by_run: dict[str, list[str]] = {}
    for run_id, key in wanted:
        keys_by_run.setdefault(run_id, []).append(key)
    found: dict[tuple[str, ...], list[str]] = {}
    for run_id, keys in keys_by_run.items():
        found.setdefault(tuple(sorted(keys)), []).append(run_id)
    return found


_SERIES_COLUMNS = ("run_id", "key", "experiment_id", "value", "is_nan", "timestamp", "step")
_INSERT_SERIES = DriverStatement(
    lambda _: sa.insert(SERIES).values({name: sa.bindparam(name) for name in _SERIES_COLUMNS}).inline(),
    _SERIES_COLUMNS,
)
_PIECE = 1000
_POINT_COLUMNS = ("series_id", "step", "timestamp", "value", "is_nan")
_INSERT_POINT = DriverStatement(lambda connection: insert_ignore(connection, POINT), _POINT_COLUMNS)
_UPDATE_LATEST = DriverStatement(
    # An upsert, though the row is there: drivers of MySQL send many of these at once, but updates one by one.
    lambda connection: upsert(connection, SERIES, update=("value", "is_nan", "timestamp", "step")),
    ("series_id", *_SERIES_COLUMNS),
)
# On PostgreSQL an array per column, written as text: psycopg's executemany does 60,000 rows a second, and its own
# arrays, element by element, 100,000. One statement for both tables: a round trip costs as much as a statement.
_WRITE_ARRAYS = DriverStatement(
    lambda _: sa.text("""
        WITH inserted AS (
            INSERT INTO headgate_metric_point (series_id, step, timestamp, value, is_nan)
            SELECT new.series_id, new.step, new.timestamp, new.value, new.is_nan <> 0
            FROM unnest(
                CAST(:series_id AS BIGINT[]), CAST(:step AS BIGINT[]), CAST(:timestamp AS BIGINT[]),
                CAST(:value AS DOUBLE PRECISION[]), CAST(:is_nan AS INTEGER[])
            ) AS new (series_id, step, timestamp, value, is_nan)
            ON CONFLICT DO NOTHING
        )
        UPDATE headgate_metric_series AS series
        SET step = new.step, timestamp = new.timestamp, value = new.value, is_nan = new.is_nan <> 0
        FROM unnest(
            CAST(:latest_series_id AS BIGINT[]), CAST(:latest_step AS BIGINT[]), CAST(:latest_timestamp AS BIGINT[]),
            CAST(:latest_value AS DOUBLE PRECISION[]), CAST(:latest_is_nan AS INTEGER[])
        ) AS new (series_id, step, timestamp, value, is_nan)
        WHERE series.series_id = new.series_id
    """),
    (*_POINT_COLUMNS, *(f"latest_{name}" for name in _POINT_COLUMNS)),
)


def _write_arrays(
    connection: Connection, new: Sequence[tuple[int, Points]], newer: Sequence[tuple[int, SeriesName, Point]]
) -> None:
    columns: list[list[float]] = [[], [], [], [], []]
    for number, of_series in new:
        steps, timestamps, values, are_nan = of_series
        columns[0].extend(repeat(number, len(steps)))
        columns[1].extend(steps)
        columns[2].extend(timestamps)
        columns[3].extend(values)
        columns[4].extend(are_nan)
    latest = list(zip(*((number, *point) for number, _, point in newer), strict=True)) or [()] * len(columns)
    _WRITE_ARRAYS.run(connection, tuple(map(_array, (*columns, *latest))))


def _array(numbers: Iterable[float]) -> str:
    """Return numbers as PostgreSQL reads an array of them; the shortest spelling of a float is read as the same float.

    The plus makes a number of a flag.
    """
    return f"{{{','.join([repr(+number) for number in numbers])}}}"


def _write_rows(
    connection: Connection,
    new: Sequence[tuple[int, Points]],
    newer: Sequence[tuple[int, SeriesName, Point]],
    experiment_ids: Mapping[str, int],
) -> None:
    rows = chain.from_iterable(zip(repeat(number), *columns) for number, columns in new)
    while piece := list(islice(rows, _PIECE)):
        _INSERT_POINT.run(connection, piece)
    if newer:
        latest = [
            (number, *series, experiment_ids[series[0]], value, bool(is_nan), timestamp, step)
            for number, series, (step, timestamp, value, is_nan) in newer
        ]
        _UPDATE_LATEST.run(connection, latest)
