"""What an orchestrator's task hands on that called a tracked function."""

from __future__ import annotations

from enum import StrEnum

from headgate.store.errors import InvalidInput


class Returns(StrEnum):
    """What a task hands on.

    ``auto``: what the function returned, with ``models:/…`` for each model and a URI for each file; the run where that
    is nothing, or nothing that the orchestrator can carry. ``value``: the former in any case. ``reference``: the latter
    in any case.
    """

    AUTO = "auto"
    VALUE = "value"
    REFERENCE = "reference"


def checked_returns(said: str) -> Returns:
    """Return what a task is to hand on.

    Raises:
        InvalidInput: it is none of the three.
    """
    if said not in list(Returns):
        raise InvalidInput(f"returns is {said!r}.", remedy=f"Say {', '.join(Returns)}.")
    return Returns(said)
