"""When a pipeline runs by itself: a cron expression, updated assets, or a promotion.

Only orchestrators schedule; a run on a laptop ignores this. What is accepted here is what Airflow's and Prefect's cron
readers agree on, so that one file works for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.store.errors import InvalidPipeline

PRESETS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_AFTER = re.compile(r"model:(?P<model>[^@/:]+)(?:@(?P<alias>[A-Za-z0-9_-]+)|/(?P<stage>[A-Za-z]+))")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an orchestrator starts the pipeline.

    Args:
        cron: five fields (``"0 3 * * 1"``) or a preset such as ``@daily``.
        timezone: IANA name that ``cron`` is read in.
        assets: names or URIs of assets; the pipeline runs when they are updated. With ``cron`` as well, on either.
        after: promotions that start it, each as ``model:NAME@alias`` or ``model:NAME/Stage``.
    """

    cron: str | None = None
    timezone: str = "UTC"
    assets: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        zone = f" ({self.timezone})" if self.timezone != "UTC" else ""
        parts = [f"cron {self.cron}{zone}"] if self.cron else []
        parts += [f"assets {', '.join(self.assets)}"] if self.assets else []
        parts += [f"after {', '.join(self.after)}"] if self.after else []
        return " or ".join(parts)


def schedule_from(value: Schedule | str | Mapping[str, Any] | None) -> Schedule | None:
    """Return the schedule that a short form stands for: a cron expression, or the keys of :class:`Schedule`.

    Raises:
        InvalidPipeline: a key or its type is wrong.
    """
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        return Schedule(cron=value)
    unknown = sorted(set(value) - {"cron", "timezone", "assets", "after"})
    if unknown:
        raise InvalidPipeline(
            f"A schedule has no key {unknown[0]!r}.", remedy="It has cron, timezone, assets and after."
        )
    cron, timezone = value.get("cron"), value.get("timezone", "UTC")
    if not isinstance(cron, str | None) or not isinstance(timezone, str):
        raise InvalidPipeline("cron and timezone of a schedule are texts.", remedy='Write cron: "0 3 * * 1".')
    return Schedule(cron, timezone, _texts(value.get("assets", ()), "assets"), _texts(value.get("after", ()), "after"))


def _texts(value: object, key: str) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(item, str) and item for item in values):
        raise InvalidPipeline(f"{key} of a schedule is a text or a list of texts.", remedy=f"Write {key}: [NAME, …].")
    return tuple(values)


def schedule_mistakes(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """Yield (what is wrong, remedy) for everything in ``schedule`` that no orchestrator could follow."""
    if schedule.cron is None and not schedule.assets and not schedule.after:
        yield "The schedule is empty.", 'Give it cron, assets or after, such as schedule: "0 3 * * 1".'
    if schedule.cron is not None:
        yield from _cron_mistakes(schedule.cron)
    if not _timezone_exists(schedule.timezone):
        yield f"There is no time zone {schedule.timezone!r}.", "Write an IANA name such as Europe/Berlin."
    for after in schedule.after:
        if not _AFTER.fullmatch(after):
            yield (
                f"The schedule's after: {after!r} names no promotion.",
                'Write "model:NAME@alias" or "model:NAME/Stage".',
            )


def after_target(after: str) -> tuple[str, str]:
    """Return (model name, target) of an ``after`` entry.

    ``model:churn@champion`` gives ``churn`` and ``@champion``, ``model:churn/Production`` ``churn`` and
    ``stage:Production``.

    Raises:
        InvalidPipeline: it is neither ``model:NAME@alias`` nor ``model:NAME/Stage``.
    """
    match = _AFTER.fullmatch(after)
    if match is None:
        raise InvalidPipeline(f"{after!r} names no promotion.", remedy='Write "model:NAME@alias".')
    return match["model"], f"@{match['alias']}" if match["alias"] else f"stage:{match['stage']}"


def _timezone_exists(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _cron_mistakes(cron: str) -> Iterator[tuple[str, str]]:
    if cron.startswith("@"):
        if cron not in PRESETS:
            yield f"There is no cron preset {cron!r}.", f"There are {', '.join(PRESETS)}."
        return
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        remedy = f"Did you mean '@{cron}'?" if f"@{cron}" in PRESETS else f"Write {names}."
        yield f"The cron expression {cron!r} does not have 5 fields.", remedy
        return
    wrong = False
    for text, field in zip(fields, _FIELDS, strict=True):
        for item in text.split(","):
            if problem := _item_problem(item, field):
                wrong = True
                numbers = f"{field.low} to {field.high}"
                yield (
                    f"The {field.name} {text!r} of the cron expression {cron!r} {problem}.",
                    f"Write a number from {numbers}, a range such as 2-5, a step such as */2, a list or *.",
                )
    if not wrong and _never(fields[2], fields[3], fields[4]):
        yield f"The cron expression {cron!r} never comes: no such month has such a day.", "Give a day that exists."


def _item_problem(item: str, field: _Field) -> str | None:
    span, slash, step = item.partition("/")
    if slash and (not step.isdigit() or int(step) == 0):
        return "has a step that is no positive number"
    if span == "*":
        return None
    low_text, dash, high_text = span.partition("-")
    low = _number(low_text, field)
    high = _number(high_text, field) if dash else low
    if low is None or high is None:
        return "can't be read"
    if slash and not dash:
        return "has a step without a range"
    if not field.low <= low <= field.high or not field.low <= high <= field.high:
        return f"is not between {field.low} and {field.high}"
    return f"runs backwards ({span})" if low > high else None


def _number(text: str, field: _Field) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    lowered = text.lower()
    if lowered not in field.names:
        return None
    return field.names.index(lowered) + field.low


def _never(day: str, month: str, weekday: str) -> bool:
    """A day of month that none of the months has; with a day of week as well, cron takes either of the two."""
    if day == "*" or "/" in day or weekday != "*" or month == "*" or "/" in month:
        return False
    first_day = min(int(item.partition("-")[0]) for item in day.split(","))
    longest = max(_DAYS_IN_MONTH[number - 1] for item in month.split(",") for number in _months(item))
    return first_day > longest


def _months(item: str) -> range:
    low, _, high = item.partition("-")
    first = _number(low, _FIELDS[3]) or 1
    return range(first, (_number(high, _FIELDS[3]) or first) + 1)
