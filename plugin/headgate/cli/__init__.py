"""The command line: ``headgate run``, ``headgate models promote`` and the rest.

The name below loads on first use; ``headgate --help`` imports click and nothing heavier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {"main": ".command_line"}

if TYPE_CHECKING:
    from headgate.cli.command_line import main as main

__all__ = ["main"]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
