"""Metrics, params and tags of runs, written together: many runs' batches in one transaction, each as a whole or not
at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from headgate.store.entities import Metric, Param, Tag
from headgate.store.errors import HeadgateError
from headgate.store.metric_writing import (
    Points,
    SeriesName,
    points_by_key,
    read_series,
    write_points,
)
from headgate.store.model_metrics import (
    model_metrics,
    read_model_experiments,
    refuse_unknown_models,
    write_model_metrics,
)
from headgate.store.params_and_tags import insert_params, read_params_named, refuse_changes, write_tags
from headgate.store.run_guard import RunState, lock_runs, require_writable
from headgate.store.validation import check_params, check_tags


@dataclass(frozen=True, slots=True)
class RunBatch:
    """What one request logs to one run, checked. Make it with :meth:`of`, outside of any transaction."""

    run_id: str
    points: Mapping[str, Points]
    model_metrics: Sequence[Metric]
    params: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def size(self) -> int:
        """How many metrics, params and tags it holds."""
        return sum(len(columns[0]) for columns in self.points.values()) + len(self.params) + len(self.tags)

    @classmethod
    def of(
        cls,
        run_id: str,
        *,
        metrics: Iterable[Metric] = (),
        params: Mapping[str, str] | Iterable[Param] = (),
        tags: Mapping[str, str] | Iterable[Tag] = (),
    ) -> RunBatch:
        """Check a batch.

        Raises:
            InvalidInput: a name, value, timestamp or step is not valid, or a param is given twice.
        """
        metrics = metrics if isinstance(metrics, Sequence) else tuple(metrics)
        return cls(run_id, points_by_key(metrics), model_metrics(metrics), check_params(params), check_tags(tags))


def write_batch(connection: Connection, batch: RunBatch) -> None:
    """Write one batch within the transaction.

    Raises:
        ParamChanged: a param was logged before, with another value.
        NotFound: there is no such run, or a metric names a model that does not exist.
        RunNotActive: the run was deleted or a newer attempt took over.
    """
    (refusal,) = write_batches(connection, [batch])
    if refusal is not None:
        raise refusal


def write_batches(connection: Connection, batches: Sequence[RunBatch]) -> tuple[HeadgateError | None, ...]:
    """Write batches of any number of runs within the transaction: the group commit of many requests.

    Returns:
        For each batch None, or the error that :func:`write_batch` would have raised; nothing of such a batch is
        written, and the others are.
    """
    states = lock_runs(connection, (batch.run_id for batch in batches))
    # Read when the runs are taken: nobody else writes to these series now.
    series = read_series(connection, {(batch.run_id, key) for batch in batches for key in batch.points})
    params = read_params_named(connection, [(batch.run_id, batch.params) for batch in batches])
    models = read_model_experiments(connection, (str(m.model_id) for batch in batches for m in batch.model_metrics))
    accepted: list[RunBatch] = []
    new_params: dict[tuple[str, str], str] = {}
    refusals: list[HeadgateError | None] = []
    for batch in batches:
        existing = params.setdefault(batch.run_id, {})
        refusal = _refusal(batch, states.get(batch.run_id), existing, models)
        refusals.append(refusal)
        if refusal is None:
            accepted.append(batch)
            new_params.update({(batch.run_id, k): v for k, v in batch.params.items() if k not in existing})
            existing.update(batch.params)  # the next batch of the same run finds them there
    experiment_ids = {state.run_id: state.experiment_id for state in states.values()}
    insert_params(connection, new_params, experiment_ids)
    write_points(connection, _points(accepted), experiment_ids, series)
    write_model_metrics(connection, [(batch.run_id, m) for batch in accepted for m in batch.model_metrics], models)
    for batch in accepted:
        write_tags(connection, batch.run_id, experiment_ids[batch.run_id], batch.tags)
    return tuple(refusals)


def _refusal(
    batch: RunBatch, state: RunState | None, params: Mapping[str, str], models: Mapping[str, int]
) -> HeadgateError | None:
    try:
        require_writable(batch.run_id, state)
        refuse_changes(batch.run_id, params, batch.params)
        refuse_unknown_models(batch.model_metrics, models)
    except HeadgateError as refusal:
        return refusal
    return None


def _points(batches: Sequence[RunBatch]) -> dict[SeriesName, Points]:
    points: dict[SeriesName, Points] = {}
    for batch in batches:
        for key, more in batch.points.items():
            series = batch.run_id, key
            if series in points:
                steps, timestamps, values, are_nan = points[series]
                more = (steps + more[0], timestamps + more[1], values + more[2], are_nan + more[3])
            points[series] = more
    return points
