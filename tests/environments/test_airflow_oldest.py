"""The oldest Airflow that Headgate allows, in an environment of its own; tests of what differs there are marked."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_this_is_the_oldest_airflow_that_is_allowed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (oldest,) = re.findall(r"apache-airflow>=([\d.]+),", " ".join(extras["airflow"]))
    assert version("apache-airflow") == oldest
    assert f"\napache-airflow=={oldest}\n" in (ROOT / ".ci" / "constraints" / "airflow-oldest.txt").read_text()
    assert f"({oldest} to " in (ROOT / "README.md").read_text()
