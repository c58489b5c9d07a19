"""The page about Airflow: its DAG can be read, and every operator stands in it with its ways to end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

import headgate.airflow
from headgate.airflow.rejection import OnReject

PAGE = (Path(__file__).parents[3] / "docs" / "airflow.md").read_text()


def test_the_dags_of_the_page_can_be_read() -> None:
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        names: dict[str, Any] = {}
        exec(code, names)
        assert any(isinstance(value, DAG) or "Operator" in name for name, value in names.items())


def test_the_page_lists_every_operator_and_every_way_to_end() -> None:
    listed = {key for row in re.findall(r"^\| (`.*?)\|", PAGE, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    operators = {name for name in headgate.airflow.__all__ if name.endswith("Operator")} - {"HeadgateOperator"}
    assert operators | set(OnReject) <= listed
