"""The oldest Prefect that Headgate allows, in an environment of its own; tests of what differs there are marked."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_this_is_the_oldest_prefect_that_is_allowed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (oldest,) = re.findall(r"prefect>=([\d.]+),", " ".join(extras["prefect"]))
    assert version("prefect") == oldest
    assert f"\nprefect=={oldest}\n" in (ROOT / ".ci" / "constraints" / "prefect-oldest.txt").read_text()
    for page in ("README.md", "docs/prefect.md"):
        assert f"({oldest} to " in (ROOT / page).read_text()
