"""Histories thinned out for charts: evenly, with both ends, never more points than were asked for."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from headgate.store.entities import Metric
from headgate.store.store import Store


def logged(store: Store, values: list[float]) -> str:
    """Log a metric, two points to each step; return its run."""
    run_id = store.runs.open("0").info.run_id
    store.metrics.log(run_id, [Metric("loss", value, timestamp=n, step=n // 2) for n, value in enumerate(values)])
    return run_id


def values(points: tuple[Metric, ...], run_id: str) -> list[float]:
    return [point.value for point in points if point.run_id == run_id]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 23, 24, 2500])
def test_a_sample_has_both_ends_and_no_more_than_asked_for(store: Store, most: int) -> None:
    run_id = logged(store, [float(n) for n in range(23)])
    found = values(store.metrics.samples([run_id], "loss", most=most), run_id)
    assert len(found) == min(most, 23)
    assert found == sorted(found)
    assert found[-1] == 22.0
    assert most == 1 or found[0] == 0.0
    steps = [right - left for left, right in pairwise(found)]
    assert not steps or max(steps) <= 2 * math.ceil(23 / most)


def test_runs_come_in_the_order_asked_for_and_unknown_ones_add_nothing(store: Store) -> None:
    first, second = logged(store, [1.0, 2.0]), logged(store, [3.0])
    found = store.metrics.samples([second, "0" * 32, first], "loss", most=10)
    assert [(point.run_id, point.value) for point in found] == [(second, 3.0), (first, 1.0), (first, 2.0)]
    assert store.metrics.samples([first], "none", most=10) == ()


def test_steps_are_bounded_at_both_ends(store: Store) -> None:
    run_id = logged(store, [float(n) for n in range(20)])
    assert values(store.metrics.samples([run_id], "loss", most=10, steps=(2, 3)), run_id) == [4.0, 5.0, 6.0, 7.0]


def test_a_value_that_is_no_number_stays_one(store: Store) -> None:
    run_id = logged(store, [1.0, math.nan, 2.0])
    found = values(store.metrics.samples([run_id], "loss", most=3), run_id)
    assert [math.isnan(value) for value in found] == [False, True, False]


def test_the_charts_of_a_run_are_the_samples_of_its_metrics(store: Store) -> None:
    run_id = logged(store, [float(n) for n in range(23)])
    store.metrics.log(run_id, [Metric("f1", n / 10, timestamp=n, step=n) for n in range(9)])
    store.metrics.log(run_id, [Metric("late", math.nan, timestamp=1)])
    other = logged(store, [7.0, 8.0])

    charts = store.metrics.charts(run_id, ["loss", "f1", "late", "no such"], most=5)

    assert list(charts) == ["loss", "f1", "late"]
    assert charts["loss"] == store.metrics.samples([run_id], "loss", most=5)
    assert charts["f1"] == store.metrics.samples([run_id], "f1", most=5)
    assert [math.isnan(point.value) for point in charts["late"]] == [True]
    assert [point.value for point in store.metrics.charts(other, ["loss"], most=5)["loss"]] == [7.0, 8.0]
