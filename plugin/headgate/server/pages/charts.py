"""Small charts of a metric's history, as the geometry that a template draws. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headgate.store.entities import Metric

WIDTH, HEIGHT, MARGIN = 200.0, 44.0, 3.0


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart.

    Args:
        key: the metric.
        path: the ``d`` of an SVG path in a box of WIDTH by HEIGHT; it breaks where a value is not finite.
        last: where the last finite point is drawn; None when no point is finite.
        first_step: of the history.
        last_step: of the history.
        smallest: of the finite values; None when there are none.
        largest: of the finite values.
        gaps: how many points are not finite and therefore not drawn.
    """

    key: str
    path: str
    last: tuple[float, float] | None
    first_step: int
    last_step: int
    smallest: float | None
    largest: float | None
    gaps: int


def chart(key: str, points: Sequence[Metric]) -> Chart:
    """Return the chart of a history, which has at least one point, ordered by step."""
    finite = [point.value for point in points if math.isfinite(point.value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    first, last = points[0].step, points[-1].step
    path, drawn, gap = [], None, True
    for index, point in enumerate(points):
        if not math.isfinite(point.value):
            gap = True
            continue
        along = (point.step - first) / (last - first) if last > first else index / max(len(points) - 1, 1)
        drawn = (_placed(along, WIDTH), HEIGHT - _placed(_share(point.value, low, high), HEIGHT))
        path.append(f"{'M' if gap else 'L'}{drawn[0]:.1f} {drawn[1]:.1f}")
        gap = False
    return Chart(
        key=key,
        path=" ".join(path),
        last=drawn,
        first_step=first,
        last_step=last,
        smallest=low if finite else None,
        largest=high if finite else None,
        gaps=len(points) - len(finite),
    )


def _share(value: float, low: float, high: float) -> float:
    """Return where a value stands between two others, from 0 to 1; halved first, as their difference may overflow."""
    span = high / 2 - low / 2
    return (value / 2 - low / 2) / span if span > 0 else 0.5


def _placed(share: float, length: float) -> float:
    return MARGIN + share * (length - 2 * MARGIN)
