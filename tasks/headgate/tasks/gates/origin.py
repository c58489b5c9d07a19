"""Where the plain values of a gate, or of something like one, came from, so that a mistake is shown there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from headgate.store.errors import InvalidGate
from headgate.tasks.places import Place, below, line_of

_Built = TypeVar("_Built")


@dataclass(frozen=True)
class Origin:
    """Where values came from. Every mistake is an :class:`~headgate.store.errors.InvalidGate` with place and remedy.

    Args:
        file: path of the file, as the user gave it; None for values that were not read from a file.
        lines: line (from 1) of each place in the file.
        texts: what was written at each place, where YAML read a plain word as a number.
        what: what the values make: ``gate`` or ``watch``.
    """

    file: str | None = None
    lines: Mapping[Place, int] = field(default_factory=dict)
    texts: Mapping[Place, str] = field(default_factory=dict)
    what: str = "gate"

    def below(self, where: Place) -> Origin:
        """Return the origin of the values below a place."""
        return Origin(self.file, below(self.lines, where), below(self.texts, where), self.what)

    def mistake(self, where: Place, message: str, remedy: str) -> InvalidGate:
        """Return the error that shows a mistake at its place."""
        line = line_of(self.lines, where)
        if self.file is not None:
            place = self.file if line is None else f"{self.file}:{line}"
        else:
            place = f"{self.what} definition at {_path_text(where)}"
        return InvalidGate(f"{place}: {message}", remedy=remedy, file=self.file, line=line)

    def built(self, where: Place, build: Callable[[], _Built]) -> _Built:
        """Return what ``build`` makes of values at a place; what it refuses is shown there."""
        try:
            return build()
        except InvalidGate as error:
            key = error.attributes.get("key")
            place = (*where, key) if key is not None else where
            raise self.mistake(place, error.message, error.remedy) from error

    def mapping(self, value: object, where: Place, what: str) -> Mapping[str, Any]:
        """Return a value that is keys and values."""
        if not isinstance(value, Mapping):
            said = f"{what} must be keys and values, not {kind_of(value)}."
            raise self.mistake(where, said, "Write `key: value` lines.")
        return value

    def refuse_unknown(self, keys: Mapping[str, Any], known: Iterable[str], where: Place, *, of: str = "here") -> None:
        """Raise unless all keys are known ones."""
        known = tuple(known)
        for key in keys:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
                guess = f"Did you mean `{near[0]}`? " if near else ""
                raise self.mistake(
                    (*where, key), f"unknown key `{key}` {of}.", f"{guess}The keys {of} are: {', '.join(known)}."
                )

    def text(self, value: object, where: Place) -> str:
        """Return a value that is a text, or that was written as one: an unquoted 20251121 is a name or a digest."""
        if isinstance(value, str):
            return value
        if where in self.texts and not isinstance(value, bool) and value is not None:
            return self.texts[where]
        raise self.mistake(where, f"`{where[-1]}` must be a text, not {kind_of(value)}.", "Put the value in quotes.")

    def number(self, value: object, where: Place) -> float:
        """Return a value that is a number."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        raise self.mistake(
            where, f"`{where[-1]}` must be a number, not {kind_of(value)}.", "Write a plain number such as 0.95."
        )


def kind_of(value: object) -> str:
    """Say what a value is, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    return f"{value!r}"


def _path_text(where: Place) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "its top"
