"""Metrics: the whole history of each, and its latest value."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.database import Database
from headgate.store.driver_statements import DriverStatement
from headgate.store.entities import Metric, Page
from headgate.store.errors import InvalidInput
from headgate.store.id_sets import is_one_of
from headgate.store.metric_samples import sample_histories, sample_metrics
from headgate.store.metric_values import decode_value
from headgate.store.metric_writing import POINT, SERIES
from headgate.store.run_batches import RunBatch, write_batch
from headgate.store.run_guard import RUN, run_not_found
from headgate.store.validation import MAX_INT64, MIN_INT64, shorten

# Timestamp, step, value, whether it is NaN: in the order of a history.
StoredPoint = tuple[int, int, float, bool]


class Metrics:
    """The metrics of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log(self, run_id: str, metrics: Iterable[Metric]) -> None:
        """Append points, all or none. A point that is sent again is stored once, so it may run twice.

        Args:
            metrics: ``timestamp`` in epoch ms; NaN and infinite values are kept. A point with a ``model_id`` is also
                recorded on that LoggedModel, with its dataset.

        Raises:
            InvalidInput: a name, value, timestamp or step is not valid.
            NotFound: there is no such run or model.
            RunNotActive: the run was deleted or a newer attempt took over.
        """
        batch = RunBatch.of(run_id, metrics=metrics)
        self._database.transact(lambda connection: write_batch(connection, batch))

    def history(
        self, run_id: str, key: str, *, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        """Return the points of a metric, ordered by timestamp, step and value (MLflow's order).

        Args:
            max_results: the most points of one page; None returns all that are left.
            page_token: ``next_page_token`` of the page before. Points that arrive between two pages do not shift them.

        Returns:
            A page; empty when the run has no such metric.

        Raises:
            NotFound: there is no such run.
            InvalidInput: ``max_results`` or ``page_token`` is not valid.
        """
        page = self.history_points(run_id, key, max_results=max_results, page_token=page_token)
        return Page(
            tuple(Metric(key, decode_value(value, nan), time, step, run_id) for time, step, value, nan in page.items),
            page.next_page_token,
        )

    def history_points(
        self, run_id: str, key: str, *, max_results: int | None = None, page_token: str | None = None
    ) -> Page[StoredPoint]:
        """Return what :meth:`history` does as it is stored: timestamp, step, value, whether it is NaN.

        The value is 0 where it is NaN, and the largest float stands for infinity.
        """
        after = _read_token(page_token)
        if max_results is not None and max_results < 1:
            raise InvalidInput(f"max_results is {max_results}.", remedy="Ask for at least 1 point.")
        # One more tells whether there is a next page.
        limit = MAX_INT64 if max_results is None else min(max_results + 1, MAX_INT64)
        with self._database.read() as connection:
            series_id = _series_id(connection, run_id, key)
            if series_id is None:
                return Page(())
            if after is None:
                points = _HISTORY.run(connection, (series_id, limit))
            else:
                points = _HISTORY_AFTER.run(connection, (series_id, *after, limit))
        if max_results is None or len(points) <= max_results:
            return Page(tuple(points))
        return Page(tuple(points[:max_results]), _write_token(points[max_results - 1]))

    def samples(
        self, run_ids: Sequence[str], key: str, *, most: int, steps: tuple[int, int] | None = None
    ) -> tuple[Metric, ...]:
        """Return a metric's history of several runs, thinned out evenly to at most ``most`` points of each.

        Args:
            run_ids: those that have no such metric, or don't exist, add nothing.
            steps: only the points from the first to the second step, both included.

        Returns:
            The points by run, in the order of ``run_ids``, then by step, timestamp and value; each knows its run.
        """
        with self._database.read() as connection:
            return tuple(sample_histories(connection, run_ids, key, most, steps))

    def charts(self, run_id: str, keys: Sequence[str], *, most: int) -> Mapping[str, tuple[Metric, ...]]:
        """Return the histories of several metrics of one run, each thinned out evenly to at most ``most`` points.

        Returns:
            By key, by step, timestamp and value; keys that the run has no metric of are left out.
        """
        with self._database.read() as connection:
            return sample_metrics(connection, run_id, keys, most)

    def latest(self, run_id: str) -> Mapping[str, Metric]:
        """Return the latest point of each metric of a run: the greatest by step, then timestamp, then value."""
        with self._database.read() as connection:
            return read_latest_metrics(connection, [run_id]).get(run_id, {})


def read_latest_metrics(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, Metric]]:
    """Return the latest points by run id and key, for the runs that have any."""
    statement = (
        sa.select(SERIES.c.run_id, SERIES.c.key, SERIES.c.value, SERIES.c.is_nan, SERIES.c.timestamp, SERIES.c.step)
        .where(is_one_of(connection, SERIES.c.run_id, run_ids))
        .order_by(SERIES.c.run_id, SERIES.c.key)
    )
    found: dict[str, dict[str, Metric]] = {}
    for run_id, key, value, is_nan, timestamp, step in connection.execute(statement):
        found.setdefault(run_id, {})[key] = Metric(key, decode_value(value, is_nan), timestamp, step, run_id)
    return found


def _series_id(connection: Connection, run_id: str, key: str) -> int | None:
    statement = (
        sa.select(RUN.c.run_id, SERIES.c.series_id)
        .select_from(RUN.outerjoin(SERIES, sa.and_(SERIES.c.run_id == RUN.c.run_id, SERIES.c.key == key)))
        .where(RUN.c.run_id == run_id)
    )
    row = connection.execute(statement).first()
    if row is None:
        raise run_not_found(run_id)
    series_id: int | None = row.series_id
    return series_id


def _history(*, after: bool) -> sa.Select[Any]:
    order = (POINT.c.timestamp, POINT.c.step, POINT.c.value, POINT.c.is_nan)
    statement = sa.select(*order).where(POINT.c.series_id == sa.bindparam("series")).order_by(*order)
    if after:
        statement = statement.where(sa.tuple_(*order) > sa.tuple_(*map(sa.bindparam, _AFTER)))
    return statement.limit(sa.bindparam("most")).offset(sa.literal_column("0"))  # SQLite's dialect would bind a 0


_AFTER = ("after_timestamp", "after_step", "after_value", "after_is_nan")
_HISTORY = DriverStatement(lambda _: _history(after=False), ("series", "most"))
_HISTORY_AFTER = DriverStatement(lambda _: _history(after=True), ("series", *_AFTER, "most"))


def _write_token(point: StoredPoint) -> str:
    timestamp, step, value, is_nan = point
    return base64.urlsafe_b64encode(json.dumps([timestamp, step, value, bool(is_nan)]).encode()).decode()


def _read_token(token: str | None) -> tuple[int, int, float, bool] | None:
    if not token:
        return None
    try:
        timestamp, step, value, is_nan = json.loads(base64.urlsafe_b64decode(token.encode()))
        if not (MIN_INT64 <= timestamp <= MAX_INT64 and MIN_INT64 <= step <= MAX_INT64):
            raise ValueError
        return int(timestamp), int(step), float(value), bool(is_nan)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput(
            f"{shorten(token)} is not a page token of a metric's history.",
            remedy="Send next_page_token of the page before, unchanged.",
        ) from error
