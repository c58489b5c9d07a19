"""What goes into runs and comes out of them: datasets, named by digest, and models."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.database import Database
from headgate.store.dialects import insert_ignore, upsert
from headgate.store.entities import Dataset, DatasetInput, LifecycleStage, ModelInput, ModelOutput, RunStatus
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.id_sets import is_one_of
from headgate.store.run_guard import lock_writable_run
from headgate.store.tables import DatasetInputRow, DatasetInputTagRow, DatasetRow, LoggedModelRow, RunModelRow
from headgate.store.validation import (
    MAX_DATASET_DIGEST_LENGTH,
    MAX_DATASET_NAME_LENGTH,
    MAX_DATASET_PROFILE_LENGTH,
    MAX_DATASET_SCHEMA_LENGTH,
    MAX_DATASET_SOURCE_LENGTH,
    MAX_INPUT_TAG_VALUE_LENGTH,
    MAX_INT64,
    MIN_INT64,
    check_key,
    check_text,
    parse_experiment_id,
)

DATASET = DatasetRow.__table__
DATASET_INPUT = DatasetInputRow.__table__
DATASET_INPUT_TAG = DatasetInputTagRow.__table__
RUN_MODEL = RunModelRow.__table__
MODEL = LoggedModelRow.__table__

_T = TypeVar("_T")

INPUT = "input"
OUTPUT = "output"


class Datasets:
    """The datasets of experiments, and what runs took in and gave out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log_inputs(self, run_id: str, datasets: Iterable[DatasetInput] = (), models: Iterable[ModelInput] = ()) -> None:
        """Record datasets and models that a run uses, all or none. May run twice.

        A dataset is known by experiment, name and digest; its source, schema and profile are those that were given
        first. Tags of an input that stands there already stay as they are (as in MLflow).

        Raises:
            InvalidInput: a dataset has no name or digest, or a text is too long.
            NotFound: there is no such run or model.
            RunNotActive: the run was deleted or a newer attempt took over.
        """
        checked = [_check_input(item) for item in datasets]
        model_ids = [item.model_id for item in models]

        def work(connection: Connection) -> None:
            state = lock_writable_run(connection, run_id)
            write_dataset_inputs(connection, run_id, state.experiment_id, checked)
            _write_models(connection, run_id, INPUT, dict.fromkeys(model_ids, 0))

        self._database.transact(work)

    def log_outputs(self, run_id: str, models: Iterable[ModelOutput]) -> None:
        """Record models that a run made, all or none. May run twice; the step given last stands.

        Raises:
            NotFound: there is no such run or model.
            RunNotActive: the run was deleted or a newer attempt took over.
        """
        steps = {item.model_id: _check_step(item) for item in models}

        def work(connection: Connection) -> None:
            lock_writable_run(connection, run_id)
            _write_models(connection, run_id, OUTPUT, steps)

        self._database.transact(work)

    def get(self, dataset_id: str) -> Dataset:
        """Return a dataset.

        Raises:
            NotFound: there is no such dataset.
        """
        found = self._find(DATASET.c.dataset_id == dataset_id)
        if not found:
            raise NotFound(
                f"There is no dataset {dataset_id!r}.",
                remedy="Look at the inputs of the run that used it.",
                kind="dataset",
                key=dataset_id,
            )
        return found[0]

    def get_by_digest(
        self, digest: str, *, name: str | None = None, experiment_id: str | None = None
    ) -> tuple[Dataset, ...]:
        """Return the datasets with this digest: the same content may bear several names, in several experiments.

        Raises:
            InvalidInput: the experiment id is not a number.
        """
        wanted = [DATASET.c.digest == digest]
        if name is not None:
            wanted.append(DATASET.c.name == name)
        if experiment_id is not None:
            wanted.append(DATASET.c.experiment_id == parse_experiment_id(experiment_id))
        return self._find(*wanted)

    def runs_with(self, digests: Collection[str], *, tag: str, max_results: int = 100) -> tuple[str, ...]:
        """Return the finished runs that took in data with one of these digests and have a tag, the newest first.

        Args:
            digests: of datasets.
            tag: the tag's key, whatever its value.
            max_results: the most runs.
        """
        if not digests:
            return ()
        from headgate.store.tables import RunRow, RunTagRow  # most processes that use datasets need neither here

        run, run_tag = RunRow.__table__, RunTagRow.__table__
        with self._database.read() as connection:
            of_data = is_one_of(connection, DATASET.c.digest, digests)
            finished = (run.c.status == RunStatus.FINISHED, run.c.lifecycle_stage == LifecycleStage.ACTIVE)
            statement = (
                sa.select(run.c.run_id)
                .select_from(DATASET)
                .join(DATASET_INPUT, DATASET_INPUT.c.dataset_id == DATASET.c.dataset_id)
                .join(run, run.c.run_id == DATASET_INPUT.c.run_id)
                .join(run_tag, sa.and_(run_tag.c.run_id == run.c.run_id, run_tag.c.key == tag))
                .where(of_data, *finished)
                .group_by(run.c.run_id, run.c.start_time)
                .order_by(run.c.start_time.desc(), run.c.run_id.desc())
                .limit(max_results)
            )
            return tuple(connection.scalars(statement))

    def _find(self, *wanted: sa.ColumnElement[bool]) -> tuple[Dataset, ...]:
        statement = sa.select(DATASET).where(*wanted).order_by(DATASET.c.experiment_id, DATASET.c.name)
        with self._database.read() as connection:
            return tuple(_dataset(row) for row in connection.execute(statement))


def write_dataset_inputs(
    connection: Connection, run_id: str, experiment_id: int, inputs: Sequence[DatasetInput]
) -> None:
    """Record checked dataset inputs of a run that the transaction has taken."""
    by_name = {(item.dataset.name, item.dataset.digest): item for item in reversed(inputs)}
    if not by_name:
        return
    datasets = [
        {
            "dataset_id": f"d-{uuid.uuid4().hex}",
            "experiment_id": experiment_id,
            "name": name,
            "digest": digest,
            "source_type": item.dataset.source_type,
            "source": item.dataset.source,
            "schema": item.dataset.schema,
            "profile": item.dataset.profile,
        }
        for (name, digest), item in sorted(by_name.items(), key=lambda pair: pair[0])
    ]
    connection.execute(insert_ignore(connection, DATASET), datasets)
    ids = _dataset_ids(connection, experiment_id, list(by_name))
    statement = sa.select(DATASET_INPUT.c.dataset_id).where(DATASET_INPUT.c.run_id == run_id)
    existing = set(connection.scalars(statement))
    new = {key: item for key, item in by_name.items() if ids[key] not in existing}
    if not new:
        return
    connection.execute(sa.insert(DATASET_INPUT), [{"run_id": run_id, "dataset_id": ids[key]} for key in new])
    tags = [
        {"run_id": run_id, "dataset_id": ids[key], "key": tag, "value": value}
        for key, item in new.items()
        for tag, value in item.tags.items()
    ]
    if tags:
        connection.execute(sa.insert(DATASET_INPUT_TAG), tags)


def _dataset_ids(
    connection: Connection, experiment_id: int, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    statement = sa.select(DATASET.c.name, DATASET.c.digest, DATASET.c.dataset_id).where(
        DATASET.c.experiment_id == experiment_id,
        is_one_of(connection, DATASET.c.name, {name for name, _ in keys}),
        is_one_of(connection, DATASET.c.digest, {digest for _, digest in keys}),
    )
    return {(row.name, row.digest): row.dataset_id for row in connection.execute(statement)}


def _write_models(connection: Connection, run_id: str, direction: str, steps: Mapping[str, int]) -> None:
    if not steps:
        return
    statement = sa.select(MODEL.c.model_id).where(is_one_of(connection, MODEL.c.model_id, steps))
    known = set(connection.scalars(statement))
    for model_id in sorted(steps.keys() - known):
        raise NotFound(
            f"There is no LoggedModel {model_id!r}, which run {run_id} names as {direction}.",
            remedy="Create the model first.",
            kind="logged model",
            key=model_id,
        )
    rows = [
        {"run_id": run_id, "direction": direction, "model_id": model_id, "step": step}
        for model_id, step in sorted(steps.items())
    ]
    connection.execute(upsert(connection, RUN_MODEL, update=("step",)), rows)


def read_dataset_inputs(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[DatasetInput, ...]]:
    """Return the dataset inputs by run id, ordered by name, for the runs that have any."""
    tags: dict[tuple[str, str], dict[str, str]] = {}
    statement = sa.select(DATASET_INPUT_TAG).where(is_one_of(connection, DATASET_INPUT_TAG.c.run_id, run_ids))
    for row in connection.execute(statement.order_by(DATASET_INPUT_TAG.c.key)):
        tags.setdefault((row.run_id, row.dataset_id), {})[row.key] = row.value
    joined = DATASET_INPUT.join(DATASET, DATASET.c.dataset_id == DATASET_INPUT.c.dataset_id)
    of_runs = is_one_of(connection, DATASET_INPUT.c.run_id, run_ids)
    statement = sa.select(DATASET_INPUT.c.run_id, DATASET).select_from(joined).where(of_runs)
    found: dict[str, list[DatasetInput]] = {}
    for row in connection.execute(statement.order_by(DATASET.c.name, DATASET.c.digest)):
        item = DatasetInput(_dataset(row), tags.get((row.run_id, row.dataset_id), {}))
        found.setdefault(row.run_id, []).append(item)
    return _tuples(found)


def read_run_models(
    connection: Connection, run_ids: Sequence[str]
) -> tuple[dict[str, tuple[ModelInput, ...]], dict[str, tuple[ModelOutput, ...]]]:
    """Return the models that runs used and those that they made, by run id."""
    inputs: dict[str, list[ModelInput]] = {}
    outputs: dict[str, list[ModelOutput]] = {}
    statement = sa.select(RUN_MODEL).where(is_one_of(connection, RUN_MODEL.c.run_id, run_ids))
    for row in connection.execute(statement.order_by(RUN_MODEL.c.step, RUN_MODEL.c.model_id)):
        if row.direction == INPUT:
            inputs.setdefault(row.run_id, []).append(ModelInput(row.model_id))
        else:
            outputs.setdefault(row.run_id, []).append(ModelOutput(row.model_id, row.step))
    return _tuples(inputs), _tuples(outputs)


def _tuples(found: dict[str, list[_T]]) -> dict[str, tuple[_T, ...]]:
    return {run_id: tuple(items) for run_id, items in found.items()}


def _dataset(row: sa.Row[Any]) -> Dataset:
    return Dataset(row.name, row.digest, row.source_type, row.source, row.schema, row.profile, row.dataset_id)


def _check_step(item: ModelOutput) -> int:
    if not MIN_INT64 <= item.step <= MAX_INT64:
        raise InvalidInput(
            f"The step of model {item.model_id} is {item.step}.", remedy="Give a whole number of 64 bits."
        )
    return item.step


def _check_input(item: DatasetInput) -> DatasetInput:
    dataset = item.dataset
    for what, value in (("name", dataset.name), ("digest", dataset.digest)):
        if not value:
            raise InvalidInput(
                f"A dataset input has no {what}.",
                remedy="A dataset is known by its name and the digest of its content.",
            )
    named = f"of dataset {dataset.name[:80]!r}"
    check_text("name of a dataset", dataset.name, MAX_DATASET_NAME_LENGTH)
    check_text(f"digest {named}", dataset.digest, MAX_DATASET_DIGEST_LENGTH)
    check_text(f"source type {named}", dataset.source_type, 64)
    check_text(f"source {named}", dataset.source, MAX_DATASET_SOURCE_LENGTH)
    check_text(f"schema {named}", dataset.schema or "", MAX_DATASET_SCHEMA_LENGTH)
    check_text(f"profile {named}", dataset.profile or "", MAX_DATASET_PROFILE_LENGTH)
    for key, value in item.tags.items():
        check_key("tag", key)
        check_text(f"value of tag {key!r} {named}", value, MAX_INPUT_TAG_VALUE_LENGTH)
    return item
