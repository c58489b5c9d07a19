"""The rows of LoggedModels: reading and writing them within a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from headgate.store.dialects import insert_ignore
from headgate.store.entities import LifecycleStage, LoggedModel, LoggedModelStatus, Metric
from headgate.store.errors import NotFound, ParamChanged
from headgate.store.experiments import artifact_location_of
from headgate.store.metric_values import decode_value
from headgate.store.tables import (
    ExperimentRow,
    LoggedModelMetricRow,
    LoggedModelParamRow,
    LoggedModelRow,
    LoggedModelTagRow,
)
from headgate.store.tables.base import value_head
from headgate.store.validation import parse_experiment_id

_EXPERIMENT = ExperimentRow.__table__
_MODEL = LoggedModelRow.__table__
_METRIC = LoggedModelMetricRow.__table__
_PARAM = LoggedModelParamRow.__table__
_TAG = LoggedModelTagRow.__table__

# Well under the number of bound values that any of the databases takes in one statement.
_IDS_PER_STATEMENT = 5000


def create_logged_model(conn: Connection, workspace: str, draft: LoggedModel) -> LoggedModel:
    """Write a new model within the caller's transaction; return it with its artifact location.

    Raises:
        NotFound: the workspace has no such experiment.
        InvalidInput: it was deleted.
    """
    number = parse_experiment_id(draft.experiment_id)
    location = f"{artifact_location_of(conn, workspace, number).rstrip('/')}/models/{draft.model_id}/artifacts"
    model = replace(draft, artifact_location=location)
    values = {column.name: getattr(model, column.name, None) for column in _MODEL.columns}
    conn.execute(insert(_MODEL).values(**values | {"experiment_id": number}))
    for table, pairs in ((_PARAM, model.params), (_TAG, model.tags)):
        if pairs:
            conn.execute(insert(table), pair_rows(model.model_id, number, pairs))
    return model


def get_logged_model(conn: Connection, model_id: str) -> LoggedModel:
    """Return an active model within the caller's transaction, or raise NotFound."""
    found = read_logged_models(conn, [model_id])
    if model_id not in found:
        raise no_such_model(model_id)
    return found[model_id]


def read_logged_models(
    conn: Connection, model_ids: Sequence[str], *, with_deleted: bool = False
) -> Mapping[str, LoggedModel]:
    """Return models by id, in four statements however many they are; those that don't exist are left out."""
    rows: dict[str, Row[Any]] = {}
    for ids in _in_chunks(model_ids):
        statement = select(_MODEL).where(_MODEL.c.model_id.in_(ids))
        if not with_deleted:
            statement = statement.where(_MODEL.c.lifecycle_stage == LifecycleStage.ACTIVE)
        rows.update({row.model_id: row for row in conn.execute(statement)})
    found = list(rows)
    params, tags = _read_pairs(conn, _PARAM, found), _read_pairs(conn, _TAG, found)
    metrics = read_model_metrics(conn, found)
    return {
        model_id: _entity(row, params.get(model_id, {}), tags.get(model_id, {}), metrics.get(model_id, ()))
        for model_id, row in rows.items()
    }


def read_model_metrics(conn: Connection, model_ids: Sequence[str]) -> Mapping[str, tuple[Metric, ...]]:
    """Return every point of each model, in the order they were written; a model without any is left out."""
    found: dict[str, list[Metric]] = {}
    for ids in _in_chunks(model_ids):
        for row in conn.execute(select(_METRIC).where(_METRIC.c.model_id.in_(ids)).order_by(_METRIC.c.metric_id)):
            found.setdefault(row.model_id, []).append(metric_of_row(row))
    return {model_id: tuple(points) for model_id, points in found.items()}


def read_metrics_of_runs(conn: Connection, run_ids: Sequence[str]) -> tuple[Metric, ...]:
    """Return every point that some runs measured on models, in the order they were written."""
    rows: list[Row[Any]] = []
    for ids in _in_chunks(run_ids):
        rows += conn.execute(select(_METRIC).where(_METRIC.c.run_id.in_(ids)))
    return tuple(metric_of_row(row) for row in sorted(rows, key=lambda row: row.metric_id))


def log_model_params(conn: Connection, model_id: str, params: Mapping[str, str]) -> None:
    """Write params once within the caller's transaction; raise ParamChanged over one that has another value."""
    row = active_row(conn, model_id)
    if not params:
        return
    conn.execute(insert_ignore(conn, _PARAM), pair_rows(model_id, row.experiment_id, params))
    standing = _read_pairs(conn, _PARAM, [model_id])[model_id]
    for key, value in params.items():
        if standing[key] != value:
            raise ParamChanged(
                f"Param {key!r} of model {model_id!r} is {standing[key]!r} and can't become {value!r}.",
                remedy="Params are written once: log a new model, or use a tag for what changes.",
                model_id=model_id,
                key=key,
                old=standing[key],
                new=value,
            )


def newest_by_name(conn: Connection, experiment_id: str, name: str) -> LoggedModel | None:
    """Return the newest active model of this name in an experiment."""
    statement = (
        select(_MODEL.c.model_id)
        .where(_MODEL.c.name == name, _MODEL.c.experiment_id == parse_experiment_id(experiment_id))
        .where(_MODEL.c.lifecycle_stage == LifecycleStage.ACTIVE)
        .order_by(_MODEL.c.creation_timestamp.desc(), _MODEL.c.model_id)
        .limit(1)
    )
    model_id = conn.execute(statement).scalar()
    return get_logged_model(conn, model_id) if model_id is not None else None


def active_row(conn: Connection, model_id: str) -> Row[*tuple[Any, ...]]:
    """Return what a model that is not deleted is known by, without its pairs and metrics, or raise NotFound."""
    named = ("model_id", "experiment_id", "source_run_id", "artifact_location", "artifact_digest", "status")
    statement = select(*(_MODEL.c[name] for name in named)).where(
        _MODEL.c.model_id == model_id, _MODEL.c.lifecycle_stage == LifecycleStage.ACTIVE
    )
    row = conn.execute(statement).first()
    if row is None:
        raise no_such_model(model_id)
    return row


def pair_rows(model_id: str, experiment_id: int, pairs: Mapping[str, str]) -> list[dict[str, Any]]:
    common = {"model_id": model_id, "experiment_id": experiment_id}
    # Sorted, so that two writers of the same keys take their locks in the same order.
    return [{**common, "key": key, "value": pairs[key], "value_head": value_head(pairs[key])} for key in sorted(pairs)]


def _read_pairs(conn: Connection, table: Any, model_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for ids in _in_chunks(model_ids):
        columns = select(table.c.model_id, table.c.key, table.c.value)
        for model_id, key, value in conn.execute(columns.where(table.c.model_id.in_(ids)).order_by(table.c.key)):
            found.setdefault(model_id, {})[key] = value
    return found


def _entity(
    row: Row[Any], params: Mapping[str, str], tags: Mapping[str, str], metrics: tuple[Metric, ...]
) -> LoggedModel:
    return LoggedModel(
        model_id=row.model_id,
        experiment_id=str(row.experiment_id),
        name=row.name,
        artifact_location=row.artifact_location,
        creation_timestamp=row.creation_timestamp,
        last_updated_timestamp=row.last_updated_timestamp,
        status=LoggedModelStatus(row.status),
        status_message=row.status_message,
        model_type=row.model_type,
        source_run_id=row.source_run_id,
        lifecycle_stage=LifecycleStage(row.lifecycle_stage),
        artifact_digest=row.artifact_digest,
        tags=tags,
        params=params,
        metrics=metrics,
    )


def lock_experiment(conn: Connection, workspace: str, experiment_id: str) -> None:
    """Keep others who lock an experiment that may be written to out until the transaction ends.

    Raises:
        NotFound: no such experiment.
        InvalidInput: it was deleted.
    """
    number = parse_experiment_id(experiment_id)
    conn.execute(select(_EXPERIMENT.c.experiment_id).where(_EXPERIMENT.c.experiment_id == number).with_for_update())
    artifact_location_of(conn, workspace, number)


def no_such_model(model_id: str) -> NotFound:
    return NotFound(
        f"No logged model with ID {model_id!r}.",
        remedy="Check the ID; a deleted model has to be restored first.",
        kind="logged model",
        key=model_id,
    )


def _in_chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[start : start + _IDS_PER_STATEMENT]


def metric_of_row(row: Row[Any]) -> Metric:
    """Return a row of a LoggedModel's metrics as what leaves the store."""
    return Metric(
        key=row.key,
        value=decode_value(row.value, row.is_nan),
        timestamp=row.timestamp,
        step=row.step,
        run_id=row.run_id or None,
        model_id=row.model_id,
        dataset_name=row.dataset_name or None,
        dataset_digest=row.dataset_digest or None,
    )
