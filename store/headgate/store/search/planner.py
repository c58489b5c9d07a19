"""What a search tells the databases' planners, which know less of it than it does itself.

Without statistics SQLite and MariaDB may start from the wrong table and then sort all of it: a join can say which of
its sides is read first. PostgreSQL, as long as it has not analysed a table, would rather read all of it than look up
a page's ids in an index; and it takes a key and its values for independent, expects to walk ten times as far as it has
to, and starts two processes for a query that ends within milliseconds.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.selectable import Join

_SPELLINGS = {"sqlite": "CROSS JOIN", "mysql": "STRAIGHT_JOIN", "mariadb": "STRAIGHT_JOIN"}


class OrderedJoin(Join):
    """An inner join, left side first."""

    inherit_cache = True


def join_in_order(left: FromClause, right: FromClause, on: ColumnElement[bool]) -> OrderedJoin:
    """Return the inner join of two tables that reads ``left`` first."""
    return OrderedJoin(left, right, on)


def look_up_by_index(connection: Connection) -> None:
    """Let PostgreSQL use indexes, wherever there are any, and one process only, for the rest of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"
        )


@compiles(OrderedJoin)
def _compile(join: OrderedJoin, compiler: Any, **options: Any) -> str:
    linter = options.get("from_linter")
    if linter is not None:  # or else SQLAlchemy warns of a cartesian product
        linter.edges.update(product(join.left._from_objects, join.right._from_objects))
    options["asfrom"] = True
    left = compiler.process(join.left, **options)
    right = compiler.process(join.right, **options)
    options["asfrom"] = False
    spelling = _SPELLINGS.get(compiler.dialect.name, "JOIN")
    return f"{left} {spelling} {right} ON {compiler.process(join.onclause, **options)}"
