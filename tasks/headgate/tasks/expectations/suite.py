"""A suite of expectations, read from the JSON or YAML that Great Expectations 1.x writes, without importing it.

Great Expectations drops an expectation whose type it doesn't know, and an empty suite passes. Here every mistake is an
error: a suite that was read has expectations, and each of them is judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from headgate.store.canonical import digest_of, to_plain
from headgate.store.errors import InvalidProject, InvalidSuite
from headgate.tasks.projects.located_yaml import read_yaml

SEVERITIES = ("info", "warning", "critical")
"""How bad it is when an expectation is not met, in Great Expectations' words, the mildest first."""

_SUITE_KEYS = {"name", "expectations", "id", "meta", "notes", "suite_parameters"}
_EXPECTATION_KEYS = {"type", "kwargs", "severity", "id", "meta", "notes", "description", "rendered_content"}
_OLD_KEYS = {"expectation_suite_name": "name", "expectation_type": "type", "data_asset_type": "", "ge_cloud_id": "id"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite.

    Args:
        type: such as ``expect_column_values_to_not_be_null``.
        kwargs: its arguments, plain values.
        severity: one of :data:`SEVERITIES`.
        place: where it stands, for messages: ``suite.yaml:12``, or its position.
    """

    type: str
    kwargs: Mapping[str, Any]
    severity: str = "critical"
    place: str = ""

    @property
    def rule(self) -> str:
        """The expectation in words: ``expect_column_max_to_be_between(column='age', max_value=120)``."""
        return f"{self.type}({', '.join(f'{key}={value!r}' for key, value in self.kwargs.items())})"


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of expectations, never empty."""

    name: str
    expectations: tuple[Expectation, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of what the suite says, wherever it was read from."""
        said = [{"type": e.type, "kwargs": to_plain(e.kwargs), "severity": e.severity} for e in self.expectations]
        return digest_of({"name": self.name, "expectations": said})


def load_suite(suite: Any) -> Suite:
    """Read a suite.

    Args:
        suite: the path of a ``.json``, ``.yaml`` or ``.yml`` file, or what stands in one: ``{"name": …,
            "expectations": [{"type": …, "kwargs": {…}, "severity": …}]}``. A file without a name has that of the file.
            Or an ``ExpectationSuite`` of Great Expectations, as Python code makes it.

    Raises:
        InvalidSuite: it can't be read, says something that a suite can't mean, or has no expectations; with ``file``
            and, for YAML, ``line``.
    """
    if callable(in_json := getattr(suite, "to_json_dict", None)):
        suite = in_json()
    if isinstance(suite, Mapping):
        return _Reading("the suite", None, None).suite(suite, None)
    path = Path(suite)
    if path.suffix == ".json":
        return _Reading(str(path), str(path), None).suite(_json(path), path.stem)
    try:
        located = read_yaml(path)
    except InvalidProject as error:
        raise InvalidSuite(error.message, remedy=error.remedy, **error.attributes) from error
    return _Reading(str(path), str(path), located.line).suite(located.value, path.stem)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidSuite(
            f"{path}: The file can't be read: {error.strerror}.", remedy="Give the path of a suite.", file=str(path)
        ) from error
    except ValueError as error:
        line = getattr(error, "lineno", None)
        place = path if line is None else f"{path}:{line}"
        raise InvalidSuite(
            f"{place}: This is not JSON: {error}.", remedy="Correct the file.", file=str(path), line=line
        ) from error


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where a suite is read from, so that a mistake can be shown there."""

    called: str
    file: str | None
    line_of: Any

    def suite(self, said: object, default_name: str | None) -> Suite:
        if not isinstance(said, Mapping):
            raise self.mistake((), "A suite is a mapping with expectations.", "Write name: and expectations:.")
        self._refuse_unknown(said, _SUITE_KEYS, ())
        name = said.get("name", default_name)
        if not isinstance(name, str) or not name:
            raise self.mistake(("name",), "The suite has no name.", "Give it one: name: orders.")
        listed = said.get("expectations")
        if not isinstance(listed, list) or not listed:
            raise self.mistake(
                ("expectations",),
                f"The suite {name!r} has no expectations: it would pass whatever the data are.",
                "Say under expectations: what is expected.",
            )
        return Suite(name, tuple(self._expectation(item, position) for position, item in enumerate(listed)))

    def _expectation(self, said: object, position: int) -> Expectation:
        where = ("expectations", position)
        if not isinstance(said, Mapping):
            raise self.mistake(where, "An expectation is a mapping.", "Write type: and kwargs:.")
        self._refuse_unknown(said, _EXPECTATION_KEYS, where)
        kind, kwargs, severity = said.get("type"), said.get("kwargs") or {}, said.get("severity", "critical")
        if not isinstance(kind, str) or not kind:
            raise self.mistake(where, "The expectation has no type.", "Write type: expect_…")
        if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
            raise self.mistake((*where, "kwargs"), f"The kwargs of {kind} are no mapping.", "Write name: value.")
        if severity not in SEVERITIES:
            raise self.mistake(
                (*where, "severity"),
                f"The severity of {kind} is {severity!r}.",
                f"Say {', '.join(SEVERITIES[:-1])} or {SEVERITIES[-1]}.",
            )
        plain = {key: _plain(value) for key, value in kwargs.items()}
        return Expectation(kind, plain, severity, self._place(where) if self.file else f"expectation {position}")

    def _refuse_unknown(self, said: Mapping[Any, Any], known: set[str], where: tuple[str | int, ...]) -> None:
        for key in said:
            if key in known:
                continue
            if key in _OLD_KEYS:
                now = f" is {_OLD_KEYS[key]}: in 1.x" if _OLD_KEYS[key] else " has no meaning in 1.x"
                remedy = f"This is a suite of Great Expectations before 1.0: {key}{now}."
            else:
                remedy = f"Known are {', '.join(sorted(known))}."
            raise self.mistake((*where, key), f"A suite has no {key!r} here.", remedy)

    def mistake(self, where: tuple[Any, ...], what: str, remedy: str) -> InvalidSuite:
        line = None if self.line_of is None else self.line_of(*where)
        return InvalidSuite(f"{self._place(where)}: {what}", remedy=remedy, file=self.file, line=line)

    def _place(self, where: tuple[Any, ...]) -> str:
        line = None if self.line_of is None else self.line_of(*where)
        if line is not None:
            return f"{self.called}:{line}"
        path = ".".join(str(part) for part in where)
        return f"{self.called} at {path}" if path else self.called


def _plain(value: Any) -> Any:
    """Return a value of YAML as JSON has it. A date becomes midnight: pandas compares no timestamp with a mere date."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day).isoformat()  # noqa: DTZ001 - as naive as the data
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
