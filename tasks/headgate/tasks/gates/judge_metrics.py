"""Judging checks on metrics: bounds, comparisons with the champion, slices, paired tests. Pure functions."""

from __future__ import annotations

import math
from decimal import Decimal

from headgate.store.entities import Metric, Outcome
from headgate.tasks.gates.case import Answer, Case, error, problem_of, without_champion
from headgate.tasks.gates.evidence import (
    PairedFound,
    candidate_measurement,
    champion_measurement,
    slices_of,
    slices_on,
    usable_number,
)
from headgate.tasks.gates.metric_checks import (
    Improvement,
    MetricCheck,
    PairedTest,
    Threshold,
    max_age_of,
    prefix_of,
    rows_prefix_of,
)
from headgate.tasks.gates.values import EXACT, exactly


def judge_threshold(check: Threshold, case: Case) -> Answer:
    return _bounded(check, case, check.metric) if check.slices is None else _worst(check, case)


def judge_improvement(check: Improvement, case: Case) -> Answer:
    return _improved(check, case, check.metric) if check.slices is None else _worst(check, case)


def _bounded(check: Threshold, case: Case, key: str) -> Answer:
    found = candidate_measurement(check, case.mine, case.now, max_age_of(check, case.max_age_ms), key)
    if (problem := problem_of(found)) is None and found.metric is not None:
        return _answered(key, found.metric, check.holds(found.metric.value), check.demanded)
    answer = error(problem)
    answer.threshold = check.demanded
    return _shown(answer, check, key, found.metric)


def _improved(check: Improvement, case: Case, key: str) -> Answer:
    # The candidate's evidence comes first: a missing champion is no excuse for a missing measurement.
    found = candidate_measurement(check, case.mine, case.now, max_age_of(check, case.max_age_ms), key)
    if (problem := problem_of(found)) is not None or found.metric is None:
        return _shown(error(problem), check, key, found.metric)
    alone = without_champion(case)
    if alone is None:
        assert case.champion is not None, "without_champion saw to it"
        assert case.theirs is not None, "it is there with the champion"
        theirs = champion_measurement(key, case.champion, case.theirs, found.metric)
        if (problem := problem_of(theirs)) is not None or theirs.metric is None:
            alone = error(problem)
        else:
            alone = _compared(check, case, key, found.metric, theirs.metric)
    return _shown(alone, check, key, found.metric)


def _compared(check: Improvement, case: Case, key: str, mine: Metric, theirs: Metric) -> Answer:
    champion_value = theirs.value
    demanded = None if check.relative and champion_value == 0 else check.demanded(champion_value)
    shown = None if demanded is None else _as_float(demanded)
    if demanded is None:
        answer = error(f"the champion's {key} is 0, of which no percentage is a margin: use an absolute one")
    elif shown is None:
        answer = error(f"the champion's {key} and the margin leave the range of numbers")
    else:
        answer = _answered(key, mine, check.bound.holds(exactly(mine.value), demanded), shown, champion_value)
        if check.test is None:
            return answer
        answer = _tested(check, case, answer, mine, theirs, demanded)
    answer.threshold, answer.champion_value = shown, champion_value
    return answer


def _tested(check: Improvement, case: Case, answer: Answer, mine: Metric, theirs: Metric, demanded: Decimal) -> Answer:
    found = _paired(check, case, mine, theirs)
    if found is None:
        return error(
            "the rows of both evaluations were not compared: keep them when the candidate and the champion are measured"
        )
    if found.problem is not None:
        return error(found.problem)
    if found.rows < 1:
        return error("no rows were compared")
    if check.test is PairedTest.BOOTSTRAP:
        if found.low is None or not usable_number(found.low):
            return error("the bootstrap gave no number")
        gap = EXACT.subtract(demanded, exactly(theirs.value))
        margin = gap if check.higher_is_better else -gap
        low = exactly(found.low)
        sure = low > margin if check.by is None else low >= margin
        words = f"is at least {found.low:.6g} better"
    else:
        if found.p_value is None or not 0 <= found.p_value <= 1:
            return error(f"{check.test} gave no probability")
        sure = exactly(found.p_value) <= EXACT.subtract(Decimal(1), exactly(check.confidence or 1.0))
        words = f"has p = {found.p_value:.4g}"
    said = f"{answer.message[:-1]}; by {check.test} on {found.rows} rows it {words}"
    if answer.outcome is not Outcome.PASS:
        return Answer(answer.outcome, f"{said}.")
    return Answer(Outcome.PASS, f"{said}.") if sure else Answer(Outcome.REJECT, f"{said}: that may be chance.")


def _paired(check: Improvement, case: Case, mine: Metric, theirs: Metric) -> PairedFound | None:
    wanted = (
        check.metric,
        check.test,
        check.higher_is_better,
        check.confidence,
        mine.dataset_digest,
        mine.run_id,
        theirs.run_id,
    )
    for found in case.candidate.paired:
        about = (found.metric, found.test, found.higher_is_better, found.confidence)
        if (*about, found.dataset_digest, found.candidate_run_id, found.champion_run_id) == wanted:
            return found
    return None


def _worst(check: MetricCheck, case: Case) -> Answer:
    """Judge every slice, and answer with the worst: errors first, then the one furthest from what is demanded."""
    digest, keys = slices_of(check, case.mine)
    if not keys:
        return _shown(error(f"the candidate has no {check.metric} in slices of {check.slices}"), check, check.metric)
    if digest is None:
        return _shown(
            error(f"the slices of {check.metric} by {check.slices} were not measured on one dataset"),
            check,
            check.metric,
        )
    if (lost := _lost(check, case, digest, keys)) is not None:
        return lost
    judged = [
        _bounded(check, case, key) if isinstance(check, Threshold) else _improved(check, case, key) for key in keys
    ]
    upwards = check.bound.upwards
    worst = min(judged, key=lambda answer: _badness(answer, upwards))
    failed = sum(answer.outcome is not Outcome.PASS for answer in judged)
    of = f"It is the worst of {len(judged)} slices"
    worst.message = f"{worst.message} {of}, of which {failed} {'fails' if failed == 1 else 'fail'}."
    return worst


def _lost(check: MetricCheck, case: Case, digest: str, keys: list[str]) -> Answer | None:
    """Return an error for a slice of the data that the candidate has no figure of; None when it has one of each."""
    prefix, rows_prefix = prefix_of(check), rows_prefix_of(check)
    compared = case.theirs if isinstance(check, Improvement) else None
    for measured in (case.mine,) if compared is None else (case.mine, compared):
        for rows in slices_on(digest, measured, rows_prefix):
            key = prefix + rows.key.removeprefix(rows_prefix)
            if key not in keys and rows.value != 0:
                return _shown(error(f"the candidate has no {key}, a slice of {rows.value:g} rows"), check, key)
    if compared is not None:
        for theirs in slices_on(digest, compared, prefix):
            if theirs.key not in keys:
                said = f"the champion was measured in {theirs.key}, and the candidate was not"
                return _shown(error(said), check, theirs.key)
    return None


_ORDER = (Outcome.ERROR, Outcome.REJECT, Outcome.HOLD, Outcome.PASS)


def _badness(answer: Answer, upwards: bool) -> tuple[int, Decimal, str]:
    distance = Decimal(0)
    if _is_finite(answer.actual) and _is_finite(answer.threshold):
        gap = EXACT.subtract(exactly(answer.actual or 0.0), exactly(answer.threshold or 0.0))
        distance = gap if upwards else -gap
    return _ORDER.index(answer.outcome), distance, answer.metric or ""


def _answered(
    key: str, metric: Metric, held: bool, threshold: float | None, champion_value: float | None = None
) -> Answer:
    """Return the whole answer to a rule that could be judged, by a number that can be compared."""
    actual = float(metric.value)
    outcome, words = (Outcome.PASS, "meets") if held else (Outcome.REJECT, "does not meet")
    return Answer(
        outcome,
        f"{key} is {actual!r}, which {words} the rule.",
        key,
        threshold,
        actual,
        champion_value,
        metric.dataset_name,
        metric.dataset_digest,
        metric.run_id,
        metric.timestamp,
    )


def _shown(answer: Answer, check: MetricCheck, key: str, metric: Metric | None = None) -> Answer:
    """Add what was measured, and where it comes from, to an answer that is not whole yet."""
    if answer.metric is not None:
        return answer
    answer.metric = key
    answer.dataset_name, answer.dataset_digest = check.dataset, check.dataset_digest
    if metric is not None:
        answer.actual = shown_number(metric.value)
    return answer.from_metric(metric)


def shown_number(value: object) -> float | None:
    """Return a measured value as a number to show; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return math.nan if value != value else float(value)  # one NaN for all, so that equal results compare equal


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _as_float(value: Decimal) -> float | None:
    number = float(value)
    return number if usable_number(number) else None
