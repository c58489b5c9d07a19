"""How figures of one part of the data are named: ``recall/site:north`` is the recall where ``site`` is ``north``."""

from __future__ import annotations

import re

_ALLOWED = re.compile(r"[^\w.\- ]")
_LONGEST = 250
_LONGEST_VALUE = 150


def slice_prefix(metric: str, column: str) -> str:
    """Return what the keys of a metric's slices by a column start with."""
    return f"{metric}/{_written(column)}:"


def slice_key(metric: str, column: str, value: object) -> str:
    """Return the key of a metric in one slice. Characters that no metric's key may have become underscores."""
    return f"{slice_prefix(metric, column)}{_written(value)[:_LONGEST_VALUE]}"[:_LONGEST]


def _written(value: object) -> str:
    return _ALLOWED.sub("_", str(value)).strip() or "_"
