"""The page about Prefect: its flows can be read, and every task stands in it, and every way to end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prefect import Flow, Task

import headgate.prefect
from headgate.prefect.rejection import STATE_NAMES, OnReject

PAGE = (Path(__file__).parents[3] / "docs" / "prefect.md").read_text()


def test_the_code_of_the_page_can_be_read() -> None:
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        names: dict[str, Any] = {}
        exec(code.replace('.save("production")', ""), names)
        assert any(isinstance(value, Flow | Task) or name == "HeadgateStore" for name, value in names.items())


def test_the_page_lists_every_task_and_every_way_to_end() -> None:
    listed = {key for row in re.findall(r"^\| (`.*?)\|", PAGE, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    names = headgate.prefect.__all__
    tasks = {name for name in names if isinstance(getattr(headgate.prefect, name), Task)}
    assert tasks | set(OnReject) <= listed
    assert [name for name in STATE_NAMES.values() if f"`{name}`" not in PAGE] == []
