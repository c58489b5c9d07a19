"""Figures of the benchmark: what was measured, beside what, and whether it is what is wanted.

The machine may be busy, so every figure stands beside a baseline that was measured in turns with it, and medians count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Samples:
    """Seconds that the same thing took, time after time.

    Args:
        what: the thing.
        seconds: of one of it; bytes where the unit is ``MB``.
        unit: how it is shown: ``ms``, ``MB``, or how many of it are done in a second, such as ``requests/s``.
    """

    what: str
    seconds: tuple[float, ...]
    unit: str = "ms"

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def shown(self) -> str:
        if self.unit == "ms":
            return f"{self.median * 1e3:,.4g} ms"
        if self.unit == "MB":
            return f"{self.median / 1e6:,.4g} MB"
        return f"{1 / self.median:,.0f} {self.unit}"


@dataclass(frozen=True)
class Target:
    """What a figure should be: no more than, or no less than, a number."""

    number: float
    at_most: bool

    def met_by(self, value: float) -> bool:
        return value <= self.number if self.at_most else value >= self.number


@dataclass(frozen=True)
class Figure:
    """One line of the report. ``value`` is in ``unit``; ``baseline`` is None for a figure that stands alone."""

    name: str
    measured: Samples
    baseline: Samples | None
    value: float
    unit: str
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.target.met_by(self.value)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def in_turns(repeats: int, *things: tuple[str, Callable[[], object]]) -> list[Samples]:
    """Do each thing once unmeasured, then all of them in turns; return what each took, in seconds."""
    return durations(repeats, *((what, timed(do)) for what, do in things))


def durations(repeats: int, *things: tuple[str, Callable[[], float]], unit: str = "ms") -> list[Samples]:
    """As :func:`in_turns`, for things that say themselves how many seconds they took."""
    for _, seconds_of in things:
        seconds_of()
    rounds = [[seconds_of() for _, seconds_of in things] for _ in range(repeats)]
    columns = zip(*rounds, strict=True)
    return [Samples(what, tuple(column), unit) for (what, _), column in zip(things, columns, strict=True)]


def timed(do: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        start = time.perf_counter()
        do()
        return time.perf_counter() - start

    return seconds


def alone(name: str, measured: Samples, at_most: float | None = None) -> Figure:
    """A figure in milliseconds, judged by itself."""
    return Figure(name, measured, None, measured.median * 1e3, "ms", _at_most(at_most))


def more_than(name: str, measured: Samples, baseline: Samples, at_most: float | None = None) -> Figure:
    """What the measured thing takes beyond its baseline, in milliseconds: the median over the turns."""
    extra = median(m - b for m, b in zip(measured.seconds, baseline.seconds, strict=True))
    return Figure(name, measured, baseline, extra * 1e3, "ms more", _at_most(at_most))


def share_of(
    name: str, measured: Samples, baseline: Samples, at_most: float | None = None, unit: str = "of its time"
) -> Figure:
    """The time of the measured thing as a share of its baseline's: the median over the turns."""
    share = median(m / b for m, b in zip(measured.seconds, baseline.seconds, strict=True))
    return Figure(name, measured, baseline, share, unit, _at_most(at_most))


def speed_against(name: str, measured: Samples, baseline: Samples, at_least: float | None = None) -> Figure:
    """The speed of the measured thing as a share of its baseline's: the median over the turns."""
    speed = median(b / m for m, b in zip(measured.seconds, baseline.seconds, strict=True))
    return Figure(
        name, measured, baseline, speed, "of its speed", None if at_least is None else Target(at_least, False)
    )


def _at_most(number: float | None) -> Target | None:
    return None if number is None else Target(number, at_most=True)


def table(title: str, figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text, in columns."""
    head = ("figure", "median", "baseline", "its median", "result", "wanted", "")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join([title, "=" * len(title), *lines, ""])


def _row(figure: Figure) -> tuple[str, ...]:
    baseline = figure.baseline
    target = figure.target
    return (
        figure.name,
        figure.measured.shown,
        baseline.what if baseline else "",
        baseline.shown if baseline else "",
        f"{figure.value:.3g} {figure.unit}",
        f"{'<=' if target.at_most else '>='} {target.number:g}" if target else "",
        "" if figure.met is None else "met" if figure.met else "MISSED",
    )
