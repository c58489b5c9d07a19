"""The language of searches: what it reads, and that every mistake is named with its place and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.errors import InvalidFilter
from headgate.store.search.grammar import MAX_COMPARISONS, Comparison, Value, parse_filter
from headgate.store.search.order_by import OrderBy, parse_order_by
from headgate.store.search.vocabulary import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Field,
    Kind,
    Operator,
    Vocabulary,
)

VOCABULARIES = (RUNS, EXPERIMENTS, REGISTERED_MODELS, MODEL_VERSIONS, LOGGED_MODELS)


def read(text: str, vocabulary: Vocabulary = RUNS) -> tuple[str, str, str, Value]:
    (comparison,) = parse_filter(text, vocabulary)
    return comparison.field.kind.value, comparison.field.key, comparison.operator.value, comparison.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.a > 1", ("metric", "a", ">", 1)),
        ("metric.a>=-1.5e-3", ("metric", "a", ">=", -0.0015)),
        ("metrics.a.b.c = .5", ("metric", "a.b.c", "=", 0.5)),
        ("metrics.0a < 1.", ("metric", "0a", "<", 1.0)),
        ("metrics.é != +2E2", ("metric", "é", "!=", 200.0)),
        ("metrics.`a b/c` <= 1e999", ("metric", "a b/c", "<=", float("inf"))),
        ('metrics."a b" = 99999999999999999999', ("metric", "a b", "=", 1e20)),
        ("`metrics`.a = 1", ("metric", "a", "=", 1)),
        ("params.a = 'x'", ("param", "a", "=", "x")),
        ('parameter.a = "x"', ("param", "a", "=", "x")),
        ("parameters.a != ''", ("param", "a", "!=", "")),
        ("param.a = 'x''y'", ("param", "a", "=", "x''y")),
        (r"params.a = 'x\'y'", ("param", "a", "=", r"x\'y")),
        ('params.a = "it\'s"', ("param", "a", "=", "it's")),
        ("params.a like 'x%'", ("param", "a", "LIKE", "x%")),
        ("params.a ILike 'X_'", ("param", "a", "ILIKE", "X_")),
        ("params.a is  null", ("param", "a", "IS NULL", None)),
        ("tags.`mlflow.source.name` IS NOT NULL", ("tag", "mlflow.source.name", "IS NOT NULL", None)),
        ("tag.mlflow.source.name = 'x'", ("tag", "mlflow.source.name", "=", "x")),
        ("status='FINISHED'", ("attribute", "status", "=", "FINISHED")),
        ("attr.run_id not in ('a', \"b\",)", ("attribute", "run_id", "NOT IN", ("a", "b"))),
        ("run.run_name = 'x'", ("attribute", "run_name", "=", "x")),
        ("attributes.`Run name` = 'x'", ("attribute", "run_name", "=", "x")),
        ("`run name` = 'x'", ("attribute", "run_name", "=", "x")),
        ("Created > 5", ("attribute", "start_time", ">", 5)),
        ("attribute.end_time <= 5.5", ("attribute", "end_time", "<=", 5.5)),
        ("dataset.name = 'd'", ("dataset", "name", "=", "d")),
        ("datasets.context IN ('train')", ("dataset", "context", "IN", ("train",))),
        ("params.select = 'AND'", ("param", "select", "=", "AND")),
    ],
)
def test_runs_are_searched_in_mlflows_words(text: str, expected: tuple[str, str, str, Value]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("vocabulary", "text", "expected"),
    [
        (EXPERIMENTS, "experiment_id IN ('1', '2')", ("attribute", "experiment_id", "IN", ("1", "2"))),
        (EXPERIMENTS, "creation_time > 5", ("attribute", "creation_time", ">", 5)),
        (REGISTERED_MODELS, "name NOT IN ('a')", ("attribute", "name", "NOT IN", ("a",))),
        (MODEL_VERSIONS, "version_number >= '3'", ("attribute", "version_number", ">=", 3)),
        (MODEL_VERSIONS, "version_number >= 3", ("attribute", "version_number", ">=", 3)),
        (MODEL_VERSIONS, "source_path LIKE 's3%'", ("attribute", "source_path", "LIKE", "s3%")),
        (LOGGED_MODELS, "creation_timestamp_ms > 5", ("attribute", "creation_timestamp", ">", 5)),
        (LOGGED_MODELS, "params.a IN ('x')", ("param", "a", "IN", ("x",))),
        (LOGGED_MODELS, "model_type = 'agent'", ("attribute", "model_type", "=", "agent")),
    ],
)
def test_other_objects_have_words_of_their_own(
    vocabulary: Vocabulary, text: str, expected: tuple[str, str, str, Value]
) -> None:
    assert read(text, vocabulary) == expected


def test_comparisons_are_joined_by_and() -> None:
    text = "metrics.a > 0.5 AND params.b='x'and tags.c IS NULL\n And run_id IN ('1')"

    comparisons = parse_filter(text, RUNS)

    assert [str(comparison.field) for comparison in comparisons] == ["metrics.a", "params.b", "tags.c", "run_id"]
    assert [comparison.position for comparison in comparisons] == [0, 20, 36, 56]


@pytest.mark.parametrize("text", [None, "", "  ", "\n\t"])
def test_no_filter_asks_for_nothing(text: str | None) -> None:
    assert parse_filter(text, RUNS) == ()


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("metrics.a", 9, "no comparator"),
        ("metrics.a >", 11, "is missing"),
        ("metrics. > 1", 8, "key is missing"),
        ("metrics.`` > 1", 10, "key is missing"),
        ("metrics.a > 'x'", 12, "Expected numeric value"),
        ("metrics.a > 0x10", 12, "Expected numeric value"),
        ("metrics.a > 1.2.3", 12, "Expected numeric value"),
        ("metrics.a > nan", 12, "Expected numeric value"),
        ("metrics.a == 1", 10, "Invalid comparator '=='"),
        ("metrics.a <> 1", 10, "Invalid comparator '<>'"),
        ("metrics.a LIKE 'x'", 10, "can't be compared with LIKE"),
        ("metrics.a-b > 1", 9, "comparator has to stand here"),
        ("Metrics.a > 1", 0, "Invalid entity type 'Metrics'"),
        ("a > 1", 0, "Invalid attribute key 'a'"),
        ("params.a > '1'", 9, "can't be compared with >"),
        ("params.a = x", 11, "Expected a quoted string"),
        ("params.a = 'x", 11, "Expected a quoted string"),
        ("params.a = 5", 11, "Expected a quoted string"),
        ("params.a IN ('x')", 9, "can't be compared with IN"),
        ("status IN ('x')", 7, "can't be compared with IN"),
        ("run_id IN 'x'", 10, "needs a list"),
        ("run_id IN ()", 11, "at least one"),
        ("run_id IN (,)", 11, "at least one"),
        ("run_id IN ('a' 'b')", 15, "commas"),
        ("run_id IN ('a', 5)", 16, "quoted strings"),
        ("run_id IN ('a'", 14, "commas"),
        ("dataset.size = 'x'", 0, "Invalid dataset key"),
        ("metrics.a > 1 OR metrics.b > 1", 14, "OR is not supported"),
        ("metrics.a > 1 metrics.b > 1", 14, "joined by AND"),
        ("metrics.a > 1 AND", 17, "missing after AND"),
        ("AND metrics.a > 1", 0, "missing before AND"),
        ("(metrics.a > 1)", 0, "Parentheses"),
        ("metrics.a > 1; DROP TABLE x", 13, "joined by AND"),
        ("metrics.a > 1 -- x", 14, "joined by AND"),
        ("params.a = 'x\0'", 13, "No database can hold"),
        ("start_time > '5'", 13, "Expected numeric value"),
        ("params.a IS 5", 9, "comparator has to stand here"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_remedy(text: str, position: int, said: str) -> None:
    with pytest.raises(InvalidFilter, match=said) as mistake:
        parse_filter(text, RUNS)

    assert mistake.value.position == position
    assert f"at character {position + 1} of" in mistake.value.message
    assert mistake.value.remedy
    assert mistake.value.exit_code == 2


@pytest.mark.parametrize(
    ("vocabulary", "text", "said"),
    [
        (EXPERIMENTS, "metrics.a > 1", "Invalid entity type 'metrics'"),
        (EXPERIMENTS, "creation_time > 5.5", "whole number"),
        (EXPERIMENTS, "experiment_id LIKE '1'", "can't be compared"),
        (REGISTERED_MODELS, "creation_timestamp > 5", "can't be searched for"),
        (REGISTERED_MODELS, "tags.a IS NULL", "can't be compared"),
        (MODEL_VERSIONS, "version_number > 1.5", "whole number"),
        (MODEL_VERSIONS, "version_number > 'x'", "whole number"),
        (LOGGED_MODELS, "dataset.name = 'x'", "Invalid entity type 'dataset'"),
    ],
)
def test_other_objects_have_mistakes_of_their_own(vocabulary: Vocabulary, text: str, said: str) -> None:
    with pytest.raises(InvalidFilter, match=said):
        parse_filter(text, vocabulary)


def test_a_filter_may_not_be_absurd() -> None:
    many = " AND ".join(["metrics.a > 1"] * (MAX_COMPARISONS + 1))
    with pytest.raises(InvalidFilter, match="too many comparisons"):
        parse_filter(many, RUNS)
    with pytest.raises(InvalidFilter, match="too long"):
        parse_filter(" " * 1_000_000 + "x", RUNS)
    items = ", ".join(["'a'"] * 5001)
    with pytest.raises(InvalidFilter, match="lists of the filter are too long"):
        parse_filter(f"run_id IN ({items}) AND run_id NOT IN ({items})", RUNS)
    with pytest.raises(InvalidFilter, match="pattern is too long"):
        parse_filter(f"params.a LIKE '{'%' * 5001}'", RUNS)


pieces = st.sampled_from(
    [
        *("metrics", "params", ".", "a", "`", "'", '"', "x", " ", "AND", "OR", "IN", "NOT", "IS", "NULL", "LIKE", "("),
        *(")", ",", ">", "<", "=", "!", "1", "-", "e", "\\", ";", "tags.b = 'c'", "metrics.a > 1", "run_id", "\0", "é"),
    ]
)


@given(
    st.one_of(st.text(), st.lists(pieces).map("".join), st.lists(pieces).map(" ".join)), st.sampled_from(VOCABULARIES)
)
def test_any_text_is_a_filter_or_a_mistake(text: str, vocabulary: Vocabulary) -> None:
    for parse in (lambda: parse_filter(text, vocabulary), lambda: parse_order_by([text], vocabulary)):
        read, mistake = outcome(parse)
        assert all(isinstance(item, Comparison | OrderBy) for item in read)
        assert mistake is None or (0 <= mistake.position <= len(text) and mistake.remedy)


def outcome(parse: Callable[[], tuple[Any, ...]]) -> tuple[tuple[Any, ...], InvalidFilter | None]:
    try:
        return parse(), None
    except InvalidFilter as mistake:
        return (), mistake


keys = st.one_of(
    st.from_regex(r"[a-z0-9_]{1,5}(\.[a-z0-9_]{1,3})?", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_characters="`\0"), min_size=1, max_size=8),
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="'\\\0"), max_size=8)


def rendered(comparison: Comparison) -> str:
    quoted = f"`{comparison.field.key}`"
    value = comparison.value
    said = "" if value is None else repr(value) if isinstance(value, float | int) else f"'{value}'"
    return f"{comparison.field.kind}s.{quoted} {comparison.operator.value} {said}"


comparisons = st.one_of(
    st.builds(
        Comparison,
        st.builds(Field, st.just(Kind.METRIC), keys),
        st.sampled_from([Operator.LESS, Operator.GREATER_OR_EQUAL, Operator.NOT_EQUAL]),
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
        st.just(0),
    ),
    st.builds(
        Comparison,
        st.builds(Field, st.sampled_from([Kind.PARAM, Kind.TAG]), keys),
        st.sampled_from([Operator.EQUAL, Operator.ILIKE]),
        texts,
        st.just(0),
    ),
)


@given(st.lists(comparisons, max_size=4))
def test_what_is_written_is_read_back(written: list[Comparison]) -> None:
    read = parse_filter(" AND ".join(map(rendered, written)), RUNS)

    assert [(c.field, c.operator, c.value) for c in read] == [(c.field, c.operator, c.value) for c in written]


@pytest.mark.parametrize("opening", ["params.a = '", 'params.a = "', "`", "metrics.", "run_id IN ("])
@pytest.mark.parametrize("repeated", ["''", "\\'", '\\"', ".", " ", "a.", "1", "'a',"])
def test_what_makes_patterns_explode_is_read_to_its_end(opening: str, repeated: str) -> None:
    with pytest.raises(InvalidFilter):
        parse_filter(opening + repeated * 100_000 + "\n?", RUNS)


@pytest.mark.parametrize(
    ("clause", "kind", "key", "ascending"),
    [
        ("metrics.a", Kind.METRIC, "a", True),
        ("metrics.a ASC", Kind.METRIC, "a", True),
        ("  metrics.a   desc ", Kind.METRIC, "a", False),
        ("metrics.`a b` DESC", Kind.METRIC, "a b", False),
        ('"metrics.a b" DESC', Kind.METRIC, "a b", False),
        ("`params.a.b`", Kind.PARAM, "a.b", True),
        ("tag.a.b", Kind.TAG, "a.b", True),
        ("created DESC", Kind.ATTRIBUTE, "start_time", False),
        ("attribute.run_name", Kind.ATTRIBUTE, "run_name", True),
    ],
)
def test_an_order_is_a_field_and_a_direction(clause: str, kind: Kind, key: str, ascending: bool) -> None:
    assert parse_order_by([clause], RUNS) == (OrderBy(Field(kind, key), ascending),)


@pytest.mark.parametrize(
    ("clauses", "said"),
    [
        ([""], "empty clause"),
        (["metrics.a down"], "Invalid ordering key"),
        (["metrics.a-b"], "Invalid ordering key"),
        (["metrics.a DESC ASC"], "Invalid ordering key"),
        (["dataset.name"], "can't be ordered by dataset.name"),
        (["nothing"], "Invalid attribute key"),
        (["metrics.a", "start_time", "metric.a DESC"], "duplicate fields"),
        (["start_time", "created"], "duplicate fields"),
        ([f"metrics.m{n}" for n in range(21)], "too many clauses"),
    ],
)
def test_a_mistake_in_an_order_is_named(clauses: list[str], said: str) -> None:
    with pytest.raises(InvalidFilter, match=said):
        parse_order_by(clauses, RUNS)


def test_each_kind_of_object_has_its_orders() -> None:
    assert parse_order_by(["timestamp DESC", "name"], REGISTERED_MODELS) == (
        OrderBy(Field(Kind.ATTRIBUTE, "last_updated_timestamp"), ascending=False),
        OrderBy(Field(Kind.ATTRIBUTE, "name")),
    )
    for vocabulary, clause in ((MODEL_VERSIONS, "run_id"), (EXPERIMENTS, "tags.a"), (LOGGED_MODELS, "params.a")):
        with pytest.raises(InvalidFilter, match="can't be ordered by"):
            parse_order_by([clause], vocabulary)
