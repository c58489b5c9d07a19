"""Places in a tree of plain values, as a YAML file has one, and the lines where they stand."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias, TypeVar

Place: TypeAlias = tuple[str | int, ...]
"""A place in a tree of values, such as ``("steps", "train", "needs", 0)``."""

_Key = TypeVar("_Key", bound=Hashable)


def line_of(lines: Mapping[tuple[_Key, ...], int], place: tuple[_Key, ...]) -> int | None:
    """Return the line of a place, or of the nearest place around it; None where no line is known."""
    for length in range(len(place), -1, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return None


def below(places: Mapping[Place, Any], prefix: Place) -> dict[Place, Any]:
    """Return what is known of the places below one, as seen from there."""
    length = len(prefix)
    return {place[length:]: value for place, value in places.items() if place[:length] == prefix}
