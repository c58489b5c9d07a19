"""The arguments of a call as params: text that is short, says the same in every process, and holds no secret."""

from __future__ import annotations

import datetime
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from headgate.store.validation import MAX_PARAM_VALUE_LENGTH
from headgate.tasks.projects.secrets import MASK, is_secret_name, is_secret_type, mask_text, recorded_value

_PLAIN = (str, int, float, bool, type(None), PurePath, Decimal, UUID, datetime.date, datetime.time, datetime.timedelta)
_ABBREVIATION = "..."
# A list of millions of numbers is not written out to be cut afterwards. Each item that is written takes three
# characters or more, so that what has more items is always long enough to be cut.
_SHOWN_ITEMS = MAX_PARAM_VALUE_LENGTH // 2
_DEEPEST = 6


def params_of_call(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    without: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return the arguments of a call as params, defaults included.

    Plain values are their text; lists and dictionaries are JSON; tables, arrays and other objects are described by type
    and shape, never by their content. What is longer than MLflow's 6,000 characters is abbreviated with three dots. A
    value that is a secret by its type, its name or its look is ``***``, inside of dictionaries too.

    Args:
        function: what is called.
        args, kwargs: what with.
        without: leave out an argument of this name that is this very object, such as what an orchestrator injects.

    Raises:
        TypeError: the function does not take these arguments.
    """
    return {name: _text(name, value) for name, value in _arguments(function, args, kwargs, without)}


def secrets_of_call(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    without: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return the arguments that are secret by their type or name, as text, to be masked wherever they turn up."""
    found = []
    for name, value in _arguments(function, args, kwargs, without):
        if is_secret_type(value):
            found.append(str(value.get_secret_value()))
        elif isinstance(value, str) and is_secret_name(name):
            found.append(value)
    return found


def _arguments(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], without: Mapping[str, Any] | None
) -> Iterator[tuple[str, Any]]:
    """Yield each argument by its name. What is left out is not even looked at: it may answer to every attribute."""
    left_out = without or {}
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            named = value.items()
        else:
            named = [] if kind is inspect.Parameter.VAR_POSITIONAL and not value else [(name, value)]
        yield from ((key, item) for key, item in named if not (key in left_out and left_out[key] is item))


def _text(name: str, value: Any) -> str:
    if is_secret_type(value):
        return MASK
    # Cut before it is searched for secrets, but so that none is cut in half where it would be shown.
    return _abbreviated(recorded_value(name, value, _plain_text(value)[: 2 * MAX_PARAM_VALUE_LENGTH]))


def _plain_text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, _PLAIN):
        return str(value)
    shown = _shown(value, 0, iter(range(_SHOWN_ITEMS)))
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _shown(value: Any, depth: int, room: Iterator[int]) -> Any:
    """Return a value as JSON has it, without secrets, and not much more of it than is shown.

    Args:
        room: gives one for each item that still has a place, however deep.
    """
    if isinstance(value, Enum):
        return _shown(value.value, depth, room)
    if isinstance(value, str):
        return mask_text(value[: 2 * MAX_PARAM_VALUE_LENGTH])
    if value is None or isinstance(value, bool | int | float):
        return value
    if is_secret_type(value):
        return MASK
    if isinstance(value, _PLAIN):
        return str(value)
    if depth >= _DEEPEST:
        return _description(value)
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _member(str(key), item, depth, room) for (key, item), _ in zip(value.items(), room)}  # noqa: B905
    if isinstance(value, Set):
        return sorted((_shown(item, depth + 1, room) for item in value), key=str)  # its own order is by chance
    if isinstance(value, list | tuple | range):
        return [_shown(item, depth + 1, room) for item, _ in zip(value, room)]  # noqa: B905
    return _number_of(value)


def _member(key: str, value: Any, depth: int, room: Iterator[int]) -> Any:
    if isinstance(value, str):
        return recorded_value(key, value, value)
    return MASK if is_secret_name(key) and value else _shown(value, depth + 1, room)


def _number_of(value: Any) -> Any:
    """Return a numpy scalar as the number that it is, anything else by its description."""
    item = getattr(value, "item", None)
    if getattr(value, "shape", None) == () and callable(item):
        return item()
    return _description(value)


def _description(value: Any) -> str:
    """Describe an object by what is the same in every process: its type, and its shape where it has one."""
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    kind = type(value)
    shape = getattr(value, "shape", None)
    size = f"({' x '.join(map(str, shape))})" if isinstance(shape, tuple) and shape else ""
    return f"{kind.__module__}.{kind.__qualname__}{size}"


def _abbreviated(text: str) -> str:
    """Cut a long text as MLflow's autologging does (its ``truncate_dict``)."""
    if len(text) <= MAX_PARAM_VALUE_LENGTH:
        return text
    return text[: MAX_PARAM_VALUE_LENGTH - len(_ABBREVIATION)] + _ABBREVIATION
