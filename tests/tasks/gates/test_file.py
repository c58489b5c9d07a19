"""Gate files: the same gate as in Python, and every mistake with its file, line and remedy."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.gates.explain import verdict_json
from headgate.tasks.gates.file import load_gate, parse_gate
from headgate.tasks.gates.model import AllOf, AnyOf, Gate, Improvement, Threshold
from tests.tasks.gates.cases import candidate, champion, gates, judge, point

TUMOR_SCREENING = """\
name: tumor-screening
expires_after: 24h
when_no_champion: pass
checks:
  all_of:
    - metric: recall
      dataset: holdout
      at_least: 0.95
    - metric: f1
      improves_on: champion
      by: 0.002
      severity: warn
    - any_of:
        - {metric: loss, below: 1e-1}
        - {metric: loss, improves_on: champion, by: 1%, higher_is_better: false}
"""
SAME_IN_PYTHON = Gate(
    "tumor-screening",
    AllOf(
        [
            Threshold("recall", at_least=0.95, dataset="holdout"),
            Improvement("f1", by=0.002, severity="warn"),
            AnyOf([Threshold("loss", below=0.1), Improvement("loss", by="1%", higher_is_better=False)]),
        ]
    ),
    expires_after="24h",
    when_no_champion="pass",
)


def test_a_file_is_the_same_gate_as_in_python(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(TUMOR_SCREENING)
    gate = load_gate(file)
    assert gate == SAME_IN_PYTHON
    assert gate.digest == SAME_IN_PYTHON.digest


def test_verdicts_of_file_and_python_are_the_same_bytes() -> None:
    evidence = candidate(point("recall", 0.97), point("f1", 0.94), point("loss", 0.2))
    against = champion(point("f1", 0.93), point("loss", 0.25))
    from_file = judge(parse_gate(TUMOR_SCREENING), evidence, against)
    in_python = judge(SAME_IN_PYTHON, evidence, against)
    assert verdict_json(from_file).encode() == verdict_json(in_python).encode()


@given(gates)
def test_every_definition_is_a_gate_file(gate: Gate) -> None:
    assert parse_gate(yaml.safe_dump(gate.definition(), allow_unicode=True)) == gate


def test_names_and_digests_that_look_like_numbers_are_texts() -> None:
    gate = parse_gate("name: 2026\nchecks: {all_of: [{metric: recall, at_least: 1, dataset_digest: 12345678}]}")
    assert gate == Gate("2026", AllOf([Threshold("recall", at_least=1.0, dataset_digest="12345678")]))


WORDS = """\
name: g
checks:
  all_of:
    - &bound {metric: recall, at_least: 010, dataset: 2026-13-45, dataset_digest: 1_000}
    - {<<: *bound, metric: f1, at_least: 1e-3}
    - {approval: required, by: [no, on, 12:30], quorum: 1}
"""


def test_words_mean_the_same_in_a_gate_file_as_in_a_pipeline_file() -> None:
    from headgate.flows.yaml_tree import read_tree

    gate = parse_gate(WORDS)
    assert gate == gate_from_definition(read_tree(WORDS, "pipeline.yaml").value)
    bound = Threshold("recall", at_least=10, dataset="2026-13-45", dataset_digest="1_000")
    assert gate.checks.checks[:2] == (bound, replace(bound, metric="f1", at_least=0.001))
    assert gate.checks.checks[2].by == ("12:30", "no", "on")  # type: ignore[union-attr]


def gate_with(check: str, top: str = "name: g\nwhen_no_champion: hold") -> str:
    return f"{top}\nchecks:\n  all_of:\n{textwrap.indent(textwrap.dedent(check).strip(), '    ')}\n"


@pytest.mark.parametrize(
    ("content", "line", "says", "remedy"),
    [
        ("", 1, "empty", "name and checks"),
        ("just a text", 1, "must be keys and values", "key: value"),
        ("name: g", 1, "no `checks`", "Add `checks:`"),
        ("checks: {all_of: [{metric: m, above: 1}]}", 1, "no `name`", "Add `name:`"),
        ("name: g\nnmae: h\nchecks: {}", 2, "unknown key `nmae`", "Did you mean `name`"),
        ("name: [g]\nchecks: {all_of: [{metric: m, above: 1}]}", 1, "`name` must be a text, not a list", "quotes"),
        ("name:\nchecks: {all_of: [{metric: m, above: 1}]}", 1, "`name` must be a text, not nothing", "quotes"),
        ("name: true\nchecks: {all_of: [{metric: m, above: 1}]}", 1, "not true", "quotes"),
        ("name: g\nname: h\nchecks: {}", 2, "`name` is written twice", "Keep one"),
        ("name: g\nchecks: []", 2, "must be keys and values, not a list", "key: value"),
        ("name: g\nchecks: {metric: m, above: 1}", 2, "must hold an `all_of`", "all_of:"),
        ("name: g\nchecks:\n  allof: [x]", 3, "unknown key `allof`", "Did you mean `all_of`"),
        ("name: g\nchecks:\n  all_of: {metric: m}", 3, "must be a list", "- "),
        ("name: g\nchecks:\n  all_of: []", 3, "would always pass", "severity block"),
        ("name: g\nchecks:\n  all_of: []\n  any_of: []", 4, "unknown key `any_of` beside `all_of`", "all_of"),
        (gate_with("- metric: m\n  at_leats: 1"), 6, "unknown key `at_leats`", "Did you mean `at_least`"),
        (gate_with("- metric: m"), 5, "needs exactly one of at_least", "one bound per check"),
        (gate_with("- metric: m\n  above: 1\n  below: 2"), 5, "above and below", "two checks"),
        (gate_with("- above: 1"), 5, "names no `metric`", "Add `metric:`"),
        (gate_with("- metric: m\n  above: high"), 6, "must be a number, not the text 'high'", "0.95"),
        (gate_with("- metric: m\n  above: '1'"), 6, "must be a number", "0.95"),
        (gate_with("- metric: m\n  above: .nan"), 6, "finite", "number"),
        (gate_with("- metric: m\n  above: .inf"), 6, "finite", "number"),
        (gate_with("- metric: m\n  above: 1e999"), 6, "finite", "number"),
        (gate_with("- metric: m\n  above: true"), 6, "must be a number, not true", "0.95"),
        (gate_with("- metric: m\n  above: 1\n  severity: fatal"), 7, "block or warn", "Choose"),
        (gate_with("- metric: m\n  above: 1\n  by: 1"), 7, "belongs to a comparison", "improves_on"),
        (gate_with("- metric: m\n  improves_on: last"), 6, "must be `champion`", "current champion"),
        (gate_with("- metric: m\n  improves_on: champion\n  above: 1"), 7, "unknown key `above` in a comp", "by"),
        (gate_with("- metric: m\n  improves_on: champion\n  by: lots"), 7, "must be a number", "0.95"),
        (gate_with("- metric: m\n  improves_on: champion\n  by: '1 % or so'"), 7, "a percentage", "1%"),
        (gate_with("- metric: m\n  improves_on: champion\n  higher_is_better: 1"), 7, "true or false", "false for"),
        (gate_with("- metric: m\n  improves_on: champion", "name: g\n"), 1, "when there is none", "when_no_champion"),
        (gate_with("- metric: m\n  above: 1", "name: g\nexpires_after: tomorrow"), 2, "expires_after", "24h"),
        (gate_with("- 7"), 5, "A check must be keys and values, not 7", "key: value"),
        (gate_with("- metric: m\n  above: !!int high"), 6, "'high' with the tag .* can't be read", "quotes"),
        (gate_with("- <<: [a]\n  above: 1"), 5, "<< merges mappings only", "ANCHOR"),
        (gate_with("- metric: !!python/name:os.system\n  above: 1"), 5, "with the tag .* can't be read", "quotes"),
        (gate_with("- ? [a]\n  : b"), 5, "a key must be a word", "key: value"),
        ("name: 'g\nchecks:", 2, "not YAML", "quotes"),
        ("name: g\n\tchecks: x", 2, "not YAML", "quotes"),
        ("name: g\nchecks: &a {all_of: [*a]}", 2, "too large or too deep|within one another", "Split"),
    ],
)
def test_mistakes_are_shown_at_their_line(content: str, line: int, says: str, remedy: str) -> None:
    with pytest.raises(InvalidGate, match=says) as caught:
        parse_gate(content, file="gates/mine.yaml")
    assert caught.value.file == "gates/mine.yaml"
    assert caught.value.line == line
    assert str(caught.value).startswith(f"gates/mine.yaml:{line}: ")
    assert remedy in caught.value.remedy


def test_many_aliases_of_one_group_are_refused_in_bounded_time() -> None:
    lines = ["name: g", "checks: &a0 {all_of: [{metric: m, above: 1}]}"]
    lines += [f"x{n}: &a{n} {{all_of: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    with pytest.raises(InvalidGate, match="too large"):
        parse_gate("\n".join(lines))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidGate, match=r"none\.yaml can't be read") as caught:
        load_gate(tmp_path / "none.yaml")
    assert caught.value.file.endswith("none.yaml")
    # The same is said of the gate that a pipeline or a guards file names, which starts from there.
    assert "from that file's folder" in caught.value.remedy


@pytest.mark.parametrize("content", [b"\xff\xfe\x00n", b"name: \x00", "a: " + "[" * 1500, "x" * 1_000_001])
def test_what_is_no_text_is_refused(content: bytes | str) -> None:
    with pytest.raises(InvalidGate, match=r"gate\.yaml") as caught:
        parse_gate(content)
    assert caught.value.remedy


def test_a_mistake_in_a_definition_without_a_file_names_the_place() -> None:
    with pytest.raises(InvalidGate, match=r"checks\.all_of\[1\]\.at_leats") as caught:
        gate_from_definition({"name": "g", "checks": {"all_of": [{"metric": "m", "above": 1}, {"at_leats": 2}]}})
    assert caught.value.file is None


leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("champion")
keys = st.sampled_from(
    ["name", "checks", "all_of", "any_of", "metric", "at_least", "improves_on", "by", "severity", "max_age", "x"]
)
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)


def read_or_refused(read: Callable[[], Gate]) -> Gate | InvalidGate:
    try:
        return read()
    except InvalidGate as error:
        return error


@given(anything)
def test_whatever_stands_in_a_definition_it_is_a_gate_or_a_clear_error(value: object) -> None:
    result = read_or_refused(lambda: gate_from_definition(value))
    if isinstance(result, Gate):
        assert gate_from_definition(result.definition()) == result
    else:
        assert result.remedy


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_whatever_stands_in_a_file_it_is_a_gate_or_a_clear_error(content: str | bytes) -> None:
    result = read_or_refused(lambda: parse_gate(content))
    assert isinstance(result, InvalidGate)
    assert result.remedy
