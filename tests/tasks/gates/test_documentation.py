"""The page about gates: its gate is the same in YAML and in Python, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headgate.tasks.gates.definition import (
    GATE_KEYS,
    IMPROVEMENT_KEYS,
    OTHER_KEYS,
    THRESHOLD_KEYS,
    gate_from_definition,
)
from headgate.tasks.gates.file import parse_gate
from headgate.tasks.gates.model import leaves

PAGE = (Path(__file__).parents[3] / "docs" / "gates.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_gate_of_the_page_is_one_gate() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    assert parse_gate(block("yaml")) == names["gate"]


def test_the_page_lists_every_key() -> None:
    listed = {key for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    others = {key for keys in OTHER_KEYS.values() for key in keys}
    assert listed == {*GATE_KEYS, *THRESHOLD_KEYS, *IMPROVEMENT_KEYS, *others}


def test_the_gate_with_every_kind_of_check_is_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    gate = next(parse_gate(text) for text in blocks if text.startswith("name: every-kind"))
    kinds = {check.kind for check in leaves(gate.checks)}
    assert kinds == {"worst_slice", "slices", "improvement", *OTHER_KEYS}
    assert gate_from_definition(gate.definition()) == gate
