"""What a LoggedModel's many points say in a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from headgate.store.entities import Metric


def newest_measurements(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return the latest point of each metric on each dataset, by metric."""
    latest: dict[tuple[str, str], Metric] = {}
    for metric in sorted(metrics, key=lambda metric: (metric.timestamp, metric.step)):
        latest[metric.key, metric.dataset_digest or ""] = metric
    return tuple(metric for _, metric in sorted(latest.items()))
