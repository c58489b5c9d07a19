"""How a column matches a comparison, meaning the same on every database. Values are always bound, never spliced.

Text is compared by its bytes. MySQL and MariaDB take ``'a'`` and ``'a '`` for equal and PostgreSQL orders by the
database's language; both are told otherwise here. LIKE knows ``%`` and ``_`` and no escape.
"""

from __future__ import annotations

import operator as operators
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from headgate.store.metric_values import encode_value
from headgate.store.search.grammar import Value
from headgate.store.search.vocabulary import Operator
from headgate.store.tables.base import VALUE_HEAD_LENGTH, value_head
from headgate.store.validation import MAX_INT64, MIN_INT64

Condition = ColumnElement[bool]

_MYSQL = ("mysql", "mariadb")
_ESCAPE = "|"
_COMPARE = {
    Operator.EQUAL: operators.eq,
    Operator.NOT_EQUAL: operators.ne,
    Operator.LESS: operators.lt,
    Operator.LESS_OR_EQUAL: operators.le,
    Operator.GREATER: operators.gt,
    Operator.GREATER_OR_EQUAL: operators.ge,
}


def bytewise(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return a text column as it has to be ordered and compared with ``<`` and ``>``."""
    if dialect == "postgresql":
        return sa.collate(column, "C")
    if dialect in _MYSQL:
        return sa.type_coerce(sa.cast(column, sa.LargeBinary), sa.String)
    return column


def text_equals(column: ColumnElement[Any], value: str, dialect: str) -> Condition:
    """Match a text column that equals ``value`` byte by byte; an index on the column is used."""
    if dialect in _MYSQL:
        return sa.and_(column == value, sa.func.binary(column) == value)
    return column == value


def text_matches(column: ColumnElement[Any], operator: Operator, value: Value, dialect: str) -> Condition:
    """Match a text column; a NULL matches nothing."""
    if operator is Operator.EQUAL:
        return text_equals(column, str(value), dialect)
    if operator is Operator.NOT_EQUAL:
        return sa.not_(text_equals(column, str(value), dialect))
    if isinstance(value, tuple):
        among: Condition = column.in_(value)
        if dialect in _MYSQL:
            among = sa.and_(among, sa.func.binary(column).in_(value))
        return among if operator is Operator.IN else sa.not_(among)
    # The databases' own escape characters differ; this one is named, and then escapes nothing but itself.
    pattern = str(value).replace(_ESCAPE, 2 * _ESCAPE)
    if operator is Operator.LIKE:
        return column.like(pattern, escape=_ESCAPE)
    return column.ilike(pattern, escape=_ESCAPE)


def pair_matches(row: sa.FromClause, operator: Operator, value: Value, dialect: str) -> Condition:
    """Match the row of a param or tag by its ``value``, through the index on ``value_head`` where it can be."""
    if operator is Operator.IS_NOT_NULL:
        return sa.true()
    if operator is Operator.EQUAL:
        return _pair_equals(row, str(value), dialect)
    if operator is Operator.NOT_EQUAL:
        return sa.not_(_pair_equals(row, str(value), dialect))
    matched = text_matches(row.c.value, operator, value, dialect)
    prefix = literal_prefix(operator, value)
    if not prefix:
        return matched
    # The index knows where values of this prefix stand.
    within = [row.c.value_head >= prefix]
    end = _after_every(prefix)
    if end is not None:
        within.append(row.c.value_head < end)
    return sa.and_(*within, matched)


def literal_prefix(operator: Operator, value: Value) -> str:
    """Return what every value begins with that a LIKE pattern matches; empty for anything else."""
    if operator is not Operator.LIKE or not isinstance(value, str):
        return ""
    return value_head(re.split("[%_]", value, maxsplit=1)[0])


def _after_every(prefix: str) -> str | None:
    """Return the least text after all that begins with a prefix; None when there is none."""
    last = ord(prefix[-1])
    if last == 0x10FFFF:
        return None
    # Surrogates are no characters: what follows the one before them is the one behind them.
    return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)


def _pair_equals(row: sa.FromClause, value: str, dialect: str) -> Condition:
    by_head: Condition = row.c.value_head == value_head(value)
    if len(value) < VALUE_HEAD_LENGTH:
        return by_head
    return sa.and_(by_head, text_equals(row.c.value, value, dialect))


def number_matches(column: ColumnElement[Any], operator: Operator, value: Value) -> Condition:
    """Match a column of whole numbers; a NULL matches nothing."""
    number: Any = value
    if not MIN_INT64 <= number <= MAX_INT64:
        number = encode_value(float(number))[0]  # more than any column of these holds, and than drivers bind
    # Said in full: a driver may take a small number for 32 bits, and then a larger one of the column's is an error.
    bound = sa.literal(number, sa.Double if isinstance(number, float) else sa.BigInteger)
    matched: Condition = _COMPARE[operator](column, bound)
    return matched


def metric_matches(row: sa.FromClause, operator: Operator, value: Value) -> Condition:
    """Match the row of a metric: NaN only ever differs."""
    number, _ = encode_value(float(value))  # type: ignore[arg-type]  # the grammar gives numbers to metrics
    matched: Condition = _COMPARE[operator](row.c.value, sa.literal(number, sa.Double))
    if operator is Operator.NOT_EQUAL:
        return sa.or_(matched, row.c.is_nan == sa.true())
    return sa.and_(row.c.is_nan == sa.false(), matched)
