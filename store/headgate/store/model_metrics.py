"""Metrics that were measured on a LoggedModel: by which run, and on which dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.dialects import insert_ignore
from headgate.store.entities import Metric
from headgate.store.errors import NotFound
from headgate.store.id_sets import is_one_of
from headgate.store.metric_values import check_point_timestamp, check_step, check_value, encode_value
from headgate.store.tables import LoggedModelMetricRow, LoggedModelRow
from headgate.store.validation import MAX_DATASET_DIGEST_LENGTH, MAX_DATASET_NAME_LENGTH, check_key, check_text

MODEL = LoggedModelRow.__table__
MODEL_METRIC = LoggedModelMetricRow.__table__


def log_model_metrics(connection: Connection, run_id: str, metrics: Iterable[Metric]) -> None:
    """Record the points that name a ``model_id`` on that LoggedModel, with the run that measured them and the dataset.

    Args:
        run_id: the run that measures; "" when none does.
        metrics: points without a ``model_id`` are passed over. The same point twice is stored once.

    Raises:
        InvalidInput: a name, value, timestamp or step is not valid.
        NotFound: there is no such model.
    """
    measured = model_metrics(metrics)
    experiment_ids = read_model_experiments(connection, (str(metric.model_id) for metric in measured))
    refuse_unknown_models(measured, experiment_ids)
    write_model_metrics(connection, [(run_id, metric) for metric in measured], experiment_ids)


def model_metrics(metrics: Iterable[Metric]) -> list[Metric]:
    """Return the points that name a ``model_id``, checked.

    Raises:
        InvalidInput: a name, value, timestamp or step is not valid.
    """
    measured = [metric for metric in metrics if metric.model_id is not None]
    for metric in measured:
        key = check_key("metric", metric.key)
        check_value(key, metric.value)
        check_point_timestamp(key, metric.timestamp)
        check_step(key, metric.step)
        check_text(f"dataset name of metric {key!r}", metric.dataset_name or "", MAX_DATASET_NAME_LENGTH)
        check_text(f"dataset digest of metric {key!r}", metric.dataset_digest or "", MAX_DATASET_DIGEST_LENGTH)
    return measured


def read_model_experiments(connection: Connection, model_ids: Iterable[str]) -> dict[str, int]:
    """Return the experiment by model id, of the models that exist."""
    wanted = sorted(set(model_ids))
    if not wanted:
        return {}
    statement = sa.select(MODEL.c.model_id, MODEL.c.experiment_id).where(
        is_one_of(connection, MODEL.c.model_id, wanted)
    )
    return {row.model_id: row.experiment_id for row in connection.execute(statement)}


def refuse_unknown_models(metrics: Iterable[Metric], experiment_ids: Mapping[str, int]) -> None:
    """Raise NotFound when a point names a model that does not exist."""
    for metric in metrics:
        if metric.model_id not in experiment_ids:
            raise NotFound(
                f"There is no LoggedModel {metric.model_id!r} to record metric {metric.key!r} on.",
                remedy="Create the model first, or leave model_id out.",
                kind="logged model",
                key=metric.model_id,
            )


def write_model_metrics(
    connection: Connection, measured: Iterable[tuple[str, Metric]], experiment_ids: Mapping[str, int]
) -> None:
    """Write checked points with the runs that measured them; those that stand there are left."""
    rows = [_row(run_id, metric, experiment_ids[str(metric.model_id)]) for run_id, metric in measured]
    if rows:
        # In one order everywhere: two writers of the same points then can't deadlock.
        rows.sort(key=lambda row: (row["model_id"], row["key"], row["timestamp"], row["step"], row["point_key"]))
        connection.execute(insert_ignore(connection, MODEL_METRIC), rows)


def _row(run_id: str, metric: Metric, experiment_id: int) -> dict[str, Any]:
    value, is_nan = encode_value(check_value(metric.key, metric.value))
    timestamp = check_point_timestamp(metric.key, metric.timestamp)
    step = check_step(metric.key, metric.step)
    dataset_name, dataset_digest = metric.dataset_name or "", metric.dataset_digest or ""
    identity = (metric.key, value.hex(), is_nan, timestamp, step, run_id, dataset_name, dataset_digest)
    return {
        "model_id": metric.model_id,
        "point_key": hashlib.sha1(repr(identity).encode(), usedforsecurity=False).hexdigest(),
        "experiment_id": experiment_id,
        "key": metric.key,
        "value": value,
        "is_nan": is_nan,
        "timestamp": timestamp,
        "step": step,
        "run_id": run_id,
        "dataset_name": dataset_name,
        "dataset_digest": dataset_digest,
    }
