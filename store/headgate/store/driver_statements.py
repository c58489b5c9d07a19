"""Statements of the hot paths: compiled once per dialect, then run as the driver takes them.

SQLAlchemy spends about 80 µs on each execution of a Core statement, 30 on one of the driver's and a microsecond on each
row of many; SQLite itself needs a tenth of that. Rows go in and come out as plain tuples here, with no conversion of
types, and SQLAlchemy sees nothing of it but the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.sql.expression import ClauseElement, Select

Row = tuple[Any, ...]


class DriverStatement:
    """A statement and the order of its parameters.

    Args:
        build: makes the statement for the connection's dialect; called once per dialect.
        parameters: names of the bound parameters in the order in which they stand in the statement's text.
    """

    def __init__(self, build: Callable[[Connection], ClauseElement], parameters: Sequence[str]) -> None:
        self._build = build
        self._parameters = list(parameters)
        self._texts: dict[tuple[str, str], tuple[str, bool]] = {}

    def run(self, connection: Connection, values: Row | list[Row]) -> list[Row]:
        """Execute with one tuple of parameters, or with many; return the rows."""
        dialect = connection.dialect
        known = self._texts.get((dialect.name, dialect.driver))
        if known is None:
            known = self._texts[dialect.name, dialect.driver] = self._compile(connection)
        text, reads = known
        cursor = connection.connection.cursor()
        try:
            if isinstance(values, list):
                cursor.executemany(text, values)
            else:
                cursor.execute(text, values)
            return list(cursor.fetchall()) if reads else []
        except dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemys(connection, text, error) from error
        finally:
            cursor.close()

    def _compile(self, connection: Connection) -> tuple[str, bool]:
        """Return the statement's text, and whether it answers rows."""
        dialect = connection.dialect
        if not dialect.positional:
            # psycopg's named parameters need a dictionary per row; it takes positional ones as well.
            dialect = type(dialect)(paramstyle="format")  # type: ignore[call-arg]  # every dialect class takes it
        statement = self._build(connection)
        compiled = statement.compile(dialect=dialect)
        order: list[str] = compiled.positiontup  # type: ignore[attr-defined]  # SQLCompiler's
        if order != self._parameters:
            raise AssertionError(f"the parameters stand as {order}, not as {self._parameters}")
        return str(compiled), isinstance(statement, Select)


def as_sqlalchemys(connection: Connection, text: str, error: Exception) -> StatementError:
    """Return an error of the driver as SQLAlchemy would have raised it; a connection that is lost is given up."""
    dialect = connection.dialect
    driver: Any = connection.connection.dbapi_connection
    lost = isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(error, driver, None)
    raised = DBAPIError.instance(
        text, None, error, dialect.loaded_dbapi.Error, connection_invalidated=lost, dialect=dialect
    )
    if lost:
        connection.invalidate(raised)
    return raised
