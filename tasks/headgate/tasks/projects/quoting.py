"""Where in a shell command a placeholder stands, and how a value is written there so that it arrives literally.

MLflow quotes every value as a word of its own (``shlex.quote``), whatever stands around it. In ``--name "{name}"`` the
quotes then come in pairs with those of the template, and ``$(…)`` in a value is executed. Here the value is written
for the place it stands in: as a word, inside ``"…"``, or inside ``'…'``. Places in which no way of writing is safe
(a here-document, back quotes, ``$'…'``, ``${…}``, arithmetic, right after ``$`` or a backslash, a comment) are refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Place(Enum):
    """What surrounds a placeholder."""

    WORD = "a word"
    DOUBLE_QUOTES = "double quotes"
    SINGLE_QUOTES = "single quotes"
    BACK_QUOTES = "back quotes"
    ANSI_QUOTES = "$'…' quotes"
    PARAMETER = "${…}"
    ARITHMETIC = "((…))"
    AFTER_DOLLAR = "a name that begins with $"
    AFTER_BACKSLASH = "an escape that begins with a backslash"
    HERE_DOCUMENT = "a here-document"
    COMMENT = "a comment"


_WRITABLE = (Place.WORD, Place.DOUBLE_QUOTES, Place.SINGLE_QUOTES)
_SPECIAL_IN_DOUBLE_QUOTES = frozenset('\\"$`')
_STARTS_A_WORD = frozenset(" \t\n;&|()")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a command template: literal text, or a placeholder (``field`` is its name)."""

    text: str = ""
    field: str | None = None


def writable(place: Place) -> bool:
    """Say whether a value can be written at this place so that it arrives literally."""
    return place in _WRITABLE


def write_value(value: str, place: Place) -> str:
    """Return ``value`` as shell text for a writable place: bash reads exactly ``value`` there."""
    if place is Place.WORD:
        return shlex.quote(value)
    if place is Place.DOUBLE_QUOTES:
        return "".join(f"\\{char}" if char in _SPECIAL_IN_DOUBLE_QUOTES else char for char in value)
    if place is Place.SINGLE_QUOTES:
        return value.replace("'", "'\\''")
    raise ValueError(f"no value can be written inside {place.value}")


def write_variable(name: str, place: Place) -> str:
    """Return shell text for a writable place that stands for the value of an environment variable, undivided."""
    if place is Place.WORD:
        return f'"${{{name}}}"'
    if place is Place.DOUBLE_QUOTES:
        return f"${{{name}}}"
    if place is Place.SINGLE_QUOTES:
        return f"'\"${{{name}}}\"'"
    raise ValueError(f"no variable can be read inside {place.value}")


def place_fields(pieces: list[Piece]) -> Iterator[tuple[Piece, Place]]:
    """Yield each piece of a template with the place at which it begins."""
    scanner = _Scanner()
    for piece in pieces:
        yield piece, scanner.place
        scanner.read("" if piece.field is not None else piece.text, is_word=piece.field is not None)


class _Scanner:
    """Follows bash's quoting through literal text. Values are written so that they never change its state."""

    def __init__(self) -> None:
        self._stack: list[Place] = [Place.WORD]  # WORD also stands for the inside of $(…) and (…)
        self._before = "\n"  # the character before, to know where a word (and so a comment) starts
        self._open_ended: Place | None = None  # what a trailing $ or backslash makes of the next character
        self._here_document = False

    @property
    def place(self) -> Place:
        if self._open_ended is not None:
            return self._open_ended
        inner = self._stack[-1]
        return Place.HERE_DOCUMENT if self._here_document and inner is not Place.COMMENT else inner

    def read(self, text: str, *, is_word: bool = False) -> None:
        self._open_ended = None
        if is_word:
            self._before = "x"
        position = 0
        while position < len(text):
            length = self._step(text, position)
            escaped = length == 2 and text[position] == "\\"
            self._before = "x" if escaped else text[position + length - 1]
            position += length

    def _step(self, text: str, at: int) -> int:
        """Take in what stands at ``at``; return how many characters that was."""
        place = self._stack[-1]
        char = text[at]
        if place is Place.SINGLE_QUOTES:
            self._close_on("'", char)
        elif place is Place.COMMENT:
            self._close_on("\n", char)
        elif char == "\\":
            self._open_ended = Place.AFTER_BACKSLASH if at + 1 == len(text) else None
            return min(2, len(text) - at)
        elif place is Place.ANSI_QUOTES:
            self._close_on("'", char)
        elif place is Place.BACK_QUOTES:
            self._close_on("`", char)
        elif place is Place.PARAMETER and char == "}":
            self._stack.pop()
        elif place is Place.ARITHMETIC and char in "()":
            self._stack.append(place) if char == "(" else self._stack.pop()
        elif char == "`":
            self._stack.append(Place.BACK_QUOTES)
        elif char == "$":
            return self._dollar(text, at, place)
        elif char == '"':
            self._double_quote(place)
        elif place is Place.WORD:
            return self._word(text, at)
        return 1

    def _close_on(self, closing: str, char: str) -> None:
        if char == closing:
            self._stack.pop()

    def _dollar(self, text: str, at: int, place: Place) -> int:
        if text.startswith("((", at + 1):
            self._stack += [Place.ARITHMETIC, Place.ARITHMETIC]
            return 3
        following = text[at + 1 : at + 2]
        if not following:
            self._open_ended = Place.AFTER_DOLLAR
        opened = {"(": Place.WORD, "{": Place.PARAMETER}.get(following)
        if following == "'" and place is not Place.DOUBLE_QUOTES:
            opened = Place.ANSI_QUOTES
        if opened is None:
            return 1
        self._stack.append(opened)
        return 2

    def _double_quote(self, place: Place) -> None:
        if place is Place.DOUBLE_QUOTES:
            self._stack.pop()
        else:
            self._stack.append(Place.DOUBLE_QUOTES)

    def _word(self, text: str, at: int) -> int:
        char = text[at]
        if char == "'":
            self._stack.append(Place.SINGLE_QUOTES)
        elif text.startswith("((", at):
            self._stack += [Place.ARITHMETIC, Place.ARITHMETIC]
            return 2
        elif char == "(":
            self._stack.append(Place.WORD)
        elif char == ")" and len(self._stack) > 1:
            self._stack.pop()
        elif char == "#" and self._before in _STARTS_A_WORD:
            self._stack.append(Place.COMMENT)
        elif text.startswith("<<<", at):
            return 3
        elif text.startswith("<<", at):
            self._here_document = True
            return 2
        return 1
