"""scikit-learn and what comes with it, loaded where figures are computed."""

from __future__ import annotations

import importlib
from typing import Any

from headgate.store.errors import InvalidSettings

EVALUATE_MISSING = "pip install 'headgate[evaluate]'"


def library(name: str) -> Any:
    """Return a module that the extra ``evaluate`` brings.

    Raises:
        InvalidSettings: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidSettings(
            f"Built-in evaluators need {name.partition('.')[0]}, which is not installed.", remedy=EVALUATE_MISSING
        ) from error
