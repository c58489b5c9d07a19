"""A table of a SQL database as data to validate: it is judged where it is, and named by the digest of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from headgate.store.entities import Dataset
from headgate.store.errors import DataUnavailable, InvalidInput
from headgate.tasks.projects.secrets import mask_text
from headgate.tasks.tracking.data import dataset

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Table

_ROWS_AT_ONCE = 5000
_DIGEST_BITS = 128
_DENIED = (1044, 1142, 1143)  # of MariaDB and MySQL: access denied to a database, a table, a column
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "long",
    float: "double",
    Decimal: "double",
    str: "string",
    bytes: "binary",
    date: "datetime",
    datetime: "datetime",
}


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table, or a view, of a SQL database.

    Args:
        url: of the database, as SQLAlchemy takes it; its password is in no record.
        table: its name.
        schema: of the database; None is the default one.
        digest: such as the version of the table; None reads all rows and computes one, whatever their order.
    """

    url: str = field(repr=False)
    table: str
    schema: str | None = None
    digest: str | None = None


def describe_table(said: SqlTable, name: str | None) -> tuple[Dataset, int]:
    """Return a table as a dataset with its schema and profile, and how many rows it has.

    Raises:
        InvalidInput: there is no such table or driver, or the table may not be read.
        DataUnavailable: the database did not answer; a retry may help.
    """
    import json

    import sqlalchemy as sa

    with _connected(said) as connection:
        try:
            table = sa.Table(said.table, sa.MetaData(), schema=said.schema, autoload_with=connection)
        except sa.exc.NoSuchTableError as error:
            raise InvalidInput(
                f"The database {mask_text(said.url)} has no table {said.table!r}.", remedy="Check its name and schema."
            ) from error
        digest = said.digest or _content_digest(connection, table)
        rows = int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
    source = f"{mask_text(said.url)}#{said.schema + '.' if said.schema else ''}{said.table}"
    found = dataset(name or said.table, digest=digest, source=source)
    columns = [{"name": c.name, "type": _type(c), "required": not c.nullable} for c in table.columns]
    profile = {"num_rows": rows, "num_elements": rows * len(columns)}
    return Dataset(
        found.name,
        found.digest,
        found.source_type,
        found.source,
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(profile),
    ), rows


@contextmanager
def table_batch(context: Any, said: SqlTable) -> Iterator[Any]:
    """Give the whole table as a batch of a context of Great Expectations, whose connections are closed afterwards."""
    sources, kind = context.data_sources, said.url.partition(":")[0].partition("+")[0]
    add = {"sqlite": sources.add_sqlite, "postgresql": sources.add_postgres}.get(kind, sources.add_sql)
    source = add("data", connection_string=said.url)
    try:
        asset = source.add_table_asset("table", table_name=said.table, schema_name=said.schema)
        yield asset.add_batch_definition_whole_table("whole").get_batch()
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()


@contextmanager
def _connected(said: SqlTable) -> Iterator[Connection]:
    import sqlalchemy as sa

    where = mask_text(said.url)
    try:
        engine = sa.create_engine(said.url, poolclass=sa.NullPool)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise InvalidInput(
            f"{where} can't be used as the URL of a database: {type(error).__name__}.",
            remedy="Write it as SQLAlchemy takes it, and install its driver.",
        ) from error
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        what = mask_text(str(error.orig).strip())
        if isinstance(error, sa.exc.OperationalError) and not _is_denied(error.orig):
            raise DataUnavailable(f"The database {where} did not answer: {what}.", remedy="Try again later.") from error
        raise InvalidInput(
            f"The database {where} refused to show {said.table!r}: {what}.",
            remedy="Let the user of its URL read the table, and check that what it is made of is there.",
        ) from error
    finally:
        engine.dispose()


def _is_denied(error: BaseException | None) -> bool:
    """Whether MariaDB or MySQL denies a database or a table; for its driver that is one more operational error."""
    arguments: tuple[Any, ...] = getattr(error, "args", ())
    return bool(arguments) and arguments[0] in _DENIED


def _type(column: Column[Any]) -> str:
    """Return the type of a column in MLflow's words."""
    try:
        return _TYPES.get(column.type.python_type, "any")
    except NotImplementedError:  # SQLAlchemy knows no Python type for it, and MLflow's word for such is any
        return "any"


def _content_digest(connection: Connection, table: Table) -> str:
    """Return a digest of all rows. Their order is not a table's, so the rows' own digests are summed up."""
    import sqlalchemy as sa

    total = 0
    for row in connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(sa.select(table)):
        own = hashlib.sha256(repr(tuple(row)).encode("utf-8", "surrogatepass")).digest()
        total = (total + int.from_bytes(own[: _DIGEST_BITS // 8], "big")) % 2**_DIGEST_BITS
    columns = repr([column.name for column in table.columns])
    return hashlib.sha256(f"{columns} {total}".encode()).hexdigest()[: _DIGEST_BITS // 4]
