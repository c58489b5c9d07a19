"""Values on their way between the code of a run and its endpoint: entities, errors and plain values, as JSON.

What JSON has no word for stands in an object with ``$``, which says what it is. Only what is named here is ever built
from what arrives: the store's entities and its errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import index
from typing import Any

from headgate.store import entities, errors
from headgate.store.errors import HeadgateError, InvalidInput
from headgate.store.validation import shorten

RUN_PATH = "/api/headgate/run"  # of the calls, on the endpoint of a run
TOKEN_VARIABLE = "HEADGATE_RUN_TOKEN"  # noqa: S105 - a variable's name

_KIND = "$"
_ENTITIES = {
    name: cls
    for name, cls in vars(entities).items()
    if isinstance(cls, type) and cls.__module__ == entities.__name__ and (is_dataclass(cls) or issubclass(cls, Enum))
}
_ERRORS = {
    name: cls for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, errors.HeadgateError)
}


def carried(value: Any) -> Any:
    """Return a value in JSON's words.

    Raises:
        InvalidInput: it is nothing that the store could take either.
    """
    if isinstance(value, Enum):
        return {_KIND: type(value).__name__, "value": value.value}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and type(value).__name__ in _ENTITIES:
        parts = {item.name: carried(getattr(value, item.name)) for item in fields(value)}
        return {_KIND: type(value).__name__, "fields": parts}
    if isinstance(value, Mapping):
        return {_KIND: "mapping", "items": [[carried(key), carried(item)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_KIND: "tuple", "items": [carried(item) for item in value]}
    if isinstance(value, list):
        return [carried(item) for item in value]
    for number in (index, float):  # NumPy's and others' are numbers by these
        with suppress(TypeError, ValueError):
            return number(value)
    raise InvalidInput(
        f"{shorten(value)} can't be recorded: it is of the type {type(value).__name__}.",
        remedy="Log numbers and text; convert what is neither first.",
    )


def received(value: Any) -> Any:
    """Return the value that was carried.

    Raises:
        InvalidInput: it is none that :func:`carried` makes.
    """
    if isinstance(value, list):
        return [received(item) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        return _built(value)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"{shorten(value)} is no value of the store.", remedy="Use headgate's own client."
        ) from error


def _built(value: dict[str, Any]) -> Any:
    kind = value[_KIND]
    if kind == "mapping":
        return {received(key): received(item) for key, item in value["items"]}
    if kind == "tuple":
        return tuple(received(item) for item in value["items"])
    cls: Any = _ENTITIES[kind]
    if issubclass(cls, Enum):
        return cls(value["value"])
    return cls(**{name: received(item) for name, item in value["fields"].items()})


def carried_error(error: HeadgateError) -> dict[str, Any]:
    """Return an error in JSON's words. Facts that can't be carried are left out; its message has them."""
    attributes = {}
    for name, value in error.attributes.items():
        try:
            attributes[name] = carried(value)
        except InvalidInput:
            continue
    return {"error": type(error).__name__, "message": error.message, "remedy": error.remedy, "attributes": attributes}


def received_error(said: Mapping[str, Any]) -> HeadgateError:
    """Return the error that was carried."""
    kind = _ERRORS.get(str(said["error"]), HeadgateError)
    attributes = {name: received(value) for name, value in said["attributes"].items()}
    return kind(str(said["message"]), remedy=str(said["remedy"]), **attributes)
