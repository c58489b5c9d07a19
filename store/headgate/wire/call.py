"""One request as a handler sees it: its parameters with their types checked as MLflow checks them.

MLflow's bodies are proto3 JSON in snake case: a number may come as a string, ``NaN`` as a word or as a bare token, and
a field that is not there has its default. GET requests say the same in the query string.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError, missing, wrong
from headgate.wire.principal import Principal
from headgate.wire.uris import ArtifactUris

if TYPE_CHECKING:
    from headgate.store.store import Store

_INT64 = 1 << 63


@dataclass
class Call:
    """A request on its way to a handler.

    Args:
        store: the store that the application serves.
        method: the HTTP method, upper case.
        path: the path below the application's prefix, percent-decoded.
        arguments: what the route's pattern found in the path.
        query: the query string, undecoded.
        body: the whole body; empty for a route that streams.
        headers: lower-case names.
        principal: who sends it.
        now: when it came, epoch ms.
    """

    store: Store
    method: str
    path: str
    arguments: Mapping[str, str]
    query: bytes
    body: bytes
    headers: Mapping[bytes, bytes]
    principal: Principal
    now: int

    @cached_property
    def uris(self) -> ArtifactUris:
        """Return the translation between the store's artifact URIs and those of clients."""
        return ArtifactUris(self.store.artifact_root)

    @cached_property
    def parameters(self) -> Fields:
        """Return the request's parameters: of the query for a GET, of the JSON body for all else."""
        if self.method == "GET":
            lists = parse_qs(self.query.decode("latin-1"), keep_blank_values=True)
            return Fields(lists, from_query=True)
        return Fields(parse_body(self.body))


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the object that a JSON body holds; an empty body holds an empty one.

    Raises:
        WireError: the body is not JSON, or not an object.
    """
    if not body:
        return {}
    try:
        value = json.loads(body)
        if isinstance(value, str):
            value = json.loads(value)  # old clients encode twice
    except (ValueError, RecursionError) as error:
        raise WireError("BAD_REQUEST", f"The request body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise WireError("BAD_REQUEST", f"The request body must be a JSON object, not {type(value).__name__}.")
    return value


class Fields:
    """The fields of a JSON object or a query string, read by type.

    Each reader takes the field's name and raises MLflow's error for a value of another type. ``null`` counts as absent.
    """

    __slots__ = ("_from_query", "_path", "_values")

    def __init__(self, values: Mapping[str, Any], *, from_query: bool = False, path: str = "") -> None:
        self._values = values
        self._from_query = from_query
        self._path = path

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def raw(self, name: str) -> Any:
        value = self._values.get(name)
        if self._from_query and isinstance(value, list):
            return value[-1]
        return value

    def string(self, name: str, default: str | None = None) -> str | None:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise wrong(self._path + name, value)
        return value

    def required_string(self, name: str) -> str:
        value = self.string(name)
        if not value:
            raise missing(self._path + name)
        return value

    def text(self, name: str) -> str:
        """Return a string that has to be said but may be empty."""
        value = self.string(name)
        if value is None:
            raise missing(self._path + name)
        return value

    def first_string(self, *names: str) -> str:
        """Return the first of several fields that is there: ``run_id`` and its old name ``run_uuid``."""
        for name in names:
            value = self.string(name)
            if value:
                return value
        raise missing(self._path + names[0])

    def integer(self, name: str, default: int | None = None) -> int | None:
        value = self.raw(name)
        if value is None:
            return default
        number = _integer(value)
        if number is None:
            raise wrong(self._path + name, value)
        return number

    def required_integer(self, name: str) -> int:
        value = self.integer(name)
        if value is None:
            raise missing(self._path + name)
        return value

    def number(self, name: str) -> float:
        value = self.raw(name)
        if value is None:
            raise missing(self._path + name)
        result = _number(value)
        if result is None:
            raise wrong(self._path + name, value)
        return result

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if self._from_query and isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise wrong(self._path + name, value)

    def strings(self, name: str) -> list[str]:
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise wrong(self._path + name, value)
        return value

    def objects(self, name: str) -> list[Fields]:
        return [Fields(item, path=f"{self._path}{name}[{index}].") for index, item in enumerate(self.mappings(name))]

    def mappings(self, name: str) -> list[dict[str, Any]]:
        """Return objects whose fields nobody has checked."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise wrong(self._path + name, value)
        return value

    def object(self, name: str) -> Fields:
        value = self._values.get(name)
        if value is None:
            return Fields({}, path=f"{self._path}{name}.")
        if not isinstance(value, dict):
            raise wrong(self._path + name, value)
        return Fields(value, path=f"{self._path}{name}.")

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of an enum's words; its number counts too."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, str) and value in choices:
            return value
        number = _integer(value)
        if number is not None and 1 <= number <= len(choices):
            return choices[number - 1]
        raise wrong(self._path + name, value)

    def limited(self, name: str, *, default: int, most: int) -> int:
        """Return a page size within MLflow's bounds."""
        value = self.integer(name, default)
        assert value is not None
        if not 1 <= value <= most:
            raise WireError(
                INVALID_PARAMETER_VALUE,
                f"Invalid value {value} for parameter '{name}' supplied: it must be between 1 and {most}.",
            )
        return value


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int):
            number = value
        elif isinstance(value, str) or (isinstance(value, float) and value.is_integer()):
            number = int(value)
        else:
            return None
    except ValueError:
        return None
    return number if -_INT64 <= number < _INT64 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None
