"""Values as people read them: numbers, times, durations, sizes. Pure; what can't be read is shown as it is."""

from __future__ import annotations

import math
from datetime import UTC, datetime

NOTHING = "–"  # noqa: RUF001  # a dash, where a table has no value
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000


def number(value: float | None) -> str:
    """Return a number with six significant digits; NaN and the infinities are said, never hidden."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.6g}"


def signed(value: float | None) -> str:
    """Return a difference with its sign."""
    if value is None or math.isnan(value) or value < 0:
        return number(value)
    return f"+{number(value)}" if value > 0 else "±0"


def time(epoch_ms: int | None) -> str:
    """Return a time in UTC, to the second."""
    moment = _moment(epoch_ms)
    return NOTHING if epoch_ms is None else f"{epoch_ms} ms" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def machine_time(epoch_ms: int | None) -> str:
    """Return a time as the ``datetime`` attribute of HTML takes it; empty when it is none."""
    moment = _moment(epoch_ms)
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def ago(epoch_ms: int | None, now: int) -> str:
    """Return how long ago a time was, in its largest unit; for a time to come, in how long it will be."""
    if epoch_ms is None:
        return ""
    passed = now - epoch_ms
    if abs(passed) < _MINUTE:
        return "just now" if passed >= 0 else "in a moment"
    said = _largest(abs(passed))
    return f"{said} ago" if passed > 0 else f"in {said}"


def duration(milliseconds: int | None) -> str:
    """Return a length of time in its two largest units."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)} ms"
    if milliseconds < _MINUTE:
        return f"{milliseconds / 1000:.1f} s"
    days, rest = divmod(milliseconds, _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    parts.append(f"{rest // 1000} s")
    return " ".join([part for part in parts if part][:2])


def size(count: int | None) -> str:
    """Return a number of bytes in its largest unit."""
    if count is None:
        return NOTHING
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def count(value: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{value:,} {one if value == 1 else many or f'{one}s'}"


def short_id(identifier: str | None) -> str:
    """Return enough of an id to tell it from its neighbours."""
    if not identifier:
        return NOTHING
    prefix, dash, rest = identifier.partition("-")
    return f"{prefix}-{rest[:8]}" if dash and len(prefix) == 1 else identifier[:8]


def _moment(epoch_ms: int | None) -> datetime | None:
    if epoch_ms is None:
        return None
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a script may log any timestamp; a page about it must still be readable


def _largest(milliseconds: int) -> str:
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if milliseconds >= length:
            return f"{milliseconds // length} {unit}"
    return f"{milliseconds // 1000} s"
