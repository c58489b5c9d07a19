"""``headgate prefect`` where there is no Prefect; what it does is tested beside a real one."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from headgate.cli.doors import GROUP, load_door
from headgate.store.errors import InvalidSettings
from tests.plugin.cli.conftest import CommandLine


@pytest.mark.parametrize("words", [("deploy", ".", "--pool", "p"), ("run", ".")])
def test_without_prefect_it_says_how_to_get_it(headgate: CommandLine, words: tuple[str, ...]) -> None:
    error = headgate.error("prefect", *words, store=False)
    assert error["type"] == "InvalidSettings"
    assert error["message"] == "This needs Prefect, which is not installed."
    assert error["remedy"] == "pip install 'headgate[prefect]'"


def test_a_deployment_needs_a_work_pool(headgate: CommandLine) -> None:
    assert "'--pool'" in headgate.error("prefect", "deploy", ".", store=False)["message"]


def test_doors_are_named_by_what_they_lead_to() -> None:
    assert {point.name for point in entry_points(group=GROUP)} == {"prefect"}
    with pytest.raises(InvalidSettings, match=r"pip install 'headgate\[prefect\]'"):
        load_door("prefect")
