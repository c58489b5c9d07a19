"""The statements that SQLite, PostgreSQL and MariaDB/MySQL spell differently: insert-or-ignore and upsert.

A dialect of SQLAlchemy loads when there is a connection of it: three in every process would cost more than most tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.exc import DBAPIError

Rows = Sequence[Mapping[str, Any]]

# Deadlock, serialization failure, lock wait timeout: the database undid the transaction and asks for another try.
_RETRY_SQLSTATES = frozenset({"40001", "40P01"})
_RETRY_MYSQL_CODES = frozenset({1205, 1213})


def is_mysql(connection: Connection) -> bool:
    return connection.dialect.name in ("mysql", "mariadb")


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def insert_ignore(connection: Connection, table: Table) -> Insert:
    """Return an insert that leaves existing rows (by any unique key) as they are."""
    if is_mysql(connection):
        from sqlalchemy.dialects import mysql

        # INSERT IGNORE would also swallow truncation and foreign key errors; a no-op update swallows only duplicates.
        statement = mysql.insert(table)
        first = next(iter(table.primary_key.columns))
        return statement.on_duplicate_key_update({first.name: first})
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table, *, update: Sequence[str]) -> Insert:
    """Return an insert that, where the primary key exists, sets the columns ``update`` to the new values."""
    if is_mysql(connection):
        from sqlalchemy.dialects import mysql

        mysql_insert = mysql.insert(table)
        return mysql_insert.on_duplicate_key_update({name: mysql_insert.inserted[name] for name in update})
    keys = [column.name for column in table.primary_key.columns]
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        pg_insert = postgresql.insert(table)
        return pg_insert.on_conflict_do_update(
            index_elements=keys, set_={name: pg_insert.excluded[name] for name in update}
        )
    from sqlalchemy.dialects import sqlite

    sqlite_insert = sqlite.insert(table)
    return sqlite_insert.on_conflict_do_update(
        index_elements=keys, set_={name: sqlite_insert.excluded[name] for name in update}
    )


def may_retry(error: DBAPIError) -> bool:
    """Say whether the database undid the transaction because of another one: the same work may be tried again."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate in _RETRY_SQLSTATES:
        return True
    arguments: tuple[object, ...] = getattr(error.orig, "args", ())
    return len(arguments) > 0 and arguments[0] in _RETRY_MYSQL_CODES
