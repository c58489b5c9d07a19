"""Where the files are that an operator names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

# Also git's own short form: git@host:path.
_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*:|git@)", re.IGNORECASE)


def is_uri(place: str | Path) -> bool:
    """Tell whether a place is a URI rather than a path."""
    return _URI.match(str(place)) is not None


def beside_dag(context: Context, place: str | Path) -> str:
    """Return a path or a URI as a task can use it: a relative path starts at the folder of the DAG's file.

    The working folder of a worker is nobody's choice, and differs from that of ``dag.test()``.
    """
    text = str(place)
    if is_uri(text) or Path(text).is_absolute():
        return text
    return str(Path(context["dag"].folder, text))
