"""MLflow's rules for the names of aliases."""

from __future__ import annotations

import re

from headgate.store.errors import InvalidInput
from headgate.store.validation import check_text

_NAME = re.compile(r"[\w\-]+")
_VERSION_LIKE = re.compile(r"[vV]\d+")
_MAX_LENGTH = 255


def check_alias_name(alias: str) -> None:
    """Raise InvalidInput for what is not the name of an alias at all."""
    if not alias:
        raise InvalidInput("Registered model alias name cannot be empty.", kind="alias", key=alias)
    if not _NAME.fullmatch(alias):
        raise InvalidInput(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
            kind="alias",
            key=alias,
        )
    check_text("alias", alias, _MAX_LENGTH)


def check_new_alias_name(alias: str) -> None:
    """Raise InvalidInput for an alias that can't be set: it would read as a version or as ``latest``."""
    check_alias_name(alias)
    if alias.lower() == "latest":
        raise InvalidInput("'latest' alias name (case insensitive) is reserved.", kind="alias", key=alias)
    if _VERSION_LIKE.fullmatch(alias):
        raise InvalidInput(f"Version alias name '{alias}' is reserved.", kind="alias", key=alias)
