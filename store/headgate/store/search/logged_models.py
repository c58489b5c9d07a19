"""Searching LoggedModels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Select

from headgate.store.database import Database
from headgate.store.entities import LifecycleStage, LoggedModel, Page
from headgate.store.errors import InvalidFilter, InvalidInput
from headgate.store.logged_model_rows import read_logged_models
from headgate.store.search.grammar import Comparison, parse_filter
from headgate.store.search.keyset import Sort, nullable_rank, read_positions
from headgate.store.search.matching import (
    Condition,
    metric_matches,
    number_matches,
    pair_matches,
    text_equals,
    text_matches,
)
from headgate.store.search.pages import Rank, check_max_results, make_page_token, parse_experiment_ids, read_page_token
from headgate.store.search.vocabulary import LOGGED_MODELS, Field, Kind, Unknown, Values
from headgate.store.tables import LoggedModelMetricRow, LoggedModelParamRow, LoggedModelRow, LoggedModelTagRow
from headgate.store.validation import shorten

MOST_LOGGED_MODELS = 50_000

MODEL = LoggedModelRow.__table__
METRIC = LoggedModelMetricRow.__table__
PAIRS = {
    Kind.PARAM: LoggedModelParamRow.__table__,
    Kind.TAG: LoggedModelTagRow.__table__,
}

_NULLABLE = {"model_type", "source_run_id", "status_message"}


@dataclass(frozen=True, slots=True)
class DatasetFilter:
    """Look only at metrics measured on this dataset; without a digest, on any of this name."""

    dataset_name: str
    dataset_digest: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedModelOrder:
    """Order by an attribute, or by the latest value of a metric (``metrics.f1``), perhaps on one dataset only."""

    field_name: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


def search_logged_models(
    database: Database,
    experiment_ids: Sequence[str],
    filter: str | None = None,  # noqa: A002  # MLflow's word
    *,
    datasets: Sequence[DatasetFilter] = (),
    order_by: Sequence[LoggedModelOrder] = (),
    max_results: int = 100,
    page_token: str | None = None,
    most: int = MOST_LOGGED_MODELS,
) -> Page[LoggedModel]:
    """Return one page of the LoggedModels of some experiments that match a filter.

    Args:
        experiment_ids: the experiments to look in; unknown ones hold no models.
        filter: such as ``metrics.f1 > 0.9 AND params.depth = '6' AND name = 'forest'``. A metric matches when any of
            its points does; NaN matches nothing but ``!=``. ``!=`` on a param or tag leaves out models without it.
        datasets: metrics of the filter count only when they were measured on one of these; without metrics in the
            filter, models that have any measured there.
        order_by: values first, then NaN, then models without, in both directions; ties, and no order, are the newest
            first and then by id. The latest point of a metric is that of the latest time, then the largest step.
        max_results: the most models of the page.
        page_token: ``next_page_token`` of the page before.
        most: the most that ``max_results`` may be.

    Raises:
        InvalidFilter: ``filter`` or ``order_by`` can't be read.
        InvalidInput: another argument is not valid, or the token belongs to another search.
    """
    check_max_results(max_results, most)
    experiments = parse_experiment_ids(experiment_ids)
    for dataset in datasets:
        if not dataset.dataset_name:
            raise InvalidInput("`dataset_name` in the `datasets` clause must be specified.", remedy="Name the dataset.")
    comparisons = parse_filter(filter, LOGGED_MODELS)
    orders = _orders(order_by)
    said_datasets = [[dataset.dataset_name, dataset.dataset_digest] for dataset in datasets]
    said_order = [[str(field), order.ascending, *_dataset(order)] for order, field in orders]
    query = ["logged models", experiments, filter or "", said_datasets, said_order]
    statement, sorts = _ordered(sa.select(MODEL.c.model_id), orders, database.dialect)
    behind = read_page_token(page_token, query, [sort.kind for sort in sorts])
    statement = statement.where(
        MODEL.c.experiment_id.in_(experiments),
        MODEL.c.lifecycle_stage == LifecycleStage.ACTIVE.value,
        *_conditions(comparisons, datasets, database.dialect),
    )
    if not experiments:
        return Page(())
    with database.read() as connection:
        found = read_positions(connection, statement, sorts, behind, max_results + 1)
        shown = found[:max_results]
        ids = [row.model_id for row, _ in shown]
        models = read_logged_models(connection, ids)
    items = tuple(models[model_id] for model_id in ids if model_id in models)
    return Page(items, make_page_token(query, shown[-1][1]) if len(found) > max_results else None)


def _orders(order_by: Sequence[LoggedModelOrder]) -> list[tuple[LoggedModelOrder, Field]]:
    orders: list[tuple[LoggedModelOrder, Field]] = []
    for order in order_by:
        # As in MLflow everything after the first dot is the key; it needs no quotes.
        entity, dot, key = order.field_name.partition(".")
        found = LOGGED_MODELS.find(entity, key.strip("`")) if dot else LOGGED_MODELS.find(None, order.field_name)
        if isinstance(found, Unknown):
            raise InvalidFilter(f"Invalid order by field name: {found.message}.", remedy=found.remedy, position=0)
        if found.kind not in LOGGED_MODELS.ordered:
            raise InvalidFilter(
                f"Invalid order by field name: {shorten(order.field_name)}.",
                remedy=f"Use {', '.join(LOGGED_MODELS.attributes)} or metrics.",
                position=0,
            )
        if any(found == field and _dataset(order) == _dataset(earlier) for earlier, field in orders):
            raise InvalidFilter(
                f"`order_by` contains duplicate fields: {found}.", remedy="Name each field once.", position=0
            )
        orders.append((order, found))
    return orders


def _dataset(order: LoggedModelOrder) -> tuple[str | None, str | None]:
    return order.dataset_name or None, order.dataset_digest or None


def _ordered(
    statement: Select[Any],
    orders: Sequence[tuple[LoggedModelOrder, Field]],
    dialect: str,
) -> tuple[Select[Any], list[Sort]]:
    source: sa.FromClause = MODEL
    sorts: list[Sort] = []
    for order, field in orders:
        if field.kind is Kind.METRIC:
            latest = METRIC.alias()
            source = source.outerjoin(latest, latest.c.metric_id == _latest_point(field.key, order, dialect))
            rank = sa.case(
                (latest.c.value.is_(None), int(Rank.MISSING)),
                (latest.c.is_nan == sa.true(), int(Rank.NAN)),
                else_=int(Rank.VALUE),
            )
            sorts.append(Sort(latest.c.value, float, order.ascending, rank))
        else:
            sorts.append(_attribute_sort(field.key, ascending=order.ascending))
    said = {field.key for _, field in orders if field.kind is Kind.ATTRIBUTE}
    if "creation_timestamp" not in said:
        sorts.append(_attribute_sort("creation_timestamp", ascending=False))
    if "model_id" not in said:
        sorts.append(_attribute_sort("model_id", ascending=True))
    return statement.select_from(source), sorts


def _attribute_sort(name: str, *, ascending: bool) -> Sort:
    column = MODEL.c[name]
    kind = str if LOGGED_MODELS.attributes[name].values is Values.TEXT else int
    return Sort(column, kind, ascending, nullable_rank(column) if name in _NULLABLE else None)


def _latest_point(key: str, order: LoggedModelOrder, dialect: str) -> sa.ScalarSelect[Any]:
    """Return the id of the latest point of a model's metric: one look into an index for each model.

    A window over all points would have to be joined to the models, which SQLite does in quadratic time.
    """
    point = METRIC.alias()
    points = sa.select(point.c.metric_id).where(point.c.model_id == MODEL.c.model_id, point.c.key == key)
    name, digest = _dataset(order)
    if name is not None:
        points = points.where(text_equals(point.c.dataset_name, name, dialect))
    if digest is not None:
        points = points.where(text_equals(point.c.dataset_digest, digest, dialect))
    newest_first = (point.c.timestamp.desc(), point.c.step.desc(), point.c.run_id.asc(), point.c.metric_id.desc())
    return points.order_by(*newest_first).limit(1).correlate(MODEL).scalar_subquery()


def _conditions(comparisons: Sequence[Comparison], datasets: Sequence[DatasetFilter], dialect: str) -> list[Condition]:
    conditions = [_condition(comparison, datasets, dialect) for comparison in comparisons]
    if datasets and all(comparison.field.kind is not Kind.METRIC for comparison in comparisons):
        row = METRIC.alias()
        conditions.append(sa.exists().where(row.c.model_id == MODEL.c.model_id, _on_any(row, datasets, dialect)))
    return conditions


def _condition(comparison: Comparison, datasets: Sequence[DatasetFilter], dialect: str) -> Condition:
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if field.kind is Kind.METRIC:
        row = METRIC.alias()
        here = [row.c.model_id == MODEL.c.model_id, row.c.key == field.key]
        if datasets:
            here.append(_on_any(row, datasets, dialect))
        return sa.exists().where(*here, metric_matches(row, operator, value))
    if field.kind in PAIRS:
        row = PAIRS[field.kind].alias()
        here = [row.c.model_id == MODEL.c.model_id, row.c.key == field.key]
        return sa.exists().where(*here, pair_matches(row, operator, value, dialect))
    column = MODEL.c[field.key]
    if LOGGED_MODELS.attributes[field.key].values is Values.TEXT:
        return text_matches(column, operator, value, dialect)
    return number_matches(column, operator, value)


def _on_any(row: sa.FromClause, datasets: Sequence[DatasetFilter], dialect: str) -> Condition:
    alternatives = []
    for dataset in datasets:
        same = text_equals(row.c.dataset_name, dataset.dataset_name, dialect)
        if dataset.dataset_digest:
            same = sa.and_(same, text_equals(row.c.dataset_digest, dataset.dataset_digest, dialect))
        alternatives.append(same)
    return sa.or_(*alternatives)
