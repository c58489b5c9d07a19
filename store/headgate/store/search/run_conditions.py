"""What a search of runs demands, as SQL conditions: on a run, or on the row that an index finds it by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, FromClause, Select

from headgate.store.search.grammar import Comparison
from headgate.store.search.matching import (
    Condition,
    literal_prefix,
    metric_matches,
    number_matches,
    pair_matches,
    text_matches,
)
from headgate.store.search.pages import Rank
from headgate.store.search.vocabulary import RUNS, Field, Kind, Operator, Values
from headgate.store.tables import (
    DatasetInputRow,
    DatasetInputTagRow,
    DatasetRow,
    MetricSeriesRow,
    ParamRow,
    RunRow,
    RunTagRow,
)

RUN = RunRow.__table__
DATASET = DatasetRow.__table__
DATASET_INPUT = DatasetInputRow.__table__
DATASET_INPUT_TAG = DatasetInputTagRow.__table__
TABLES = {
    Kind.METRIC: MetricSeriesRow.__table__,
    Kind.PARAM: ParamRow.__table__,
    Kind.TAG: RunTagRow.__table__,
}

CONTEXT_TAG = "mlflow.data.context"

_COLUMNS = {"run_name": "name"}
_INDEXED_ON_RUN = {"run_id", "status"}
_BROAD = (Operator.NOT_EQUAL, Operator.LIKE, Operator.ILIKE, Operator.NOT_IN, Operator.IS_NULL, Operator.IS_NOT_NULL)


@dataclass(frozen=True)
class Demand:
    """One thing that a run must satisfy.

    Args:
        matches: the condition, on a row of ``source`` or on the run itself.
        source: the metric, param or tag that the condition is on; None for the run itself.
        absent: the run must have no such metric, param or tag; ``matches`` is not asked.
        ranks: where a run that satisfies it may stand when ``source`` orders the search.
        narrow: an index finds the runs that satisfy it, and they may be few.
    """

    matches: Callable[[FromClause], Condition]
    source: Field | None = None
    absent: bool = False
    ranks: frozenset[Rank] = frozenset(Rank)
    narrow: bool = False

    def on_run(self) -> Condition:
        """Return the condition on :data:`RUN`."""
        if self.source is None:
            return self.matches(RUN)
        row = TABLES[self.source.kind].alias()
        here = sa.and_(row.c.run_id == RUN.c.run_id, row.c.key == self.source.key)
        if self.absent:
            return sa.not_(sa.exists().where(here))
        return sa.exists().where(here, self.matches(row))

    def candidates(self, experiments: Sequence[int]) -> Select[Any]:
        """Return the ids of the runs of some experiments that satisfy it, by an index; each at most once."""
        if self.source is None:
            return sa.select(RUN.c.run_id).where(self.matches(RUN))
        row = TABLES[self.source.kind].alias()
        of_key = sa.and_(row.c.experiment_id.in_(experiments), row.c.key == self.source.key)
        return sa.select(row.c.run_id).where(of_key, self.matches(row))


def demand_of(comparison: Comparison, dialect: str) -> Demand:
    """Return what a comparison of a filter demands."""
    field, operator, value = comparison.field, comparison.operator, comparison.value
    narrow = operator not in _BROAD
    if field.kind is Kind.ATTRIBUTE:
        return Demand(_attribute(comparison, dialect), narrow=narrow and field.key in _INDEXED_ON_RUN)
    if field.kind is Kind.DATASET:
        return Demand(_dataset(comparison, dialect))
    if operator is Operator.IS_NULL:
        return Demand(lambda _: sa.true(), field, absent=True, ranks=frozenset({Rank.MISSING}))
    if field.kind is Kind.METRIC:
        ranks = {Rank.VALUE, Rank.NAN} if operator is Operator.NOT_EQUAL else {Rank.VALUE}
        return Demand(lambda row: metric_matches(row, operator, value), field, ranks=frozenset(ranks), narrow=narrow)
    return Demand(
        lambda row: pair_matches(row, operator, value, dialect),
        field,
        ranks=frozenset({Rank.VALUE}),
        narrow=narrow or bool(literal_prefix(operator, value)),
    )


def run_column(name: str) -> ColumnElement[Any]:
    """Return the column of an attribute of runs."""
    return RUN.c[_COLUMNS.get(name, name)]


def _attribute(comparison: Comparison, dialect: str) -> Callable[[FromClause], Condition]:
    column = run_column(comparison.field.key)
    if RUNS.attributes[comparison.field.key].values is Values.TEXT:
        matched = text_matches(column, comparison.operator, comparison.value, dialect)
    else:
        matched = number_matches(column, comparison.operator, comparison.value)
    return lambda _: matched


def _dataset(comparison: Comparison, dialect: str) -> Callable[[FromClause], Condition]:
    """Match a run with any one dataset that matches."""
    of_run = DATASET_INPUT.c.run_id == RUN.c.run_id
    if comparison.field.key == "context":
        tag = DATASET_INPUT_TAG
        any_input = sa.exists().where(
            tag.c.run_id == RUN.c.run_id,
            tag.c.key == CONTEXT_TAG,
            text_matches(tag.c.value, comparison.operator, comparison.value, dialect),
        )
    else:
        column = DATASET.c[comparison.field.key]
        any_input = sa.exists().where(
            of_run,
            DATASET.c.dataset_id == DATASET_INPUT.c.dataset_id,
            text_matches(column, comparison.operator, comparison.value, dialect),
        )
    return lambda _: any_input
