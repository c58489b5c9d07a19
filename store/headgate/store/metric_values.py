"""How a metric's value stands in a row.

MySQL stores neither NaN nor the infinities, and SQLite turns NaN into NULL: NaN is 0 with a flag, and the largest
finite doubles stand for the infinities (MLflow does the same).
"""

from __future__ import annotations

import math
import sys
from operator import index

from headgate.store.errors import InvalidInput
from headgate.store.validation import MAX_INT64, MIN_INT64, shorten

MAX_DOUBLE = sys.float_info.max


def encode_value(value: float) -> tuple[float, bool]:
    """Return a metric's value as the columns ``value`` and ``is_nan`` hold it."""
    if value != value:
        return 0.0, True
    return min(max(value, -MAX_DOUBLE), MAX_DOUBLE), False


def decode_value(value: float, is_nan: bool) -> float:
    """Return the value that :func:`encode_value` was given."""
    if -MAX_DOUBLE < value < MAX_DOUBLE:
        return math.nan if is_nan else value
    return math.copysign(math.inf, value)


def check_value(key: str, value: object) -> float:
    """Return the value of metric ``key`` as a float.

    Raises:
        InvalidInput: it is not a number; text and booleans are none.
    """
    if isinstance(value, (str, bytes, bool)) or value is None:
        number = None
    else:
        try:
            number = float(value)  # type: ignore[arg-type]  # NumPy's scalars and Decimal have __float__
        except (TypeError, ValueError):
            number = None
        except OverflowError:
            number = math.inf if value > 0 else -math.inf  # type: ignore[operator]  # only an int overflows
    if number is None:
        raise InvalidInput(
            f"The value of metric {key!r} is {shorten(value)}, not a number.", remedy="Log a float or an int.", key=key
        )
    return number


def check_point_timestamp(key: str, timestamp: object) -> int:
    """Return the timestamp of a point of metric ``key``.

    Raises:
        InvalidInput: it is not a whole number of milliseconds, is negative, or does not fit 64 bits.
    """
    number = _whole(timestamp)
    if number is None or not 0 <= number <= MAX_INT64:
        raise InvalidInput(
            f"The timestamp of metric {key!r} is {shorten(timestamp)}, not a time.",
            remedy="Give milliseconds since 1970 (UTC), 0 or more.",
            key=key,
        )
    return number


def check_step(key: str, step: object) -> int:
    """Return the step of a point of metric ``key``.

    Raises:
        InvalidInput: it is not a whole number or does not fit 64 bits.
    """
    number = _whole(step)
    if number is None or not MIN_INT64 <= number <= MAX_INT64:
        raise InvalidInput(
            f"The step of metric {key!r} is {shorten(step)}, not a step.",
            remedy="Give a whole number of 64 bits.",
            key=key,
        )
    return number


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return index(value)  # type: ignore[arg-type]  # NumPy's integers have __index__
    except TypeError:
        return None
