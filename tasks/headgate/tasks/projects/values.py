"""Values of parameters as text: what the command line gets and what the run records."""

from __future__ import annotations

import json
import os
from typing import Any


def text_of(value: Any) -> str:
    """Return a value as the text that a command line takes.

    Text stays as it is, lists and mappings become JSON, a secret (anything with ``get_secret_value``) becomes what it
    hides, and everything else is ``str`` of it, as in MLflow.
    """
    if isinstance(value, str):
        return value
    reveal = getattr(value, "get_secret_value", None)
    if reveal is not None:
        return text_of(reveal())
    if isinstance(value, os.PathLike):
        return os.fspath(value) if isinstance(os.fspath(value), str) else os.fsdecode(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
