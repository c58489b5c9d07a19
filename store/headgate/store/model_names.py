"""MLflow's rules for the names of LoggedModels and registered models, and for what is tagged to them."""

from __future__ import annotations

from collections.abc import Mapping

from headgate.store.errors import InvalidInput
from headgate.store.tables.base import NAME_LENGTH
from headgate.store.tables.registry import MODEL_NAME_LENGTH
from headgate.store.validation import check_key, check_text

_LOGGED_MODEL_FORBIDDEN = ("/", ":", ".", "%", '"', "'")
_MAX_VALUE = 100_000
_MAX_DESCRIPTION = 5000


def check_logged_model_name(name: str | None) -> None:
    """Raise InvalidInput for a name that a LoggedModel can't have; None stands for "make one up"."""
    if name is None:
        return
    if not name or any(character in name for character in _LOGGED_MODEL_FORBIDDEN):
        raise InvalidInput(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain the "
            f"following characters: {_LOGGED_MODEL_FORBIDDEN}",
            kind="logged model",
            key=name,
        )
    check_text("model name", name, NAME_LENGTH)


def check_registered_model_name(name: str) -> None:
    """Raise InvalidInput for a name that a registered model can't have."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput("A registered model needs a name.", kind="registered model", key=name)
    if "/" in name or ":" in name:
        raise InvalidInput(
            f"Invalid model name '{name}'. Names cannot contain '/' or ':'.", kind="registered model", key=name
        )
    if name in (".", ".."):
        raise InvalidInput(
            f"Invalid model name '{name}'. It would stand for another folder in a path.",
            kind="registered model",
            key=name,
        )
    check_text("name of the registered model", name, MODEL_NAME_LENGTH)


def check_model_pairs(kind: str, pairs: Mapping[str, str] | None) -> dict[str, str]:
    """Return the params or tags (``kind``) of a model or a version, or raise InvalidInput for a bad key or value."""
    return {
        check_key(kind, key): check_text(f"value of {kind} {key!r}", value, _MAX_VALUE)
        for key, value in (pairs or {}).items()
    }


def check_description(description: str | None) -> str | None:
    """Return a description that is not too long, or raise InvalidInput; None stands for "leave it"."""
    return None if description is None else check_text("description", description, _MAX_DESCRIPTION)
