"""``decide`` over many gates and much evidence: it agrees with a plain reading of the rules, and it fails closed."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from decimal import Context, Decimal
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from headgate.store.composition import composed
from headgate.store.entities import Metric, Outcome, Severity
from headgate.tasks.gates.evidence import Evidence
from headgate.tasks.gates.explain import explain, verdict_json
from headgate.tasks.gates.model import AllOf, AnyOf, Bound, Check, Gate, Improvement, Threshold, leaves
from tests.tasks.gates.cases import DAY, NOW, candidate, candidates, champion, champions, finite, gates, judge, point

# ---------------------------------------------------------------------------------------------------------------------
# A plain reading of the rules, in decimals.

WIDE = Context(prec=2000)


def oracle(gate: Gate, evidence: Evidence, against: Evidence | None, check: Check | None = None) -> str:
    check = check or gate.checks
    if isinstance(check, AllOf | AnyOf):
        blocking = [c for c in check.checks if isinstance(c, AllOf | AnyOf) or c.severity == "block"]
        outcomes = [oracle(gate, evidence, against, c) for c in blocking]
        if "error" in outcomes:
            return "error"
        order = ["reject", "hold", "pass"] if isinstance(check, AllOf) else ["pass", "hold", "reject"]
        return next(o for o in order if o in outcomes)
    return oracle_check(gate, evidence, against, check)


def oracle_check(gate: Gate, evidence: Evidence, against: Evidence | None, check: Threshold | Improvement) -> str:
    seen = [m for m in evidence.measurements if m.key == check.metric and m.dataset_digest]
    if check.dataset:
        seen = [m for m in seen if m.dataset_name == check.dataset]
    if len({m.dataset_digest for m in seen}) != 1:
        return "error"
    digest = seen[0].dataset_digest
    mine = newest_value(seen)
    age = NOW - max(m.timestamp for m in seen)
    if mine is None or (gate.max_age_ms and abs(age) > gate.max_age_ms):
        return "error"
    if isinstance(check, Threshold):
        return compare(mine, check.bound, number(check.demanded))
    if against is None:
        return str(gate.when_no_champion)
    theirs = newest_value([m for m in against.measurements if m.key == check.metric and m.dataset_digest == digest])
    if theirs is None:
        return "error"
    if isinstance(check.by, str):
        if theirs == 0:
            return "error"
        margin = WIDE.multiply(abs(theirs), WIDE.divide(Decimal(check.by.rstrip("%")), Decimal(100)))
    else:
        margin = number(check.by or 0.0)
    wanted = WIDE.add(theirs, margin) if check.higher_is_better else WIDE.subtract(theirs, margin)
    strictly = check.by is None
    if check.higher_is_better:
        return compare(mine, Bound.ABOVE if strictly else Bound.AT_LEAST, wanted)
    return compare(mine, Bound.BELOW if strictly else Bound.AT_MOST, wanted)


def newest_value(measured: list[Metric]) -> Decimal | None:
    if not measured:
        return None
    newest = max((m.timestamp, m.step) for m in measured)
    values = [m.value for m in measured if (m.timestamp, m.step) == newest]
    if any(math.isnan(v) or abs(v) >= 1.7976931348623157e308 for v in values) or len(set(values)) > 1:
        return None
    return number(values[0])


def number(value: float) -> Decimal:
    return Decimal(repr(value))


def compare(value: Decimal, bound: Bound, wanted: Decimal) -> str:
    held = {
        Bound.AT_LEAST: value >= wanted,
        Bound.ABOVE: value > wanted,
        Bound.AT_MOST: value <= wanted,
        Bound.BELOW: value < wanted,
    }[bound]
    return "pass" if held else "reject"


@given(gates, candidates, champions)
@settings(max_examples=500)
def test_the_outcome_is_what_a_plain_reading_of_the_rules_says(
    gate: Gate, evidence: Evidence, against: Evidence | None
) -> None:
    verdict = judge(gate, evidence, against)
    event(verdict.outcome)
    assert verdict.outcome == oracle(gate, evidence, against)
    written = list(leaves(gate.checks))
    assert [c.rule for c in verdict.checks] == [c.rule for c in written]
    assert [c.outcome for c in verdict.checks] == [oracle_check(gate, evidence, against, c) for c in written]


# ---------------------------------------------------------------------------------------------------------------------
# Failing closed: start from evidence that passes, spoil one measurement that a blocking check needs.


def satisfying(check: Threshold | Improvement) -> tuple[float, float]:
    """Return values of the candidate and the champion with which a check passes."""
    if isinstance(check, Threshold):
        return check.demanded + {"above": 1.0, "below": -1.0}.get(check.bound, 0.0), 1.0
    better = abs(float(check.margin)) * 10 + 10
    return (10.0 + better if check.higher_is_better else 10.0 - better), 10.0


@st.composite
def passing(draw: st.DrawFn) -> tuple[Gate, list[Metric], list[Metric]]:
    """A gate and evidence, each check about a metric of its own, with which every check passes."""
    gate: Gate = draw(gates)
    numbered = iter(range(1000))

    def own_metric(check: Any) -> Any:
        if isinstance(check, AllOf | AnyOf):
            return type(check)([own_metric(member) for member in check.checks])
        return replace(check, metric=f"m{next(numbered)}")

    gate = replace(gate, checks=own_metric(gate.checks))
    mine, theirs = [], []
    for check in leaves(gate.checks):
        good, champion_value = satisfying(check)
        mine.append(point(check.metric, good, dataset_name=check.dataset or "holdout"))
        theirs.append(point(check.metric, champion_value))
    return gate, mine, theirs


NOT_NUMBERS = [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -1.7976931348623157e308]
spoilings = st.one_of(
    st.just("drop"),
    st.builds(dict, value=st.sampled_from(NOT_NUMBERS)),
    st.builds(dict, dataset_digest=st.sampled_from([None, ""])),
    st.builds(dict, dataset_name=st.just("another"), dataset_digest=st.just("another")),
    st.builds(dict, timestamp=st.integers(NOW - 4000 * DAY, NOW - 31 * DAY)),
    st.builds(dict, model_id=st.just("m-" + "e" * 32)),
)


@given(passing(), st.data())
def test_a_verdict_that_passes_stops_passing_when_a_blocking_measurement_is_spoilt(
    case: tuple[Gate, list[Metric], list[Metric]], data: st.DataObject
) -> None:
    gate, mine, theirs = case
    gate = replace(gate, max_age="30d")
    assert judge(gate, candidate(*mine), champion(*theirs)).outcome is Outcome.PASS
    blocking = [i for i, check in enumerate(leaves(gate.checks)) if check.severity is Severity.BLOCK]
    spoilt = data.draw(st.sampled_from(blocking))
    how = data.draw(spoilings)
    check = list(leaves(gate.checks))[spoilt]
    # A threshold that names no dataset has nothing to object to another one.
    elsewhere = isinstance(how, dict) and "dataset_name" in how
    assume(not (elsewhere and isinstance(check, Threshold) and check.dataset is None))
    mine[spoilt : spoilt + 1] = [] if how == "drop" else [replace(mine[spoilt], **how)]
    assert judge(gate, candidate(*mine), champion(*theirs)).outcome is Outcome.ERROR


@given(passing(), st.data())
def test_a_comparison_never_passes_on_a_spoilt_champion(
    case: tuple[Gate, list[Metric], list[Metric]], data: st.DataObject
) -> None:
    gate, mine, theirs = case
    compared = [
        i
        for i, check in enumerate(leaves(gate.checks))
        if isinstance(check, Improvement) and check.severity is Severity.BLOCK
    ]
    assume(compared)
    spoilt = data.draw(st.sampled_from(compared))
    how = data.draw(spoilings.filter(lambda h: not (isinstance(h, dict) and "timestamp" in h)))
    theirs[spoilt : spoilt + 1] = [] if how == "drop" else [replace(theirs[spoilt], **how)]
    assert judge(gate, candidate(*mine), champion(*theirs)).outcome is Outcome.ERROR


@given(passing())
def test_without_a_champion_nothing_passes_that_the_gate_does_not_let_pass(
    case: tuple[Gate, list[Metric], list[Metric]],
) -> None:
    gate, mine, _ = case
    only_compared = replace(gate, checks=AllOf([*gate.checks.checks, Improvement("m0")]))
    mine.append(replace(mine[0], key="m0"))
    verdict = judge(replace(only_compared, when_no_champion="hold"), candidate(*mine), None)
    assert verdict.outcome is not Outcome.PASS


# ---------------------------------------------------------------------------------------------------------------------
# Monotonicity, determinism, the record.


@given(finite, finite, finite, st.sampled_from(list(Bound)))
def test_a_better_value_never_turns_a_pass_into_anything_else(
    demanded: float, value: float, better: float, bound: Bound
) -> None:
    upwards = bound in (Bound.AT_LEAST, Bound.ABOVE)
    assume(better >= value if upwards else better <= value)
    gate = Gate("g", AllOf([Threshold("m", **{bound.value: demanded})]))
    if judge(gate, candidate(point("m", value))).outcome is Outcome.PASS:
        assert judge(gate, candidate(point("m", better))).outcome is Outcome.PASS


@given(finite, finite, finite, st.none() | finite | st.sampled_from(["1%", "-3.5%"]), st.booleans())
def test_a_better_challenger_never_does_worse(
    champion_value: float, value: float, better: float, by: float | str | None, higher: bool
) -> None:
    assume(better >= value if higher else better <= value)
    gate = Gate("g", AllOf([Improvement("m", by=by, higher_is_better=higher)]), when_no_champion="reject")
    against = champion(point("m", champion_value))
    if judge(gate, candidate(point("m", value)), against).outcome is Outcome.PASS:
        assert judge(gate, candidate(point("m", better)), against).outcome is Outcome.PASS


@given(gates, candidates, champions, st.randoms(use_true_random=False))
def test_the_same_evidence_in_any_order_is_the_same_verdict(
    gate: Gate, evidence: Evidence, against: Evidence | None, rng: random.Random
) -> None:
    # Two runs may log the same value at the same time and step; which of them is named as the source follows the order.
    distinct = tuple({(m.key, m.timestamp, m.step, m.dataset_digest): m for m in evidence.measurements}.values())
    evidence = replace(evidence, measurements=distinct)
    shuffled = list(evidence.measurements)
    rng.shuffle(shuffled)
    first = judge(gate, evidence, against)
    second = judge(gate, replace(evidence, measurements=tuple(shuffled)), against)
    assert first == second
    assert verdict_json(first).encode() == verdict_json(second).encode()


@given(gates, candidates, champions)
def test_verdicts_are_strict_json_and_read_as_lines(gate: Gate, evidence: Evidence, against: Evidence | None) -> None:
    verdict = judge(gate, evidence, against)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads(verdict_json(verdict), parse_constant=refuse)
    assert read["verdict_id"] == verdict.verdict_id
    assert len(read["checks"]) == len(verdict.checks)
    lines = explain(verdict)
    assert all(line and "\n" not in line for line in lines)
    assert all(any(check.rule in line for line in lines) for check in verdict.checks)
    assert judge(gate, evidence, against, NOW + 1).verdict_id != verdict.verdict_id


@given(gates, candidates, champions)
def test_a_verdict_says_what_its_checks_compose_to(gate: Gate, evidence: Evidence, against: Evidence | None) -> None:
    verdict = judge(gate, evidence, against)
    assert composed(reversed(verdict.checks)) is verdict.outcome
