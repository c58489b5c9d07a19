"""``column IN (…)`` for any number of values.

SQLite takes at most 32,766 bound values in a statement and PostgreSQL 65,535, while a page may hold 50,000 runs; and
each value that is bound costs as much time as the row that it finds. There a whole set is one bound value.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.store.dialects import is_mysql, is_sqlite


def is_one_of(connection: Connection, column: sa.ColumnElement[str], values: Collection[str]) -> sa.ColumnElement[bool]:
    """Return the condition that ``column`` has one of ``values``."""
    if is_mysql(connection):
        return column.in_(list(values))
    return _is_in(connection, column, sa.literal(set_parameter(connection, values), _set_type(connection)))


def is_in_parameter(connection: Connection, column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Return the condition that ``column`` is in the set bound under ``name`` (:func:`set_parameter`); not on MySQL."""
    return _is_in(connection, column, sa.bindparam(name, type_=_set_type(connection)))


def set_parameter(connection: Connection, values: Collection[str]) -> Any:
    """Return a set as the one value that is bound for it; not on MySQL."""
    return json.dumps(list(values)) if is_sqlite(connection) else list(values)


def _is_in(
    connection: Connection, column: sa.ColumnElement[str], parameter: sa.BindParameter[Any]
) -> sa.ColumnElement[bool]:
    if is_sqlite(connection):
        return column.in_(sa.select(sa.func.json_each(parameter).table_valued("value").c.value))
    return column == sa.any_(parameter)


def _set_type(connection: Connection) -> sa.types.TypeEngine[Any]:
    return sa.String() if is_sqlite(connection) else sa.ARRAY(sa.String)
