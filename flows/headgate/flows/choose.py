"""Which run of a sweep goes on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from headgate.flows.model import Choice


def choose_best(choice: Choice, metrics: Sequence[Mapping[str, float]]) -> int | None:
    """Return the map index of the best run of a sweep.

    Args:
        choice: the metric, and whether more or less of it is better.
        metrics: the latest metrics of each run, in the order of their map indexes.

    Returns:
        The index of the best run. A run that lacks the metric, or whose metric is NaN or infinite, is never chosen;
        among equals the lowest map index is, so that a resumed run chooses again what it chose before. None when no
        run can be chosen.
    """
    measured = [
        (index, values[choice.metric])
        for index, values in enumerate(metrics)
        if choice.metric in values and math.isfinite(values[choice.metric])
    ]
    if not measured:
        return None
    sign = 1 if choice.mode == "min" else -1
    return min(measured, key=lambda member: (sign * member[1], member[0]))[0]
