"""The README's files, written out as its reader would write them."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_FILE = re.compile(r"^```\w+ (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def write_files(folder: Path) -> None:
    """Write every file that the README shows into a folder."""
    for block in _FILE.finditer(README.read_text(encoding="utf-8")):
        path = folder / block["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block["text"], encoding="utf-8")
