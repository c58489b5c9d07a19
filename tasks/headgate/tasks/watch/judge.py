"""What the points of a window say: a pure function of the watch, the points and the time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from headgate.store.entities import CheckResult, Metric, Outcome, Severity
from headgate.tasks.gates.values import exactly, plain
from headgate.tasks.watch.model import Watch, WatchCheck

KIND = "watch"


def judge(watch: Watch, points: Iterable[Metric], *, since: int, now: int) -> tuple[Outcome, tuple[CheckResult, ...]]:
    """Judge a promoted model by what was measured on it since its promotion.

    * ``reject`` as soon as a blocking check with enough points does not hold: nobody waits for the end of the window. A
      point that is NaN or infinite is a breach, however many others are sound.
    * ``hold`` while the window is open and nothing is broken.
    * At its end ``pass``; or ``error``, when a blocking check has too few points to say anything.

    Args:
        watch: what is demanded.
        points: of the watch's metrics; those outside of the window don't count.
        since: when the model was promoted, epoch ms.
        now: epoch ms.
    """
    until = since + watch.window_ms
    by_metric: dict[str, list[Metric]] = {}
    for point in sorted(points, key=lambda each: (each.timestamp, each.step)):
        if since <= point.timestamp <= min(until, now):
            by_metric.setdefault(point.key, []).append(point)
    closed = now >= until
    results = tuple(
        _result(watch, check, f"checks[{index}]", by_metric.get(check.metric, []), closed=closed)
        for index, check in enumerate(watch.checks)
    )
    return _outcome(results, closed=closed), results


def _outcome(results: Sequence[CheckResult], *, closed: bool) -> Outcome:
    blocking = {result.outcome for result in results if result.severity is Severity.BLOCK}
    if Outcome.REJECT in blocking:
        return Outcome.REJECT
    if not closed:
        return Outcome.HOLD
    return Outcome.ERROR if Outcome.ERROR in blocking else Outcome.PASS


def _result(watch: Watch, check: WatchCheck, path: str, points: Sequence[Metric], *, closed: bool) -> CheckResult:
    last = points[-1] if points else None
    unsound = next((point for point in points if not math.isfinite(point.value)), None)
    actual: float | None = None
    if unsound is not None:
        outcome, last, actual = Outcome.REJECT, unsound, unsound.value
        message = f"{check.metric} was measured as {unsound.value}, which keeps no bound."
    elif len(points) < watch.min_points:
        outcome = Outcome.ERROR if closed else Outcome.HOLD
        message = f"{check.metric} has {_points(len(points))} in the window; it takes {watch.min_points} to judge it."
    else:
        actual = check.over.of([point.value for point in points])
        kept = check.bound.holds(exactly(actual), exactly(check.demanded))
        outcome = Outcome.PASS if kept else Outcome.REJECT
        verb = "keeps" if kept else "breaks"
        message = f"The {check.over} of {_points(len(points))} is {plain(float(actual))}, which {verb} the rule."
    return CheckResult(
        path=path,
        kind=KIND,
        rule=check.rule,
        outcome=outcome,
        severity=check.severity,
        metric=check.metric,
        threshold=check.demanded,
        actual=actual,
        dataset_name=last.dataset_name if last else None,
        dataset_digest=last.dataset_digest if last else None,
        run_id=last.run_id if last else None,
        measured_at=last.timestamp if last else None,
        message=message,
    )


def _points(number: int) -> str:
    return "1 point" if number == 1 else f"{number} points"
