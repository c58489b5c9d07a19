"""Reading runs: in sets, with the same number of queries whatever the number of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.datasets import RUN_MODEL, read_dataset_inputs, read_run_models
from headgate.store.entities import LifecycleStage, LoggedModelStatus, Run, RunContext, RunInfo, RunStatus
from headgate.store.id_sets import is_one_of
from headgate.store.metrics import read_latest_metrics
from headgate.store.params_and_tags import read_params, read_tags
from headgate.store.run_guard import RUN
from headgate.store.tables import LoggedModelRow

_MODEL = LoggedModelRow.__table__


def run_info(row: sa.Row[Any]) -> RunInfo:
    """Return a row of the runs' table as what leaves the store."""
    return RunInfo(
        run_id=row.run_id,
        experiment_id=str(row.experiment_id),
        name=row.name,
        status=RunStatus(row.status),
        start_time=row.start_time,
        end_time=row.end_time,
        lifecycle_stage=LifecycleStage(row.lifecycle_stage),
        artifact_uri=row.artifact_uri,
        user_id=row.user_id,
        parent_run_id=row.parent_run_id,
        context=RunContext(
            origin=row.origin,
            pipeline=row.pipeline,
            pipeline_run_id=row.pipeline_run_id,
            task=row.task,
            map_index=row.map_index,
            attempt=row.attempt,
            logical_date=row.logical_date,
            data_interval_start=row.data_interval_start,
            data_interval_end=row.data_interval_end,
        ),
        previous_attempt_id=row.previous_attempt_id,
        superseded_by=row.superseded_by,
    )


def read_infos(connection: Connection, *wanted: sa.ColumnElement[bool]) -> tuple[RunInfo, ...]:
    """Return the runs that ``wanted`` says, without their data, by start time and id."""
    statement = sa.select(RUN).where(*wanted).order_by(RUN.c.start_time, RUN.c.run_id)
    return tuple(run_info(row) for row in connection.execute(statement))


def read_runs(connection: Connection, run_ids: Sequence[str]) -> tuple[Run, ...]:
    """Return runs with their latest metrics, params, tags, inputs and outputs, in the order of ``run_ids``.

    Ids without a run are passed over.
    """
    if not run_ids:
        return ()
    infos = {info.run_id: info for info in read_infos(connection, is_one_of(connection, RUN.c.run_id, run_ids))}
    metrics = read_latest_metrics(connection, run_ids)
    params = read_params(connection, run_ids)
    tags = read_tags(connection, run_ids)
    datasets = read_dataset_inputs(connection, run_ids)
    model_inputs, model_outputs = read_run_models(connection, run_ids)
    return tuple(
        Run(
            info=infos[run_id],
            metrics=metrics.get(run_id, {}),
            params=params.get(run_id, {}),
            tags=tags.get(run_id, {}),
            dataset_inputs=datasets.get(run_id, ()),
            model_inputs=model_inputs.get(run_id, ()),
            model_outputs=model_outputs.get(run_id, ()),
        )
        for run_id in run_ids
        if run_id in infos
    )


def read_made_models(connection: Connection, run_id: str) -> tuple[str, ...]:
    """Return the ids of the READY LoggedModels that a run made, the oldest first: its outputs, and those it is the
    source of.

    An external model, whose files are kept elsewhere, is no output of a run (in MLflow neither); its source run ties it
    to the run.
    """
    ready = (
        _MODEL.c.lifecycle_stage == LifecycleStage.ACTIVE.value,
        _MODEL.c.status == LoggedModelStatus.READY.value,
    )
    found = sa.select(_MODEL.c.model_id, _MODEL.c.creation_timestamp).where(*ready)
    outputs = found.join(RUN_MODEL, RUN_MODEL.c.model_id == _MODEL.c.model_id).where(
        RUN_MODEL.c.run_id == run_id, RUN_MODEL.c.direction == "output"
    )
    # A union, so that each half walks its own index.
    made = sa.union(outputs, found.where(_MODEL.c.source_run_id == run_id)).subquery()
    return tuple(connection.scalars(sa.select(made.c.model_id).order_by(made.c.creation_timestamp, made.c.model_id)))
