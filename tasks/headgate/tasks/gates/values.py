"""The values that gates are made of: texts, numbers, margins and durations, each checked and in one canonical form.

A value that can't be used raises InvalidGate, whose ``key`` says which one it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation, Overflow
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from headgate.store.errors import InvalidGate

# As the records hold them; names and metrics 250.
_LONGEST = {"dataset": 500, "dataset_digest": 128, "suite_digest": 128, "reason": 1000}
_PERCENT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*%")
_WRITTEN_WITH_EXPONENT = 1e16
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_LONGEST_MS = 3650 * _UNITS_MS["d"]
EXACT = Context(prec=20_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation, Overflow])
"""Sums and products of any floats' decimals fit in: whatever would be rounded raises instead."""
_DURATION = re.compile(r"(\d{1,12})\s*([dhms])")


@lru_cache(maxsize=1024)
def exactly(value: float) -> Decimal:
    """Return the number that a float is written as, exactly.

    Gates compare decimals, as people write them: a candidate at 0.95 beats a champion at 0.93 by 0.02, which binary
    floating point denies. Each float stands for the shortest decimal that reads back as the same float (Python's
    ``repr``); sums and percentages of those are exact in :data:`EXACT`. ``value`` is finite; -0.0 is 0. A decision asks
    for the same few numbers over and over, so they are kept.
    """
    return Decimal(repr(float(value) + 0.0))


def margin_of(actual: float | None, threshold: float | None) -> float | None:
    """Return by how much a measurement exceeds what was demanded, in the decimals that people write.

    None without the two of them, or where the difference is no number.
    """
    if actual is None or threshold is None or not math.isfinite(actual - threshold):
        return None
    return float(EXACT.subtract(exactly(actual), exactly(threshold)))


def text_value(value: object, what: str) -> str:
    """Return a name: printable, not blank, and as short as the records hold it."""
    longest = _LONGEST.get(what, 250)
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > longest:
        raise InvalidGate(
            f"{what} must be a text of 1 to {longest} printable characters, not {value!r}.",
            remedy=f"Give {what} as a text on one line.",
            key=what,
        )
    return value


def number_value(value: object, what: str) -> float:
    """Return a finite number as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidGate(
            f"{what} must be a number, not {value!r}.", remedy="Write a plain number such as 0.95.", key=what
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidGate(
            f"{what} must be a finite number, not {value!r}.", remedy="Every comparison needs a number.", key=what
        )
    return number + 0.0  # -0.0 becomes 0.0, which every database keeps


def margin_value(value: object) -> float | str:
    """Return an absolute margin as a float, a relative one as a text such as ``1%``."""
    if not isinstance(value, str):
        return number_value(value, "by")
    match = _PERCENT.fullmatch(value.strip())
    if match is None:
        raise InvalidGate(
            f"by must be a number or a percentage, not {value!r}.",
            remedy='Write an absolute margin (0.002) or one relative to the champion ("1%").',
            key="by",
        )
    return f"{plain(number_value(float(match[1]), 'by'))}%"


def json_number(value: float) -> float | int:
    """Return a number that every database's JSON gives back as it was: PostgreSQL would turn 1e+16 into an integer."""
    return int(value) if value.is_integer() and abs(value) >= _WRITTEN_WITH_EXPONENT else value


def plain(value: float) -> str:
    """Return a number as people write it: ``95`` for 95.0."""
    return repr(value).removesuffix(".0")


_E = TypeVar("_E", bound=StrEnum)


def member_value(kind: type[_E], value: object, what: str) -> _E:
    """Return the member of an enumeration that a text names."""
    for member in kind:
        if value == member.value:
            return member
    words = [member.value for member in kind]
    raise InvalidGate(
        f"{what} must be {', '.join(words[:-1])} or {words[-1]}, not {value!r}.",
        remedy=f"Choose one of {', '.join(words)}.",
        key=what,
    )


def choice_value(value: object, words: Sequence[str], what: str) -> None:
    """Refuse a value that is none of some words."""
    if value not in words:
        raise InvalidGate(
            f"{what} must be {', '.join(words[:-1])} or {words[-1]}, not {value!r}.",
            remedy=f"Choose one of {', '.join(words)}.",
            key=what,
        )


def duration_ms(value: str | timedelta, what: str) -> int:
    """Return a duration in milliseconds.

    Args:
        value: a whole number with a unit (``d``, ``h``, ``m``, ``s``), or a timedelta of whole seconds.
        what: the name of the setting, for the error.

    Raises:
        InvalidGate: not a duration, not positive, or longer than ten years.
    """
    if isinstance(value, timedelta):
        milliseconds = value // timedelta(milliseconds=1)
        whole = milliseconds % 1000 == 0
    else:
        match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        whole = match is not None
        milliseconds = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    if not whole or not 0 < milliseconds <= _LONGEST_MS:
        raise InvalidGate(
            f"{what} must be a duration between 1 second and 10 years, not {value!r}.",
            remedy="Write a whole number and a unit: 90s, 30m, 24h or 7d.",
            key=what,
        )
    return milliseconds


def duration_text(milliseconds: int) -> str:
    """Return whole seconds, given in milliseconds, in the largest unit that leaves a whole number: ``1d``, ``36h``."""
    unit = next(unit for unit, size in _UNITS_MS.items() if milliseconds % size == 0)
    return f"{milliseconds // _UNITS_MS[unit]}{unit}"


def age_words(milliseconds: int) -> str:
    """Return how long something is, as people say it: ``3 d 4 h``, ``90 s``."""
    seconds = milliseconds // 1000
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} d {hours % 24} h"
