"""``decide`` case by case: each way in which evidence can be bad, margins, groups, and what a verdict records."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest

from headgate.store.entities import CheckResult, Metric, Outcome, Severity
from headgate.store.errors import InvalidInput
from headgate.tasks.gates.model import AllOf, AnyOf, Gate, Improvement, Threshold
from tests.tasks.gates.cases import (
    CANDIDATE,
    CHAMPION,
    DAY,
    MINUTE,
    NOW,
    RUN,
    candidate,
    champion,
    gate_of,
    judge,
    point,
)

RECALL = Threshold("recall", at_least=0.95, dataset="holdout")
BETTER = Improvement("f1", by=0.002)
GATE = gate_of(RECALL, BETTER, max_age="1d")
GOOD = (point("recall", 0.97), point("f1", 0.94))
CHAMPIONS = (point("f1", 0.93, timestamp=NOW - 300 * DAY),)


def test_a_verdict_records_rule_figures_source_and_time_of_every_check() -> None:
    verdict = judge(GATE, candidate(*GOOD, logical_date=NOW - DAY), champion(*CHAMPIONS))
    assert verdict.outcome is Outcome.PASS
    assert (verdict.gate_name, verdict.gate_digest) == ("tumor-screening", GATE.digest)
    assert verdict.gate_definition == GATE.definition()
    assert (verdict.candidate_model_id, verdict.candidate_digest) == (CANDIDATE, "ab" * 32)
    assert verdict.candidate_logical_date == NOW - DAY
    assert (verdict.champion_model_id, verdict.champion_version) == (CHAMPION, 3)
    assert (verdict.decided_at, verdict.expires_at) == (NOW, NOW + DAY)
    assert verdict.verdict_id.startswith("v-")
    assert len(verdict.verdict_id) == 34
    recall, f1 = verdict.checks
    assert recall == CheckResult(
        path="all_of[0]",
        kind="threshold",
        rule="recall >= 0.95 on holdout",
        outcome=Outcome.PASS,
        metric="recall",
        threshold=0.95,
        actual=0.97,
        dataset_name="holdout",
        dataset_digest="feed1234",
        run_id=RUN,
        measured_at=NOW - MINUTE,
        message="recall is 0.97, which meets the rule.",
        margin=0.02,
    )
    assert (f1.path, f1.kind, f1.rule) == ("all_of[1]", "improvement", "f1 >= champion + 0.002")
    assert (f1.threshold, f1.actual, f1.champion_value) == (0.932, 0.94, 0.93)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, sys.float_info.max, -sys.float_info.max, None, "1"])
@pytest.mark.parametrize("key", ["recall", "f1"])
def test_a_candidate_value_that_is_no_finite_number_is_an_error(key: str, value: float) -> None:
    points = [replace(p, value=value) if p.key == key else p for p in GOOD]
    verdict = judge(GATE, candidate(*points), champion(*CHAMPIONS))
    assert verdict.outcome is Outcome.ERROR
    (failed,) = [c for c in verdict.checks if c.outcome is not Outcome.PASS]
    assert failed.outcome is Outcome.ERROR
    assert failed.run_id == RUN


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, sys.float_info.max, -sys.float_info.max])
def test_a_champion_value_that_is_no_finite_number_is_an_error(value: float) -> None:
    verdict = judge(GATE, candidate(*GOOD), champion(point("f1", value)))
    assert verdict.outcome is Outcome.ERROR
    assert "champion's f1" in verdict.checks[1].message


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([GOOD[1]], "no metric recall"),
        ([replace(GOOD[0], dataset_digest=None), GOOD[1]], "without the digest"),
        ([replace(GOOD[0], dataset_digest=""), GOOD[1]], "without the digest"),
        (
            [replace(GOOD[0], dataset_name="train"), GOOD[1]],
            r"not measured on holdout, but on train \(digest",
        ),
        ([replace(GOOD[0], dataset_name=None), GOOD[1]], "not measured on holdout, but on a dataset without a name"),
        ([*GOOD, point("recall", 0.99, dataset_digest="beef5678")], "on different data: holdout"),
        ([*GOOD, point("recall", 0.98)], "several values of the same time"),
        ([*GOOD, point("recall", math.nan)], "NaN"),
        ([replace(GOOD[0], timestamp=NOW - DAY - 1), GOOD[1]], "max_age"),
        ([replace(GOOD[0], timestamp=NOW + DAY + 1), GOOD[1]], "in the future"),
        ([replace(GOOD[0], timestamp=NOW * 1000), GOOD[1]], "in the future"),
        ([replace(GOOD[0], model_id="m-" + "e" * 32), GOOD[1]], "no metric recall"),
    ],
)
def test_unusable_evidence_of_the_candidate_is_an_error(points: list[Metric], says: str) -> None:
    verdict = judge(GATE, candidate(*points), champion(*CHAMPIONS))
    assert verdict.outcome is Outcome.ERROR
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(verdict.checks[0].message)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([], "no metric f1"),
        ([point("f1", 0.1, dataset_digest="beef5678")], "evaluate the champion on the candidate's data"),
        ([point("f1", 0.1, dataset_digest=None)], "data without a digest"),
        ([point("f1", 0.1, model_id=CANDIDATE)], "no metric f1"),
        ([point("f1", 0.1), point("f1", 0.2)], "several values of the same time"),
    ],
)
def test_unusable_evidence_of_the_champion_is_an_error(points: list[Metric], says: str) -> None:
    verdict = judge(GATE, candidate(*GOOD), champion(*points))
    assert verdict.outcome is Outcome.ERROR
    assert says in verdict.checks[1].message


def test_the_champion_is_compared_on_the_data_of_the_candidate_among_all_it_was_measured_on() -> None:
    against = champion(
        point("f1", 0.99, dataset_digest="01d", timestamp=NOW), point("f1", 0.93, dataset_name="renamed")
    )
    verdict = judge(GATE, candidate(*GOOD), against)
    assert (verdict.outcome, verdict.checks[1].champion_value) == (Outcome.PASS, 0.93)


def test_a_check_that_names_the_digest_chooses_among_several() -> None:
    points = (point("recall", 0.5, timestamp=NOW), point("recall", 0.99, dataset_digest="beef5678"))
    pinned = gate_of(Threshold("recall", at_least=0.95, dataset_digest="beef5678"))
    assert judge(pinned, candidate(*points)).outcome is Outcome.PASS
    assert judge(gate_of(Threshold("recall", at_least=0.1)), candidate(*points)).outcome is Outcome.ERROR


def test_the_newest_measurement_counts_then_the_highest_step() -> None:
    old, early, late = (
        point("recall", 0.99, timestamp=NOW - 2 * MINUTE, step=9),
        point("recall", 0.98, step=1),
        point("recall", 0.50, step=2),
    )
    assert judge(gate_of(RECALL), candidate(late, old, early)).checks[0].actual == 0.50


def test_a_measurement_without_a_dataset_does_not_hide_one_with() -> None:
    without = point("recall", 0.1, dataset_name=None, dataset_digest=None, timestamp=NOW)
    assert judge(gate_of(RECALL), candidate(without, GOOD[0])).outcome is Outcome.PASS


@pytest.mark.parametrize(("answer", "outcome"), [("pass", "pass"), ("hold", "hold"), ("reject", "reject")])
def test_without_a_champion_the_gate_says_what_happens(answer: str, outcome: str) -> None:
    gate = gate_of(RECALL, BETTER, when_no_champion=answer)
    verdict = judge(gate, candidate(*GOOD))
    assert (verdict.outcome, verdict.champion_version) == (outcome, None)
    assert "There is no champion" in verdict.checks[1].message


def test_a_missing_champion_is_no_excuse_for_a_missing_measurement() -> None:
    assert judge(gate_of(BETTER, when_no_champion="pass"), candidate(point("recall", 1.0))).outcome is Outcome.ERROR


def test_the_champion_cannot_be_compared_with_itself() -> None:
    itself = champion(*GOOD, model_id=CANDIDATE)
    verdict = judge(gate_of(Improvement("f1", by=0)), candidate(*GOOD), itself)
    assert verdict.outcome is Outcome.ERROR
    assert "is the champion" in verdict.checks[0].message


def test_a_champion_without_a_logged_model_has_no_evidence() -> None:
    verdict = judge(GATE, candidate(*GOOD), champion(model_id=None))
    assert verdict.outcome is Outcome.ERROR
    assert verdict.champion_version == 3
    assert "version 3" in verdict.checks[1].message


def test_a_decision_is_about_a_logged_model() -> None:
    with pytest.raises(InvalidInput, match="no candidate"):
        judge(GATE, candidate(*GOOD, model_id=None))


def improved(check: Improvement, actual: float, champion_value: float) -> Outcome:
    return judge(gate_of(check), candidate(point("f1", actual)), champion(point("f1", champion_value))).outcome


@pytest.mark.parametrize(
    ("check", "champion_value", "enough", "too_little"),
    [
        (Improvement("f1"), 0.93, 0.9300000000000002, 0.93),
        (Improvement("f1", by=0), 0.93, 0.93, 0.9299999999999999),
        (Improvement("f1", by=0.02), 0.93, 0.95, 0.9499999999999999),  # 0.93 + 0.02 > 0.95 in binary floating point
        (Improvement("f1", by=-0.01), 0.93, 0.92, 0.9199999999999999),
        (Improvement("f1", by="1%"), 0.7, 0.707, 0.7069999999999999),
        (Improvement("f1", by="10%"), -1.0, -0.9, -0.9000000000000001),
        (Improvement("f1", by="-10%"), 1.0, 0.9, 0.8999999999999999),
        (Improvement("f1", higher_is_better=False), 0.5, 0.4999999999999999, 0.5),
        (Improvement("f1", by=0.1, higher_is_better=False), 0.4, 0.3, 0.30000000000000004),
        (Improvement("f1", by="1%", higher_is_better=False), 0.7, 0.693, 0.6930000000000001),
        (Improvement("f1", by="5%", higher_is_better=False), -2.0, -2.1, -2.0999999999999996),
    ],
)
def test_margins_are_decimals(check: Improvement, champion_value: float, enough: float, too_little: float) -> None:
    assert improved(check, enough, champion_value) is Outcome.PASS
    assert improved(check, too_little, champion_value) is Outcome.REJECT


def test_a_percentage_of_nothing_is_no_margin() -> None:
    assert improved(Improvement("f1", by="1%"), 0.5, 0.0) is Outcome.ERROR
    assert improved(Improvement("f1", by=0.01), 0.5, 0.0) is Outcome.PASS


def test_a_margin_beyond_the_range_of_numbers_is_an_error() -> None:
    assert improved(Improvement("f1", by=1e308), 1e308, 1.7e308) is Outcome.ERROR
    assert improved(Improvement("f1", by="-1e300%"), 1e308, 1.7e308) is Outcome.ERROR


@pytest.mark.parametrize(
    ("bound", "demanded", "actual", "outcome"),
    [
        ("at_least", 0.95, 0.95, "pass"),
        ("at_least", 0.95, 0.9499999999999999, "reject"),
        ("above", 0.95, 0.95, "reject"),
        ("above", 0.95, 0.9500000000000001, "pass"),
        ("at_most", 0.05, 0.05, "pass"),
        ("at_most", 0.05, 0.05000000000000001, "reject"),
        ("below", 0.05, 0.05, "reject"),
        ("below", 0.05, 0.04999999999999999, "pass"),
        ("at_least", 0, -0.0, "pass"),
        ("at_least", 5e-324, 0.0, "reject"),
    ],
)
def test_bounds_at_their_edge(bound: str, demanded: float, actual: float, outcome: str) -> None:
    gate = gate_of(Threshold("recall", **{bound: demanded}))
    assert judge(gate, candidate(point("recall", actual))).outcome == outcome


PASS, REJECT = Threshold("recall", at_least=0), Threshold("recall", at_least=1)
HOLD = Improvement("recall")
ERROR = Threshold("missing", at_least=0)


@pytest.mark.parametrize(
    ("checks", "all_of", "any_of"),
    [
        ([PASS], "pass", "pass"),
        ([PASS, PASS], "pass", "pass"),
        ([PASS, HOLD], "hold", "pass"),
        ([HOLD, REJECT], "reject", "hold"),
        ([PASS, REJECT], "reject", "pass"),
        ([PASS, HOLD, REJECT], "reject", "pass"),
        ([REJECT, REJECT], "reject", "reject"),
        ([PASS, ERROR], "error", "error"),
        ([REJECT, ERROR], "error", "error"),
        ([HOLD, ERROR], "error", "error"),
        ([PASS, AnyOf([REJECT, PASS])], "pass", "pass"),
        ([PASS, AllOf([REJECT, PASS])], "reject", "pass"),
        ([AnyOf([HOLD, REJECT]), AllOf([PASS, HOLD])], "hold", "hold"),
        ([PASS, AnyOf([PASS, ERROR])], "error", "error"),
    ],
)
def test_outcomes_compose(checks: list[Threshold], all_of: str, any_of: str) -> None:
    evidence = candidate(point("recall", 0.5))
    for order in (checks, checks[::-1]):
        assert judge(Gate("g", AllOf(order), when_no_champion="hold"), evidence).outcome == all_of
        assert judge(Gate("g", AnyOf(order), when_no_champion="hold"), evidence).outcome == any_of


@pytest.mark.parametrize(
    ("warning", "recorded"),
    [
        (Threshold("recall", at_least=1, severity="warn"), "reject"),
        (Threshold("missing", at_least=1, severity="warn"), "error"),
        (Improvement("recall", severity="warn"), "hold"),
        (Threshold("recall", at_least=0, severity="warn"), "pass"),
    ],
)
def test_warnings_are_recorded_and_decide_nothing(warning: Threshold, recorded: str) -> None:
    evidence = candidate(point("recall", 0.5))
    for decisive, outcome in ((PASS, "pass"), (REJECT, "reject")):
        for group in (AllOf, AnyOf):
            verdict = judge(Gate("g", group([warning, decisive]), when_no_champion="hold"), evidence)
            assert verdict.outcome == outcome
            assert (verdict.checks[0].outcome, verdict.checks[0].severity) == (recorded, Severity.WARN)


def test_paths_lead_to_the_check_in_the_gate() -> None:
    gate = Gate("g", AllOf([PASS, AnyOf([PASS, AllOf([PASS, REJECT])])]))
    paths = [check.path for check in judge(gate, candidate(point("recall", 0.5))).checks]
    assert paths == [
        "all_of[0]",
        "all_of[1].any_of[0]",
        "all_of[1].any_of[1].all_of[0]",
        "all_of[1].any_of[1].all_of[1]",
    ]


def test_evidence_as_old_as_allowed_still_counts() -> None:
    gate = gate_of(RECALL, max_age="1h")
    for moment in (NOW - 60 * MINUTE, NOW + 60 * MINUTE):
        assert judge(gate, candidate(point("recall", 0.97, timestamp=moment))).outcome is Outcome.PASS
