"""When the runs of a pipeline run took place, as bars that a template draws. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.store.entities import RunInfo

WIDTH = 120.0
_THINNEST = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a run lies in the time of its pipeline run, in a box that is WIDTH wide."""

    x: float
    width: float


def bars(infos: Sequence[RunInfo], now: int) -> dict[str, Bar]:
    """Return the bar of each run by its id. One that still runs reaches to ``now``; all fit into the same time."""
    spans = {info.run_id: (info.start_time, max(info.start_time, _end(info, now))) for info in infos}
    first = min((start for start, _ in spans.values()), default=0)
    whole = max((end for _, end in spans.values()), default=0) - first
    return {run_id: _bar(start - first, end - first, whole) for run_id, (start, end) in spans.items()}


def _end(info: RunInfo, now: int) -> int:
    return now if info.end_time is None else info.end_time


def _bar(start: int, end: int, whole: int) -> Bar:
    if whole <= 0:
        return Bar(0.0, WIDTH)
    width = max(WIDTH * (end - start) / whole, _THINNEST)
    return Bar(min(WIDTH * start / whole, WIDTH - width), width)
