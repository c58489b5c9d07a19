"""Pages of a statement by key: its order, and the condition that continues behind a position.

For what there are thousands of, not millions: the database sorts what the filter leaves. Runs have a walk of their own
(:mod:`headgate.store.search.run_walk`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row, Select

from headgate.store.search.matching import Condition, bytewise
from headgate.store.search.pages import Mark, Position, Rank


@dataclass(frozen=True)
class Sort:
    """One level of an order.

    Args:
        column: its values.
        kind: the type of them: ``str``, ``int`` or ``float``.
        rank: where objects stand that may have no value; None when all have one.
    """

    column: ColumnElement[Any]
    kind: type
    ascending: bool = True
    rank: ColumnElement[int] | None = None

    def compared(self, dialect: str) -> ColumnElement[Any]:
        return bytewise(self.column, dialect) if self.kind is str else self.column

    def order(self, dialect: str) -> list[ColumnElement[Any]]:
        compared = self.compared(dialect)
        directed = compared.asc() if self.ascending else compared.desc()
        return [directed] if self.rank is None else [self.rank.asc(), directed]

    def at(self, mark: Mark, dialect: str) -> Condition:
        """Match what stands at a mark."""
        rank, value = mark
        here: Condition = self.rank == int(rank) if self.rank is not None else sa.true()
        return sa.and_(here, self.compared(dialect) == value) if rank is Rank.VALUE else here

    def behind(self, mark: Mark, dialect: str) -> Condition:
        """Match what comes after a mark."""
        rank, value = mark
        later: Condition = self.rank > int(rank) if self.rank is not None else sa.false()
        if rank is not Rank.VALUE:
            return later
        compared = self.compared(dialect)
        beyond: Condition = compared > value if self.ascending else compared < value
        same_rank: Condition = self.rank == int(rank) if self.rank is not None else sa.true()
        return sa.or_(later, sa.and_(same_rank, beyond))


def nullable_rank(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the rank of a column that may be NULL."""
    return sa.case((column.is_(None), int(Rank.MISSING)), else_=int(Rank.VALUE))


def read_positions(
    connection: Connection,
    statement: Select[Any],
    sorts: Sequence[Sort],
    behind: Position | None,
    limit: int,
) -> list[tuple[Row[Any], Position]]:
    """Return the first rows of a statement behind a position, each with its own.

    Args:
        sorts: the order; its last level must tell all rows apart.
    """
    dialect = connection.dialect.name
    marks: list[Any] = []
    for sort in sorts:
        marks += (sa.literal(int(Rank.VALUE), sa.Integer) if sort.rank is None else sort.rank, sort.column)
    width = len(statement.selected_columns)
    statement = statement.add_columns(*marks).order_by(*(part for sort in sorts for part in sort.order(dialect)))
    if behind is not None:
        statement = statement.where(_behind(sorts, behind, dialect))
    found: list[tuple[Row[Any], Position]] = []
    for row in connection.execute(statement.limit(limit)):
        pairs = zip(row[width::2], row[width + 1 :: 2], strict=True)
        found.append((row, tuple((Rank(rank), value if rank == Rank.VALUE else None) for rank, value in pairs)))
    return found


def _behind(sorts: Sequence[Sort], position: Position, dialect: str) -> Condition:
    alternatives: list[Condition] = []
    before: list[Condition] = []
    for sort, mark in zip(sorts, position, strict=True):
        alternatives.append(sa.and_(*before, sort.behind(mark, dialect)))
        before.append(sort.at(mark, dialect))
    condition = sa.or_(*alternatives)
    if sorts[0].rank is not None or len(sorts) == 1:
        return condition
    # Says nothing new, but an index on the first level can start there.
    first, value = sorts[0].compared(dialect), position[0][1]
    return sa.and_(first >= value if sorts[0].ascending else first <= value, condition)
