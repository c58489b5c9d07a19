"""The doors to orchestrators, for commands that act through one: found by name, loaded when they are used.

A door is an entry point of the group ``headgate.doors``, so that the command line imports no orchestrator, and knows of
a door no more than the calls that :mod:`headgate.cli.commands.prefect` makes.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from headgate.store.errors import InvalidSettings

GROUP = "headgate.doors"


def load_door(orchestrator: str) -> Any:
    """Return the module that acts through an orchestrator.

    Args:
        orchestrator: the name of its package, and of the extra that brings it.

    Raises:
        InvalidSettings: the orchestrator is not installed here.
    """
    if find_spec(orchestrator) is None:
        raise InvalidSettings(
            f"This needs {orchestrator.title()}, which is not installed.",
            remedy=f"pip install 'headgate[{orchestrator}]'",
        )
    (point,) = entry_points(group=GROUP, name=orchestrator)
    return point.load()
