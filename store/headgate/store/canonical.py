"""One way of writing a value as JSON, so that equal values have equal bytes and equal digests."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces; NaN and infinities, which JSON doesn't have, raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """Return the SHA-256 (hex) of a value's :func:`canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def to_plain(value: Any) -> Any:
    """Return frozen values of :mod:`headgate.store.entities` as dicts, lists and JSON's own kinds.

    Numbers that JSON doesn't have become the texts ``NaN``, ``Infinity`` and ``-Infinity``, as on MLflow's wire.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
