"""YAML with lines: values as people mean them, and mistakes collected instead of raised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.flows.yaml_tree import read_tree


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("-.5", -0.5),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("+3", 3),
        (".inf", float("inf")),
        ("true", True),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2026-11-21", "2026-11-21"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("1.2.3", "1.2.3"),
        ("[1, two]", [1, "two"]),
    ],
)
def test_words_and_numbers_mean_what_they_look_like(written: str, value: Any) -> None:
    tree = read_tree(f"key: {written}\n", "file")
    assert tree.mistakes == []
    assert tree.value == {"key": value}
    assert type(tree.value["key"]) is type(value)


def test_every_place_knows_its_line() -> None:
    tree = read_tree("a: 1\nb:\n  c: [x,\n    y]\n  d: {e: 2}\n", "file")
    assert tree.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 3,
        ("b", "c", 1): 4,
        ("b", "d"): 5,
        ("b", "d", "e"): 5,
    }
    assert tree.line(("b", "d", "nothing", "here")) == 5


def test_anchors_and_merges() -> None:
    tree = read_tree("base: &base {a: 1, b: 2}\nmine: {b: 3, <<: *base}\nboth: {<<: [*base, {a: 9, c: 4}]}\n", "file")
    assert tree.mistakes == []
    assert tree.value["mine"] == {"a": 1, "b": 3}
    assert tree.value["both"] == {"a": 1, "b": 2, "c": 4}


def test_what_was_written_at_a_place_comes_before_what_is_merged_there() -> None:
    tree = read_tree("base: &base {name: 1e3}\nmine: {name: 010, <<: *base}\n", "file")
    assert tree.value["mine"] == {"name": 10}
    assert tree.texts["mine", "name"] == "010"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: [\n", 3, "not YAML"),
        ("a: 1\nb: c: d\n", 2, "not YAML"),
        ("a: 1\nb: *nowhere\n", 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "is written twice"),
        ("a: 1\n? [b]\n: 2\n", 2, "key must be a word"),
        ("a: 1\nb: {{ params.x }}\n", 2, "no quotes"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "can't be read"),
        ("a: 1\nb: !!int x\n", 2, "can't be read"),
        ("a: 1\nb: {<<: 3}\n", 2, "<< merges mappings only"),
        ("a: 1\nb: &b [*b]\n", 2, "too large or too deep"),
    ],
)
def test_mistakes_have_their_line(text: str, line: int, what: str) -> None:
    (mistake,) = read_tree(text, "file").mistakes
    assert mistake.line == line
    assert what in mistake.what
    assert mistake.remedy


def test_aliases_cannot_make_a_small_file_endless() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    (mistake,) = read_tree(bomb, "file").mistakes
    assert "too large" in mistake.what


@pytest.mark.parametrize("text", ["[" * 3_000, "- " * 3_000, "{a: " * 3_000])
def test_depth_is_a_mistake_and_no_crash(text: str) -> None:
    (mistake,) = read_tree(text, "file").mistakes
    assert "not YAML" in mistake.what


@given(st.one_of(st.text(), st.text("ab:-[]{}#&*!|>'\"%@`\n ,?<~", max_size=30)))
def test_any_text_is_read_or_told_to_be_wrong(text: str) -> None:
    tree = read_tree(text, "file")
    assert all(mistake.what and mistake.remedy and mistake.file == "file" for mistake in tree.mistakes)
    assert set(tree.texts) <= set(tree.lines)
