"""What a run says of itself: params, written once, and tags, which may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.database import Database
from headgate.store.dialects import upsert
from headgate.store.driver_statements import DriverStatement
from headgate.store.entities import Param, Tag
from headgate.store.errors import NotFound, ParamChanged
from headgate.store.id_sets import is_one_of
from headgate.store.run_guard import RUN, lock_writable_run
from headgate.store.tables import ParamRow, RunTagRow
from headgate.store.tables.base import value_head
from headgate.store.validation import PARENT_RUN_TAG, RUN_NAME_TAG, USER_TAG, check_params, check_tags

PARAM = ParamRow.__table__
RUN_TAG = RunTagRow.__table__

_COLUMNS = ("run_id", "key", "experiment_id", "value", "value_head")
_INSERT_PARAM = DriverStatement(lambda _: sa.insert(PARAM), _COLUMNS)
_INSERT_TAG = DriverStatement(lambda _: sa.insert(RUN_TAG), _COLUMNS)
# One statement on PostgreSQL: psycopg sends many rows as many statements.
_INSERT_TAG_ARRAYS = DriverStatement(
    lambda _: sa.text("""
        INSERT INTO headgate_run_tag (run_id, experiment_id, key, value, value_head)
        SELECT CAST(:run_id AS TEXT), CAST(:experiment_id AS BIGINT), new.key, new.value, new.value_head
        FROM unnest(CAST(:keys AS TEXT[]), CAST(:values AS TEXT[]), CAST(:heads AS TEXT[]))
            AS new (key, value, value_head)
    """),
    ("run_id", "experiment_id", "keys", "values", "heads"),
)
_UPSERT_TAG = DriverStatement(lambda connection: upsert(connection, RUN_TAG, update=("value", "value_head")), _COLUMNS)


class Params:
    """The params of runs: strings, written once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log(self, run_id: str, params: Mapping[str, str] | Iterable[Param]) -> None:
        """Write params, all or none. Params that stand there with the same value are left; so it may run twice.

        Args:
            params: values longer than 6,000 characters are cut.

        Raises:
            InvalidInput: a name or value is not valid, or a key is given twice.
            ParamChanged: a param was logged before, with another value.
            NotFound: there is no such run.
            RunNotActive: the run was deleted or a newer attempt took over.
        """
        checked = check_params(params)

        def work(connection: Connection) -> None:
            state = lock_writable_run(connection, run_id)
            write_params(connection, run_id, state.experiment_id, checked)

        self._database.transact(work)

    def get(self, run_id: str) -> Mapping[str, str]:
        """Return the params of a run, empty when there are none."""
        with self._database.read() as connection:
            return read_params(connection, [run_id]).get(run_id, {})


class Tags:
    """The tags of runs: strings that may be overwritten.

    ``mlflow.runName``, ``mlflow.user`` and ``mlflow.parentRunId`` are also attributes of the run; setting the tag sets
    the attribute.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, run_id: str, tags: Mapping[str, str] | Iterable[Tag]) -> None:
        """Write tags over what stands there, all or none; may run twice.

        Args:
            tags: values longer than 8,000 characters are cut.

        Raises:
            InvalidInput: a name or value is not valid.
            NotFound: there is no such run.
            RunNotActive: the run was deleted or a newer attempt took over.
        """
        checked = check_tags(tags)

        def work(connection: Connection) -> None:
            state = lock_writable_run(connection, run_id)
            write_tags(connection, run_id, state.experiment_id, checked)

        self._database.transact(work)

    def delete(self, run_id: str, key: str) -> None:
        """Remove a tag. The second time it is an error, as in MLflow.

        Raises:
            NotFound: there is no such run, or it has no such tag.
            RunNotActive: the run was deleted or a newer attempt took over.
        """

        def work(connection: Connection) -> None:
            lock_writable_run(connection, run_id)
            deleted = connection.execute(sa.delete(RUN_TAG).where(RUN_TAG.c.run_id == run_id, RUN_TAG.c.key == key))
            if deleted.rowcount == 0:
                raise NotFound(
                    f"Run {run_id} has no tag {key!r}.",
                    remedy="Look at the tags it has with: headgate runs show",
                    kind="tag",
                    key=key,
                    run_id=run_id,
                )
            if key == PARENT_RUN_TAG:
                connection.execute(sa.update(RUN).where(RUN.c.run_id == run_id).values(parent_run_id=None))

        self._database.transact(work)

    def get(self, run_id: str) -> Mapping[str, str]:
        """Return the tags of a run, empty when there are none."""
        with self._database.read() as connection:
            return read_tags(connection, [run_id]).get(run_id, {})


def write_params(connection: Connection, run_id: str, experiment_id: int, params: Mapping[str, str]) -> None:
    """Write checked params of a run that the transaction has taken (:func:`~headgate.store.run_guard.lock_run`).

    Raises:
        ParamChanged: a param was logged before, with another value.
    """
    existing = read_params_named(connection, [(run_id, params)]).get(run_id, {})
    refuse_changes(run_id, existing, params)
    new = {(run_id, key): value for key, value in params.items() if key not in existing}
    insert_params(connection, new, {run_id: experiment_id})


def read_params_named(connection: Connection, wanted: Iterable[tuple[str, Iterable[str]]]) -> dict[str, dict[str, str]]:
    """Return params by run id and key, at least those that are wanted: (run id, keys)."""
    named = [(run_id, list(keys)) for run_id, keys in wanted]
    run_ids = sorted({run_id for run_id, keys in named if keys})
    if not run_ids:
        return {}
    names = sorted({key for _, keys in named for key in keys})
    wanted_ones = is_one_of(connection, PARAM.c.run_id, run_ids), is_one_of(connection, PARAM.c.key, names)
    statement = sa.select(PARAM.c.run_id, PARAM.c.key, PARAM.c.value).where(*wanted_ones)
    found: dict[str, dict[str, str]] = {}
    for run_id, key, value in connection.execute(statement):
        found.setdefault(run_id, {})[key] = value
    return found


def insert_params(
    connection: Connection, params: Mapping[tuple[str, str], str], experiment_ids: Mapping[str, int]
) -> None:
    """Insert checked params, by run id and key, that are not there yet."""
    if params:
        rows = [_row(run_id, key, experiment_ids[run_id], value) for (run_id, key), value in params.items()]
        _INSERT_PARAM.run(connection, rows)


def refuse_changes(run_id: str, existing: Mapping[str, str], params: Mapping[str, str]) -> None:
    """Raise ParamChanged when a param would get another value than it has."""
    changed = [key for key, value in params.items() if existing.get(key, value) != value]
    if not changed:
        return
    key = changed[0]
    others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    raise ParamChanged(
        f"Changing param values is not allowed. Param with key={key!r} was already logged with "
        f"value={existing[key]!r} for run ID={run_id!r}. Attempted logging new value {params[key]!r}{others}.",
        remedy="Log it under another name, or in a nested run of its own.",
        run_id=run_id,
        key=key,
        old=existing[key],
        new=params[key],
        keys=tuple(changed),
    )


def write_tags(connection: Connection, run_id: str, experiment_id: int, tags: Mapping[str, str]) -> None:
    """Write checked tags of a run that the transaction has taken, and the attributes that three of them are."""
    if not tags:
        return
    _UPSERT_TAG.run(connection, [_row(run_id, key, experiment_id, value) for key, value in tags.items()])
    attributes = attributes_of_tags(connection, run_id, tags)
    if attributes:
        connection.execute(sa.update(RUN).where(RUN.c.run_id == run_id).values(**attributes))


def insert_tags(connection: Connection, run_id: str, experiment_id: int, tags: Mapping[str, str]) -> None:
    """Insert the checked tags of a run that the transaction has made."""
    if not tags:
        return
    if connection.dialect.name == "postgresql":
        values = list(tags.values())
        _INSERT_TAG_ARRAYS.run(connection, (run_id, experiment_id, list(tags), values, [*map(value_head, values)]))
    else:
        _INSERT_TAG.run(connection, [_row(run_id, key, experiment_id, value) for key, value in tags.items()])


def attributes_of_tags(connection: Connection, run_id: str, tags: Mapping[str, str]) -> dict[str, str | None]:
    """Return the columns of a run that MLflow's tags stand for."""
    attributes: dict[str, str | None] = {}
    if RUN_NAME_TAG in tags:
        attributes["name"] = tags[RUN_NAME_TAG]
    if USER_TAG in tags:
        attributes["user_id"] = tags[USER_TAG]
    if PARENT_RUN_TAG in tags:
        attributes["parent_run_id"] = _existing_parent(connection, run_id, tags[PARENT_RUN_TAG])
    return attributes


def _existing_parent(connection: Connection, run_id: str, parent_run_id: str) -> str | None:
    # MLflow takes any text for this tag; the column refers to a run.
    if parent_run_id == run_id:
        return None
    found: str | None = connection.scalar(sa.select(RUN.c.run_id).where(RUN.c.run_id == parent_run_id))
    return found


def read_params(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return key → value by run id, for the runs that have any."""
    return _read_pairs(connection, PARAM, run_ids)


def read_tags(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return key → value by run id, for the runs that have any."""
    return _read_pairs(connection, RUN_TAG, run_ids)


def _read_pairs(connection: Connection, table: sa.Table, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    statement = (
        sa.select(table.c.run_id, table.c.key, table.c.value)
        .where(is_one_of(connection, table.c.run_id, run_ids))
        .order_by(table.c.run_id, table.c.key)
    )
    found: dict[str, dict[str, str]] = {}
    for run_id, key, value in connection.execute(statement):
        found.setdefault(run_id, {})[key] = value
    return found


def _row(run_id: str, key: str, experiment_id: int, value: str) -> tuple[str, str, int, str, str]:
    return run_id, key, experiment_id, value, value_head(value)
