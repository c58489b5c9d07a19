"""Checks on slices: the worst one decides, none may be lost, and none be worse than the champion's by the margin."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.entities import Outcome
from headgate.tasks.gates.model import Gate, Improvement, Threshold
from headgate.tasks.slices import slice_key
from tests.tasks.gates.cases import candidate, champion, gate_of, judge, point

WORST = gate_of(Threshold("recall", at_least=0.9, slices="site"))
NOT_WORSE = gate_of(Improvement("recall", by=-0.02, slices="site"))


def sliced(**values: float) -> list:
    return [point(f"recall/site:{name}", value) for name, value in values.items()]


def test_the_worst_slice_is_shown_and_decides() -> None:
    verdict = judge(WORST, candidate(*sliced(north=0.95, south=0.85, west=0.89)))
    (check,) = verdict.checks
    assert (verdict.outcome, check.kind) == (Outcome.REJECT, "worst_slice")
    assert check.rule == "recall >= 0.9 in every slice of site"
    assert (check.metric, check.actual, check.threshold, check.margin) == ("recall/site:south", 0.85, 0.9, -0.05)
    assert check.message.endswith("It is the worst of 3 slices, of which 2 fail.")
    assert judge(WORST, candidate(*sliced(north=0.95, south=0.9))).outcome is Outcome.PASS


def test_a_bound_from_above_has_the_highest_slice_as_its_worst() -> None:
    gate = gate_of(Threshold("recall", below=0.5, slices="site"))
    (check,) = judge(gate, candidate(*sliced(north=0.1, south=0.4))).checks
    assert (check.outcome, check.metric) == (Outcome.PASS, "recall/site:south")


@pytest.mark.parametrize(
    "points",
    [
        [point("recall", 0.99)],
        [point("recall/size:big", 0.99)],
        [*sliced(north=0.95), point("recall/site:south", math.nan)],
        [*sliced(north=0.95), point("recall/site:south", 0.95, dataset_digest="other")],
        [replace(p, dataset_digest=None) for p in sliced(north=0.95)],
    ],
)
def test_slices_that_are_missing_or_unusable_are_an_error(points: list) -> None:
    assert judge(WORST, candidate(*points)).outcome is Outcome.ERROR


def test_no_slice_may_be_worse_than_the_champions_by_more_than_the_margin() -> None:
    theirs = champion(*sliced(north=0.9, south=0.8))
    assert judge(NOT_WORSE, candidate(*sliced(north=0.95, south=0.78)), theirs).outcome is Outcome.PASS
    (check,) = judge(NOT_WORSE, candidate(*sliced(north=0.99, south=0.77)), theirs).checks
    assert (check.outcome, check.metric, check.champion_value) == (Outcome.REJECT, "recall/site:south", 0.8)
    assert check.threshold == 0.78


@pytest.mark.parametrize(("mine", "theirs"), [({"a": 0.9}, {"a": 0.9, "b": 0.5}), ({"a": 0.9, "b": 0.9}, {"a": 0.9})])
def test_a_slice_that_only_one_was_measured_in_is_an_error(mine: dict, theirs: dict) -> None:
    assert judge(NOT_WORSE, candidate(*sliced(**mine)), champion(*sliced(**theirs))).outcome is Outcome.ERROR


@pytest.mark.parametrize("gate", [WORST, NOT_WORSE])
def test_a_slice_that_has_rows_and_no_figure_is_an_error(gate: Gate) -> None:
    rows = [point(f"rows/site:{name}", count) for name, count in (("north", 80.0), ("south", 20.0), ("none", 0.0))]
    mine, theirs = candidate(*sliced(north=0.95), *rows), champion(*sliced(north=0.9), *rows)
    (check,) = judge(gate, mine, theirs).checks
    assert (check.outcome, check.metric) == (Outcome.ERROR, "recall/site:south")
    assert check.message == "The candidate has no recall/site:south, a slice of 20 rows."
    whole = candidate(*sliced(north=0.95, south=0.95), *rows)
    assert judge(WORST, whole).outcome is Outcome.PASS


def test_a_slice_that_only_the_champion_has_rows_of_is_an_error() -> None:
    theirs = champion(*sliced(north=0.9), point("rows/site:south", 20.0))
    (check,) = judge(NOT_WORSE, candidate(*sliced(north=0.95)), theirs).checks
    assert (check.outcome, check.metric) == (Outcome.ERROR, "recall/site:south")


def test_slices_of_other_data_are_none_of_the_checks_business() -> None:
    train = {"dataset_name": "train", "dataset_digest": "beef5678"}
    others = [point("recall/site:zz", 0.1, **train), point("rows/site:yy", 9.0, **train)]
    on_holdout = gate_of(Threshold("recall", at_least=0.9, slices="site", dataset="holdout"))
    assert judge(on_holdout, candidate(*sliced(north=0.95), *others)).outcome is Outcome.PASS
    assert judge(WORST, candidate(*sliced(north=0.95), *others)).outcome is Outcome.ERROR  # which data, is not said
    older = champion(*sliced(north=0.9), point("recall/site:closed", 0.9, dataset_digest="beef5678"))
    assert judge(NOT_WORSE, candidate(*sliced(north=0.95)), older).outcome is Outcome.PASS


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1))
def test_every_slice_meets_the_bound_when_the_check_passes_and_one_fails_when_it_does_not(values: dict) -> None:
    (check,) = judge(WORST, candidate(*sliced(**values))).checks
    assert (check.outcome is Outcome.PASS) == all(value >= 0.9 for value in values.values())
    assert check.actual == min(values.values())


def test_the_gate_reads_its_slices_by_prefix_and_not_by_name() -> None:
    assert (WORST.metrics, WORST.metric_prefixes) == ((), ("recall/site:", "rows/site:"))
    assert slice_key("recall", "site", "St. John's/1") == "recall/site:St. John_s_1"
