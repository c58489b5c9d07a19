"""The order of a search of runs, as levels: what is ordered by, then start time, newest first, then the id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, FromClause

from headgate.store.search.keyset import Sort
from headgate.store.search.matching import Condition, bytewise, text_equals
from headgate.store.search.order_by import OrderBy
from headgate.store.search.pages import Mark, Position, Rank
from headgate.store.search.run_conditions import TABLES, Demand, run_column
from headgate.store.search.vocabulary import RUNS, Field, Kind, Values

_START_TIME = Field(Kind.ATTRIBUTE, "start_time")
_RUN_ID = Field(Kind.ATTRIBUTE, "run_id")
_NEVER_MISSING = {"run_id", "run_name", "status", "user_id", "artifact_uri", "start_time"}


@dataclass(frozen=True, slots=True)
class Level:
    """One level of an order. Params and tags are ordered by the indexed head of their values."""

    field: Field
    ascending: bool

    @property
    def on_run(self) -> bool:
        """Whether it is a column of the run itself."""
        return self.field.kind is Kind.ATTRIBUTE

    @property
    def is_start_time(self) -> bool:
        return self.field == _START_TIME

    @property
    def kind(self) -> type:
        """The type of its values."""
        if self.field.kind is Kind.METRIC:
            return float
        if self.on_run and RUNS.attributes[self.field.key].values is Values.NUMBER:
            return int
        return str

    @property
    def ranks(self) -> frozenset[Rank]:
        """Where runs may stand."""
        if self.field.kind is Kind.METRIC:
            return frozenset(Rank)
        if self.field.key in _NEVER_MISSING and self.on_run:
            return frozenset({Rank.VALUE})
        return frozenset({Rank.VALUE, Rank.MISSING})

    def column(self, row: FromClause | None) -> ColumnElement[Any]:
        """Return its column: of ``row`` (a metric, param or tag), or of the run."""
        if self.on_run:
            return run_column(self.field.key)
        assert row is not None
        return row.c["value" if self.field.kind is Kind.METRIC else "value_head"]

    def rank(self, row: FromClause | None) -> ColumnElement[int]:
        """Return the rank of a run whose ``row`` was looked up by an outer join."""
        missing = (self.column(row).is_(None), int(Rank.MISSING))
        if self.field.kind is Kind.METRIC:
            assert row is not None
            return sa.case(missing, (row.c.is_nan == sa.true(), int(Rank.NAN)), else_=int(Rank.VALUE))
        return sa.case(missing, else_=int(Rank.VALUE))

    def sort(self, row: FromClause | None) -> Sort:
        """Return it as a sort of a statement that holds every run of the search."""
        return Sort(self.column(row), self.kind, self.ascending, self.rank(row) if len(self.ranks) > 1 else None)

    def has_value(self, row: FromClause | None) -> Condition:
        """Match what stands under :attr:`Rank.VALUE`."""
        if self.field.kind is Kind.METRIC:
            assert row is not None
            number: Condition = row.c.is_nan == sa.false()
            return number
        if self.on_run and self.field.key not in _NEVER_MISSING:
            return self.column(row).is_not(None)
        return sa.true()

    def sorted_by(self, row: FromClause | None, dialect: str) -> ColumnElement[Any]:
        column = self._compared(row, dialect)
        return column.asc() if self.ascending else column.desc()

    def behind(self, row: FromClause | None, value: Any, dialect: str) -> Condition:
        """Match the values that come after ``value``."""
        column = self._compared(row, dialect)
        behind: Condition = column > value if self.ascending else column < value
        return behind

    def standing_at(self, mark: Mark, dialect: str) -> Demand:
        """Return the demand to stand exactly there: what runs that tie have in common."""
        rank, value = mark
        if self.on_run:
            column = run_column(self.field.key)
            if rank is Rank.MISSING:
                return Demand(lambda _: column.is_(None))
            same = text_equals(column, value, dialect) if self.kind is str else column == value
            return Demand(lambda _: same)
        if rank is Rank.MISSING:
            return Demand(lambda _: sa.true(), self.field, absent=True)
        if rank is Rank.NAN:
            return Demand(lambda row: row.c.is_nan == sa.true(), self.field, narrow=True)
        return Demand(lambda row: sa.and_(self.has_value(row), self.column(row) == value), self.field, narrow=True)

    def _compared(self, row: FromClause | None, dialect: str) -> ColumnElement[Any]:
        column = self.column(row)
        return bytewise(column, dialect) if self.on_run and self.kind is str else column

    def row(self) -> FromClause | None:
        """Return a new alias of the table that its values stand in; None for the run itself."""
        return None if self.on_run else TABLES[self.field.kind].alias()


def levels_of(order_by: Sequence[OrderBy]) -> tuple[Level, ...]:
    """Return the levels of an order; the last one is the id, so no two runs tie."""
    levels: list[Level] = []
    for order in (*order_by, OrderBy(_START_TIME, ascending=False), OrderBy(_RUN_ID)):
        if all(order.field != level.field for level in levels):
            levels.append(Level(order.field, order.ascending))
        if order.field == _RUN_ID:
            break
    return tuple(levels)


def sort_positions(positions: Iterable[Position], levels: Sequence[Level]) -> list[Position]:
    """Return positions in order."""
    ordered = list(positions)
    # From the least important to the most: Python's sort keeps what ties in the order it had.
    for index in reversed(range(len(levels))):
        neutral = levels[index].kind()

        def value_of(position: Position, index: int = index, neutral: Any = neutral) -> Any:
            rank, value = position[index]
            return value if rank is Rank.VALUE else neutral

        ordered.sort(key=value_of, reverse=not levels[index].ascending)
        ordered.sort(key=lambda position, index=index: position[index][0])  # type: ignore[misc]
    return ordered
