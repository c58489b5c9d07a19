"""Choosing the best run of a sweep."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.flows import Choice
from headgate.flows.choose import choose_best

NAN, INF = math.nan, math.inf
runs = st.lists(
    st.one_of(st.just({}), st.floats(width=16).map(lambda value: {"f1": value, "other": -value})), max_size=6
)


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("max", [0.1, 0.9, 0.5], 1),
        ("min", [0.1, 0.9, 0.05], 2),
        ("max", [0.9, 0.9, 0.9], 0),
        ("min", [0.2, 0.1, 0.1], 1),
        ("max", [NAN, 0.1, NAN], 1),
        ("min", [NAN, 0.1, NAN], 1),
        ("max", [0.5, INF, -INF], 0),
        ("min", [-INF, 0.5], 1),
        ("max", [None, 0.1], 1),
        ("max", [0.0, -0.0], 0),
        ("max", [NAN, None, INF], None),
        ("max", [], None),
    ],
)
def test_the_best_is_chosen_and_the_first_among_equals(mode: str, values: list[float | None], best: int | None) -> None:
    metrics = [{} if value is None else {"f1": value} for value in values]
    assert choose_best(Choice("f1", mode), metrics) == best


@given(runs, st.sampled_from(["max", "min"]))
def test_nothing_better_is_left_behind(metrics: list[dict[str, float]], mode: str) -> None:
    best = choose_best(Choice("f1", mode), metrics)
    usable = {index: run["f1"] for index, run in enumerate(metrics) if "f1" in run and math.isfinite(run["f1"])}
    if best is None:
        assert not usable
        return
    better = max(usable.values()) if mode == "max" else min(usable.values())
    assert usable[best] == better
    assert best == min(index for index, value in usable.items() if value == better)
