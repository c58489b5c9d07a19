"""``docs/pipelines.md`` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from headgate.flows import Pipeline, file, parse_pipeline
from headgate.flows.model import ENVIRONMENTS, PARAMETER_TYPES
from headgate.flows.references import RUN_FIELDS, STEP_FIELDS, parse_template

PAGE = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(PAGE)


def block(language: str, number: int = 0) -> str:
    return [text for kind, text in BLOCKS if kind == language][number]


def table(heading: str) -> list[str]:
    """The keys in the first column of the table with this heading."""
    rows = PAGE.partition(f"| {heading} | ")[2].partition("\n\n")[0].splitlines()[2:]
    return [key for row in rows for key in re.findall(r"`(\{\{.*?\}\}|\w+)`", row.split(" | ")[0])]


def test_the_file_and_the_python_are_equal() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    assert isinstance(names["pipeline"], Pipeline)
    assert parse_pipeline(block("yaml")) == names["pipeline"]


def test_the_example_of_a_run_is_python() -> None:
    compile(block("python", 1), "pipelines.md", "exec")


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("key of the pipeline", file.PIPELINE_KEYS),
        ("key of a step", file.STEP_KEYS),
        ("key of `promote`", file.PROMOTION_KEYS),
        ("key of `schedule`", file.SCHEDULE_KEYS),
    ],
)
def test_every_key_is_described_and_nothing_else(heading: str, keys: tuple[str, ...]) -> None:
    assert sorted(table(heading)) == sorted(keys)


def test_every_reference_is_described() -> None:
    references = [parse_template(text).sole_reference for text in table("reference")]
    assert None not in references
    assert len(references) == len(STEP_FIELDS) + 1 + len(RUN_FIELDS)
    assert len({str(reference) for reference in references}) == len(references)


def test_types_and_environments_are_named() -> None:
    assert all(f"`{name}`" in PAGE for name in (*PARAMETER_TYPES, *ENVIRONMENTS))
