"""What a watch demands of a model once it is promoted: bounds on what is measured on it in a window of time.

A watch is data, as a gate is: the same object from ``watch.yaml`` or in Python, with one canonical definition and one
digest. A gate looks at one measurement on one dataset; a watch, at the points that production logs as time goes by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from enum import StrEnum
from statistics import fmean, median
from typing import Any

from headgate.store.canonical import digest_of
from headgate.store.entities import Severity
from headgate.store.errors import InvalidGate
from headgate.tasks.gates.bounds import Bound, settle_bound
from headgate.tasks.gates.demand import put
from headgate.tasks.gates.values import (
    duration_ms,
    duration_text,
    json_number,
    member_value,
    plain,
    text_value,
)

MAX_CHECKS = 100
_MAX_POINTS = 100_000


class Over(StrEnum):
    """What of a metric's points in the window is compared with the bound."""

    MEAN = "mean"
    MEDIAN = "median"
    MIN = "min"
    MAX = "max"
    LAST = "last"

    def of(self, values: Sequence[float]) -> float:
        """Return it of finite values, the oldest first; there is at least one."""
        if self is Over.MEAN:
            return fmean(values)
        if self is Over.MEDIAN:
            return float(median(values))
        if self is Over.LAST:
            return values[-1]
        return min(values) if self is Over.MIN else max(values)


class WhenSilent(StrEnum):
    """What a watch does whose window ended with too few points to say anything."""

    FAIL = "fail"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class WatchCheck:
    """A bound on one metric of the promoted model. Exactly one of the four bounds is given.

    Args:
        metric: the metric's key.
        at_least, above, at_most, below: the bound.
        over: what of the points in the window is compared.
        severity: ``block``, or ``warn``: recorded, never decisive.

    Raises:
        InvalidGate: no bound or several, or a value of the wrong kind.
    """

    metric: str
    _: KW_ONLY
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    over: Over = Over.MEAN
    severity: Severity = Severity.BLOCK

    def __post_init__(self) -> None:
        put(self, "metric", text_value(self.metric, "metric"))
        put(self, "over", member_value(Over, self.over, "over"))
        put(self, "severity", member_value(Severity, self.severity, "severity"))
        settle_bound(self, f"A watch of {self.metric!r}", "Give one bound per check.")

    @property
    def bound(self) -> Bound:
        return next(bound for bound in Bound if getattr(self, bound.value) is not None)

    @property
    def demanded(self) -> float:
        """The number beside the bound."""
        value: float = getattr(self, self.bound.value)
        return value

    @property
    def rule(self) -> str:
        return f"{self.over} {self.metric} {self.bound.symbol} {plain(self.demanded)}"

    def definition(self) -> dict[str, Any]:
        bound = {self.bound.value: json_number(self.demanded)}
        return {"metric": self.metric, **bound, "over": str(self.over), "severity": str(self.severity)}


@dataclass(frozen=True, slots=True)
class Watch:
    """A named set of bounds that a promoted model has to keep for a while.

    Args:
        name: what verdicts and messages call it.
        checks: all of them have to hold.
        window: how long after the promotion measurements count (``24h``, or a timedelta).
        min_points: points of a metric in the window below which nothing is said of it.
        when_silent: what happens when the window ends with fewer: ``fail`` or ``roll_back``.

    Raises:
        InvalidGate: the watch can't say anything as it is written.
    """

    name: str
    checks: tuple[WatchCheck, ...]
    _: KW_ONLY
    window: str | timedelta = "24h"
    min_points: int = 1
    when_silent: WhenSilent = WhenSilent.FAIL

    def __post_init__(self) -> None:
        put(self, "name", text_value(self.name, "name"))
        put(self, "checks", _checked(self.name, self.checks))
        put(self, "window", duration_text(duration_ms(self.window, "window")))
        put(self, "when_silent", member_value(WhenSilent, self.when_silent, "when_silent"))
        points = self.min_points
        if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= _MAX_POINTS:
            raise InvalidGate(
                f"min_points must be a whole number from 1 to {_MAX_POINTS}, not {points!r}.",
                remedy="Say how many points of a metric it takes to judge it.",
                key="min_points",
            )

    @property
    def window_ms(self) -> int:
        return duration_ms(self.window, "window")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of all metrics that the watch reads, sorted."""
        return tuple(sorted({check.metric for check in self.checks}))

    def definition(self) -> dict[str, Any]:
        """Return the canonical definition: plain JSON values, every default said, readable as a watch file."""
        return {
            "name": self.name,
            "window": self.window,
            "min_points": self.min_points,
            "when_silent": str(self.when_silent),
            "checks": [check.definition() for check in self.checks],
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical definition as JSON with sorted keys."""
        return digest_of(self.definition())


def _checked(name: str, checks: Iterable[WatchCheck]) -> tuple[WatchCheck, ...]:
    found = tuple(checks)
    if not any(isinstance(check, WatchCheck) and check.severity is Severity.BLOCK for check in found):
        raise InvalidGate(
            f"The watch {name!r} has no check that can block, so it would always pass.",
            remedy="Give it at least one check with severity block.",
        )
    if len(found) > MAX_CHECKS or not all(isinstance(check, WatchCheck) for check in found):
        raise InvalidGate(f"The watch {name!r} takes up to {MAX_CHECKS} checks.", remedy="Split it into several.")
    return found
