"""Whatever MLflow's own parser reads, ours reads the same way."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.store.search.grammar import parse_filter
from headgate.store.search.order_by import parse_order_by
from headgate.store.search.vocabulary import RUNS

KINDS = {"metric": "metric", "parameter": "param", "tag": "tag", "attribute": "attribute", "dataset": "dataset"}
ATTRIBUTES = {"created": "start_time", "Created": "start_time", "run name": "run_name", "Run Name": "run_name"}


@pytest.fixture(scope="module")
def theirs() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that MLflow imports
        from mlflow.utils.search_utils import SearchUtils

    return SearchUtils


plain = st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z][a-z0-9_]{0,3}){0,2}", fullmatch=True).map("k_{}".format)
quoted = st.from_regex(r"[a-z ][a-z0-9 /:\-]{0,6}", fullmatch=True)
keys = st.one_of(plain, quoted.map("`{}`".format), quoted.map('"{}"'.format))
numbers = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6)).map(str)
inside = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"], exclude_characters="'\"\\;`"))
strings = st.one_of(inside.map("'{}'".format), inside.map('"{}"'.format))
spaces = st.sampled_from([" ", "  ", "\t", "\n"])
patterns = st.sampled_from(["=", "!=", "LIKE", "ILIKE"])


def comparison(fields: st.SearchStrategy[str], operators: Any, values: Any) -> st.SearchStrategy[str]:
    return st.builds("{}{}{}{}{}".format, fields, spaces, operators, spaces, values)


comparisons = st.one_of(
    comparison(
        st.builds("{}.{}".format, st.sampled_from(["metrics", "metric"]), keys),
        st.sampled_from([">", "<", ">=", "<=", "=", "!="]),
        numbers,
    ),
    comparison(
        st.builds("{}.{}".format, st.sampled_from(["params", "param", "parameters", "parameter", "tags", "tag"]), keys),
        patterns,
        strings,
    ),
    st.builds(
        "{}.{} {}".format, st.sampled_from(["params", "tags"]), keys, st.sampled_from(["IS NULL", "is not null"])
    ),
    comparison(st.sampled_from(["status", "attributes.run_name", "attr.`run name`", "user_id"]), patterns, strings),
    comparison(st.sampled_from(["start_time", "created", "run.end_time"]), st.just(">"), st.just("1790000000000")),
    comparison(st.sampled_from(["dataset.name", "datasets.digest", "dataset.context"]), patterns, strings),
    comparison(
        st.sampled_from(["run_id", "attributes.run_id", "dataset.name"]),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(inside, min_size=1, max_size=3).map(lambda items: f"({', '.join(map(repr, items))})"),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(comparisons, min_size=1, max_size=4).map(" AND ".join))
def test_filters_mean_what_they_mean_to_mlflow(theirs: Any, text: str) -> None:
    expected = [
        (
            KINDS[said["type"]],
            ATTRIBUTES.get(said["key"], said["key"]) if said["type"] == "attribute" else said["key"],
            said["comparator"].upper(),
            float(said["value"]) if said["type"] == "metric" else said["value"],
        )
        for said in theirs.parse_search_filter(text)
    ]

    read = [(c.field.kind.value, c.field.key, c.operator.value, c.value) for c in parse_filter(text, RUNS)]

    assert read == expected


def _ends_in_no_blank(name: str) -> bool:
    """MLflow drops blanks at the end of a quoted name in an order by, though not in a filter."""
    unquoted = name.strip('`"')
    return unquoted == unquoted.rstrip()


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.builds(
            "{}.{}{}".format,
            st.sampled_from(["metrics", "params", "tag"]),
            keys.filter(_ends_in_no_blank),
            st.sampled_from(["", " DESC"]),
        ),
        st.builds("`metrics.{}` ASC".format, quoted.filter(_ends_in_no_blank)),
        st.sampled_from(["start_time", "created DESC", "attribute.status asc", "run_id"]),
    )
)
def test_orders_mean_what_they_mean_to_mlflow(theirs: Any, clause: str) -> None:
    kind, key, ascending = theirs.parse_order_by_for_search_runs(clause)

    (read,) = parse_order_by([clause], RUNS)

    assert (read.field.kind.value, read.field.key, read.ascending) == (
        KINDS[kind],
        ATTRIBUTES.get(key, key) if kind == "attribute" else key,
        ascending,
    )
