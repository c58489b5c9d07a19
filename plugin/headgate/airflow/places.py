"""Where the files are that an operator names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.tasks.beside import beside

if TYPE_CHECKING:
    from airflow.sdk import Context


def beside_dag(context: Context, place: str | Path) -> str:
    """Return a path or a URI as a task can use it: a relative path starts at the folder of the DAG's file."""
    return beside(context["dag"].folder, place)
