"""Opening a run: get or create by the key of its work."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.driver_statements import DriverStatement
from headgate.store.entities import Lease, LifecycleStage, Run, RunContext, RunInfo, RunStatus
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.experiments import artifact_location_of
from headgate.store.leases import write_lease
from headgate.store.params_and_tags import (
    attributes_of_tags,
    insert_params,
    insert_tags,
    write_params,
    write_tags,
)
from headgate.store.run_attempts import fence_older_attempts, place_among_attempts
from headgate.store.run_guard import RUN, lock_runs, why_not_writable
from headgate.store.run_names import random_run_name
from headgate.store.run_records import read_runs
from headgate.store.validation import (
    MAX_KEY_LENGTH,
    MAX_RUN_NAME_LENGTH,
    PARENT_RUN_TAG,
    RUN_NAME_TAG,
    check_text,
    check_timestamp,
)

_INSERT_RUN = DriverStatement(lambda _: sa.insert(RUN), [column.name for column in RUN.columns])


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run to open, checked. ``lease`` is written with the id of the run that comes out."""

    experiment_number: int
    context: RunContext
    work_key: str | None
    run_id: str | None
    name: str | None
    user_id: str
    parent_run_id: str | None
    status: RunStatus
    start_time: int
    now: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    lease: Lease | None


def check_context(context: RunContext) -> RunContext:
    """Return a context that fits its columns.

    Raises:
        InvalidInput: a text is too long, or a number is out of range.
    """
    check_text("origin of the run", context.origin, 32)
    for what, text in (
        ("pipeline", context.pipeline),
        ("pipeline run id", context.pipeline_run_id),
        ("task", context.task),
    ):
        check_text(f"{what} of the run's context", text or "", MAX_KEY_LENGTH)
    for what, time in (
        ("logical date", context.logical_date),
        ("start of the data interval", context.data_interval_start),
        ("end of the data interval", context.data_interval_end),
    ):
        if time is not None:
            check_timestamp(what, time)
    if not -1 <= context.map_index < 2**31:
        raise InvalidInput(
            f"The map index of the run's context is {context.map_index}.", remedy="Give -1 (not mapped), 0 or more."
        )
    if context.attempt is not None and not 1 <= context.attempt < 2**31:
        raise InvalidInput(
            f"The attempt of the run's context is {context.attempt}.",
            remedy="Attempts count from 1; None takes the next one.",
        )
    return context


def name_of_run(name: str | None, tags: Mapping[str, str]) -> str | None:
    """Return the run's name from the argument and the tag ``mlflow.runName``, which must agree.

    Raises:
        InvalidInput: they differ, or the name is too long.
    """
    tagged = tags.get(RUN_NAME_TAG)
    if name and tagged and name != tagged:
        raise InvalidInput(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name={name!r}, mlflow.runName={tagged!r}).",
            remedy="Give one of them.",
        )
    said = name or tagged or None
    return None if said is None else check_text("name of the run", said, MAX_RUN_NAME_LENGTH)


def open_run(connection: Connection, workspace: str, request: RunRequest) -> Run:
    """Return the run of a request, made when it is missing. Raises IntegrityError when another transaction was faster.

    Raises:
        NotFound: there is no such experiment or parent run.
        InvalidInput: the experiment is deleted, or a run with this id stands in another experiment.
        RunNotActive: the attempt was deleted or a newer one exists.
        ParamChanged: the run exists and has another value of a param.
    """
    location = artifact_location_of(connection, workspace, request.experiment_number)
    if request.work_key is None:
        existing = _run_of_that_id(connection, request)
        attempt, previous = request.context.attempt or 1, None
    else:
        existing, attempt, previous = place_among_attempts(connection, request.work_key, request.context.attempt)
    if existing is not None:
        return _reopen(connection, existing, request)
    context = replace(request.context, attempt=attempt)
    run = _create(connection, location, request, context, previous)
    if previous is not None:
        fence_older_attempts(connection, str(request.work_key), attempt, run.info.run_id, request.now)
    if request.lease is not None:
        write_lease(connection, replace(request.lease, run_id=run.info.run_id))
    return run


def _run_of_that_id(connection: Connection, request: RunRequest) -> str | None:
    if request.run_id is None:
        return None
    state = lock_runs(connection, [request.run_id]).get(request.run_id)
    if state is None:
        return None
    if state.experiment_id != request.experiment_number:
        raise InvalidInput(
            f"Run {request.run_id} exists, in experiment {state.experiment_id}.",
            remedy="Leave run_id out, or name that experiment.",
            run_id=request.run_id,
        )
    refusal = why_not_writable(state)
    if refusal is not None:
        raise refusal
    return request.run_id


def _reopen(connection: Connection, run_id: str, request: RunRequest) -> Run:
    write_params(connection, run_id, request.experiment_number, request.params)
    write_tags(connection, run_id, request.experiment_number, request.tags)
    (run,) = read_runs(connection, [run_id])
    if request.lease is not None and not run.info.status.terminated:
        write_lease(connection, replace(request.lease, run_id=run_id))
    return run


def _create(
    connection: Connection, artifact_location: str, request: RunRequest, context: RunContext, previous: str | None
) -> Run:
    run_id = request.run_id or uuid.uuid4().hex
    tags = dict(request.tags)
    tags[RUN_NAME_TAG] = name = request.name or random_run_name()
    if request.parent_run_id is not None:
        tags[PARENT_RUN_TAG] = request.parent_run_id
    attributes = attributes_of_tags(connection, run_id, tags)
    if request.parent_run_id is not None and attributes["parent_run_id"] is None:
        raise NotFound(
            f"There is no run {request.parent_run_id!r} to be the parent.",
            remedy="Open the parent run first.",
            kind="run",
            key=request.parent_run_id,
        )
    row = {
        "run_id": run_id,
        "experiment_id": request.experiment_number,
        "name": name,
        "status": request.status.value,
        "start_time": request.start_time,
        "end_time": None,
        "lifecycle_stage": LifecycleStage.ACTIVE.value,
        "deleted_time": None,
        "artifact_uri": f"{artifact_location}/{run_id}/artifacts",
        "user_id": request.user_id or attributes.get("user_id") or "",
        "parent_run_id": attributes.get("parent_run_id"),
        "origin": context.origin,
        "pipeline": context.pipeline,
        "pipeline_run_id": context.pipeline_run_id,
        "task": context.task,
        "map_index": context.map_index,
        "attempt": context.attempt,
        "logical_date": context.logical_date,
        "data_interval_start": context.data_interval_start,
        "data_interval_end": context.data_interval_end,
        "work_key": request.work_key,
        "previous_attempt_id": previous,
        "superseded_by": None,
    }
    _INSERT_RUN.run(connection, tuple(row[column.name] for column in RUN.columns))
    params = {(run_id, key): value for key, value in request.params.items()}
    insert_params(connection, params, {run_id: request.experiment_number})
    insert_tags(connection, run_id, request.experiment_number, tags)
    info = RunInfo(
        run_id=run_id,
        experiment_id=str(request.experiment_number),
        name=name,
        status=request.status,
        start_time=request.start_time,
        end_time=None,
        lifecycle_stage=LifecycleStage.ACTIVE,
        artifact_uri=str(row["artifact_uri"]),
        user_id=str(row["user_id"]),
        parent_run_id=attributes.get("parent_run_id"),
        context=context,
        previous_attempt_id=previous,
    )
    return Run(info, params=dict(request.params), tags=tags)
