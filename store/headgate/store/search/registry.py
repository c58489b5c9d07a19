"""Searching the registry: registered models, and their versions.

MLflow keeps prompts as registered models with a tag. As there, a search sees none of them unless its filter asks for
that tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE, ModelVersion, Page, RegisteredModel
from headgate.store.registry.models import read_models
from headgate.store.registry.versions import read_versions
from headgate.store.search.grammar import Comparison, parse_filter
from headgate.store.search.keyset import Sort, read_positions
from headgate.store.search.matching import Condition, number_matches, text_equals, text_matches
from headgate.store.search.order_by import OrderBy, parse_order_by
from headgate.store.search.pages import check_max_results, make_page_token, read_page_token
from headgate.store.search.vocabulary import (
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    Field,
    Kind,
    Operator,
    Values,
    Vocabulary,
)
from headgate.store.tables import ModelVersionRow, ModelVersionTagRow, RegisteredModelRow, RegisteredModelTagRow

MOST_REGISTERED_MODELS = 1000
MOST_MODEL_VERSIONS = 200_000
PROMPT_TAG = "mlflow.prompt.is_prompt"

MODEL = RegisteredModelRow.__table__
MODEL_TAG = RegisteredModelTagRow.__table__
VERSION = ModelVersionRow.__table__
VERSION_TAG = ModelVersionTagRow.__table__

_COLUMNS = {"version_number": "version", "source_path": "source"}
_BY_NAME = OrderBy(Field(Kind.ATTRIBUTE, "name"))
_BY_VERSION = OrderBy(Field(Kind.ATTRIBUTE, "version_number"), ascending=False)


def search_registered_models(
    database: Database,
    workspace: str = DEFAULT_WORKSPACE,
    filter: str | None = None,  # noqa: A002  # MLflow's word
    *,
    order_by: Sequence[str] | None = None,
    max_results: int = 100,
    page_token: str | None = None,
    most: int = MOST_REGISTERED_MODELS,
) -> Page[RegisteredModel]:
    """Return one page of the registered models of a workspace that match a filter.

    Args:
        filter: such as ``name ILIKE '%tumor%' AND tags.team = 'red'``.
        order_by: name, last_updated_timestamp (or timestamp) or creation_timestamp; None is by name.
        max_results: the most models of the page.
        page_token: ``next_page_token`` of the page before.
        most: the most that ``max_results`` may be.

    Raises:
        InvalidFilter: ``filter`` or ``order_by`` can't be read.
        InvalidInput: another argument is not valid, or the token belongs to another search.
    """
    check_max_results(max_results, most)
    comparisons = parse_filter(filter, REGISTERED_MODELS)
    sorts = _sorts(order_by, REGISTERED_MODELS, MODEL, _BY_NAME)
    query = ["registered models", workspace, filter or "", list(order_by or ())]
    behind = read_page_token(page_token, query, [sort.kind for sort in sorts])
    conditions = _conditions(comparisons, MODEL, MODEL_TAG, REGISTERED_MODELS, database.dialect)
    statement = sa.select(MODEL.c.name).where(MODEL.c.workspace == workspace, *conditions)
    with database.read() as connection:
        found = read_positions(connection, statement, sorts, behind, max_results + 1)
        shown = found[:max_results]
        names = [row.name for row, _ in shown]
        models = read_models(connection, workspace, names)
    items = tuple(models[name] for name in names)
    return Page(items, make_page_token(query, shown[-1][1]) if len(found) > max_results else None)


def search_model_versions(
    database: Database,
    workspace: str = DEFAULT_WORKSPACE,
    filter: str | None = None,  # noqa: A002  # MLflow's word
    *,
    order_by: Sequence[str] | None = None,
    max_results: int = 10_000,
    page_token: str | None = None,
    most: int = MOST_MODEL_VERSIONS,
) -> Page[ModelVersion]:
    """Return one page of the model versions of a workspace that match a filter.

    Args:
        filter: such as ``name = 'tumor' AND version_number > 3 AND run_id IN ('…')``.
        order_by: name, version_number, creation_timestamp or last_updated_timestamp; ties and None are by name, and
            then the newest version first.
        max_results: the most versions of the page.
        page_token: ``next_page_token`` of the page before.
        most: the most that ``max_results`` may be.

    Raises:
        InvalidFilter: ``filter`` or ``order_by`` can't be read.
        InvalidInput: another argument is not valid, or the token belongs to another search.
    """
    check_max_results(max_results, most)
    comparisons = parse_filter(filter, MODEL_VERSIONS)
    sorts = _sorts(order_by, MODEL_VERSIONS, VERSION, _BY_NAME, _BY_VERSION)
    query = ["model versions", workspace, filter or "", list(order_by or ())]
    behind = read_page_token(page_token, query, [sort.kind for sort in sorts])
    conditions = _conditions(comparisons, VERSION, VERSION_TAG, MODEL_VERSIONS, database.dialect)
    statement = sa.select(VERSION.c.name, VERSION.c.version).where(VERSION.c.workspace == workspace, *conditions)
    with database.read() as connection:
        found = read_positions(connection, statement, sorts, behind, max_results + 1)
        shown = found[:max_results]
        keys = [(str(row.name), int(row.version)) for row, _ in shown]
        versions = read_versions(connection, workspace, keys)
    items = tuple(versions[key] for key in keys)
    return Page(items, make_page_token(query, shown[-1][1]) if len(found) > max_results else None)


def _sorts(
    order_by: Sequence[str] | None, vocabulary: Vocabulary, table: sa.Table, *tie_breakers: OrderBy
) -> list[Sort]:
    orders = list(parse_order_by(order_by, vocabulary))
    orders += [order for order in tie_breakers if all(order.field != said.field for said in orders)]
    return [
        Sort(_column(table, order.field), str if order.field.key == "name" else int, order.ascending)
        for order in orders
    ]


def _column(table: sa.Table, field: Field) -> sa.ColumnElement[Any]:
    return table.c[_COLUMNS.get(field.key, field.key)]


def _conditions(
    comparisons: Sequence[Comparison], table: sa.Table, tags: sa.Table, vocabulary: Vocabulary, dialect: str
) -> list[Condition]:
    if _asks_for_prompts(comparisons):
        return [_condition(comparison, table, tags, vocabulary, dialect) for comparison in comparisons]
    others = [comparison for comparison in comparisons if not _is_of_prompts(comparison)]
    prompts = [sa.not_(_is_prompt(table, tagged, dialect)) for tagged in dict.fromkeys((MODEL_TAG, tags))]
    return [*prompts, *(_condition(comparison, table, tags, vocabulary, dialect) for comparison in others)]


def _is_prompt(table: sa.Table, tags: sa.Table, dialect: str) -> Condition:
    """Match what carries the tag of prompts: the object itself, or the registered model of a version."""
    row = tags.alias()
    return sa.exists().where(
        *_of_object(row, table, tags), row.c.key == PROMPT_TAG, text_equals(row.c.value, "true", dialect)
    )


def _of_object(row: sa.FromClause, table: sa.Table, tags: sa.Table) -> list[Condition]:
    """Match the rows of ``tags`` that belong to an object of ``table``, or to its registered model."""
    return [row.c[column.name] == table.c[column.name] for column in tags.primary_key if column.name != "key"]


def _is_of_prompts(comparison: Comparison) -> bool:
    return comparison.field == Field(Kind.TAG, PROMPT_TAG)


def _asks_for_prompts(comparisons: Sequence[Comparison]) -> bool:
    for comparison in comparisons:
        if _is_of_prompts(comparison):
            said = comparison.operator, str(comparison.value).lower()
            return said in ((Operator.EQUAL, "true"), (Operator.NOT_EQUAL, "false"))
    return False


def _condition(
    comparison: Comparison, table: sa.Table, tags: sa.Table, vocabulary: Vocabulary, dialect: str
) -> Condition:
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if field.kind is Kind.TAG:
        row = tags.alias()
        return sa.exists().where(
            *_of_object(row, table, tags), row.c.key == field.key, text_matches(row.c.value, operator, value, dialect)
        )
    column = _column(table, field)
    if vocabulary.attributes[field.key].values is Values.TEXT:
        return text_matches(column, operator, value, dialect)
    return number_matches(column, operator, value)
