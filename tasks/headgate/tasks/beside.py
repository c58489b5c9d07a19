"""Where the files are that a task of an orchestrator names."""

from __future__ import annotations

import re
from pathlib import Path

# Also git's own short form: git@host:path.
_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*:|git@)", re.IGNORECASE)


def is_uri(place: str | Path) -> bool:
    """Say whether a place is a URI rather than a path."""
    return _URI.match(str(place)) is not None


def beside(folder: str | Path, place: str | Path) -> str:
    """Return a path or a URI as a task can use it: a relative path starts at a folder, that of the orchestrator's file.

    The working folder of a worker is nobody's choice, and differs from that of a script or a test.
    """
    text = str(place)
    return text if is_uri(text) or Path(text).is_absolute() else str(Path(folder, text))
