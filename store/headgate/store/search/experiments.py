"""Searching experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE, Experiment, LifecycleStage, Page
from headgate.store.errors import InvalidFilter, InvalidInput
from headgate.store.experiments import EXPERIMENT, EXPERIMENT_TAG, read_experiments
from headgate.store.search.grammar import Comparison, parse_filter
from headgate.store.search.keyset import Sort, read_positions
from headgate.store.search.matching import Condition, number_matches, text_matches
from headgate.store.search.order_by import OrderBy, parse_order_by
from headgate.store.search.pages import check_max_results, make_page_token, read_page_token, stages_of
from headgate.store.search.vocabulary import EXPERIMENTS, Field, Kind, Operator, Values
from headgate.store.validation import parse_experiment_id

MOST_EXPERIMENTS = 50_000

_NEWEST_FIRST = (
    OrderBy(Field(Kind.ATTRIBUTE, "creation_time"), ascending=False),
    OrderBy(Field(Kind.ATTRIBUTE, "experiment_id")),
)


def search_experiments(
    database: Database,
    workspace: str = DEFAULT_WORKSPACE,
    filter: str | None = None,  # noqa: A002  # MLflow's word
    *,
    view_type: LifecycleStage | None = LifecycleStage.ACTIVE,
    order_by: Sequence[str] | None = None,
    max_results: int = 1000,
    page_token: str | None = None,
    most: int = MOST_EXPERIMENTS,
) -> Page[Experiment]:
    """Return one page of the experiments of a workspace that match a filter.

    Args:
        filter: such as ``name LIKE 'tumor%' AND tags.team = 'red'``.
        view_type: look at active or at deleted ones; None looks at both.
        order_by: name, experiment_id, creation_time or last_update_time; None is the newest first.
        max_results: the most experiments of the page.
        page_token: ``next_page_token`` of the page before.
        most: the most that ``max_results`` may be.

    Raises:
        InvalidFilter: ``filter`` or ``order_by`` can't be read.
        InvalidInput: another argument is not valid, or the token belongs to another search.
    """
    check_max_results(max_results, most)
    comparisons = parse_filter(filter, EXPERIMENTS)
    sorts = [_sort(order) for order in _order(order_by)]
    stages = stages_of(view_type)
    query = ["experiments", workspace, filter or "", stages, list(order_by or ())]
    behind = read_page_token(page_token, query, [sort.kind for sort in sorts])
    statement = sa.select(EXPERIMENT.c.experiment_id).where(
        EXPERIMENT.c.workspace == workspace,
        EXPERIMENT.c.lifecycle_stage.in_(stages),
        *(_condition(comparison, database.dialect) for comparison in comparisons),
    )
    with database.read() as connection:
        found = read_positions(connection, statement, sorts, behind, max_results + 1)
        shown = found[:max_results]
        numbers = [row.experiment_id for row, _ in shown]
        experiments = {
            e.experiment_id: e for e in read_experiments(connection, EXPERIMENT.c.experiment_id.in_(numbers))
        }
    items = tuple(experiments[str(number)] for number in numbers)
    return Page(items, make_page_token(query, shown[-1][1]) if len(found) > max_results else None)


def _order(order_by: Sequence[str] | None) -> Sequence[OrderBy]:
    said = parse_order_by(order_by, EXPERIMENTS) or _NEWEST_FIRST
    last = OrderBy(_NEWEST_FIRST[1].field, ascending=False)
    return said if any(order.field == last.field for order in said) else (*said, last)


def _sort(order: OrderBy) -> Sort:
    column = EXPERIMENT.c[order.field.key]
    return Sort(column, str if order.field.key == "name" else int, order.ascending)


def _condition(comparison: Comparison, dialect: str) -> Condition:
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if field.kind is Kind.TAG:
        return _tagged(comparison, dialect)
    column = EXPERIMENT.c[field.key]
    if field.key == "experiment_id":
        return _numbered(column, comparison)
    if EXPERIMENTS.attributes[field.key].values is Values.TEXT:
        return text_matches(column, operator, value, dialect)
    return number_matches(column, operator, value)


def _numbered(column: sa.ColumnElement[Any], comparison: Comparison) -> Condition:
    said = comparison.value if isinstance(comparison.value, tuple) else (str(comparison.value),)
    try:
        numbers = [parse_experiment_id(text) for text in said]
    except InvalidInput as error:
        raise InvalidFilter(error.message, remedy=error.remedy, position=comparison.position) from error
    among = column.in_(numbers)
    return among if comparison.operator in (Operator.EQUAL, Operator.IN) else sa.not_(among)


def _tagged(comparison: Comparison, dialect: str) -> Condition:
    here = sa.and_(
        EXPERIMENT_TAG.c.experiment_id == EXPERIMENT.c.experiment_id, EXPERIMENT_TAG.c.key == comparison.field.key
    )
    if comparison.operator is Operator.IS_NULL:
        return sa.not_(sa.exists().where(here))
    if comparison.operator is Operator.IS_NOT_NULL:
        return sa.exists().where(here)
    return sa.exists().where(here, text_matches(EXPERIMENT_TAG.c.value, comparison.operator, comparison.value, dialect))
