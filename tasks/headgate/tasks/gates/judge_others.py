"""Judging checks on the model itself, and those that something outside the gate answers. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.store.approval_checks import in_order, last_words
from headgate.store.entities import Approval as ApprovalWord
from headgate.store.entities import ApprovalDecision, Outcome
from headgate.store.guard_rules import counted
from headgate.tasks.gates.case import Answer, Case, error, problem_of, without_champion
from headgate.tasks.gates.evidence import (
    Finding,
    ValidationFound,
    candidate_measurement,
    chosen_measurement,
    slices_of,
    usable_number,
)
from headgate.tasks.gates.judge_metrics import shown_number
from headgate.tasks.gates.model import Demand, MetricCheck, leaves
from headgate.tasks.gates.model_checks import Budget, Fresh, Freshness, Signature
from headgate.tasks.gates.outside_checks import SEVERITIES, Approval, Expectations, Function
from headgate.tasks.gates.signatures import incompatibilities
from headgate.tasks.gates.values import age_words, exactly, plain

_SHOWN = 3


def judge_budget(check: Budget, case: Case) -> Answer:
    found = None
    value: object
    if check.metric is None:
        value = case.candidate.size
        problem = "the size of the candidate's files is not known" if value is None else None
    else:
        finding = chosen_measurement(check.metric, case.mine, case.now, case.max_age_ms)
        problem, found = problem_of(finding), finding.metric
        value = None if found is None else found.value
    if problem is None and (not usable_number(value) or shown_number(value) < 0):  # type: ignore[operator]
        problem = f"the candidate's {check.budget} is {value!r}"
    actual = shown_number(value)
    if problem is not None or actual is None:
        answer = error(problem)
    else:
        held = exactly(actual) <= exactly(check.limit)
        unit = "bytes" if check.is_size else "ms"
        words = f"{check.budget} is {plain(actual)} {unit}, {'within' if held else 'over'} the budget"
        answer = Answer(Outcome.PASS if held else Outcome.REJECT, f"{words} of {plain(check.limit)} {unit}.")
    answer.metric, answer.threshold, answer.actual = check.metric or str(check.budget), check.limit, actual
    return answer.from_metric(found)


def judge_freshness(check: Freshness, case: Case) -> Answer:
    if check.freshness is Fresh.DATA:
        since, what = case.candidate.logical_date, "the data that the candidate stands for"
        problem = "the run that made the candidate does not say which date it stands for" if since is None else None
    else:
        since, problem = _oldest_evidence(case)
        what = "the oldest measurement that the gate reads"
    if problem is not None or since is None:
        return error(problem)
    age = case.now - since
    if age < -check.max_age_ms:
        answer = error(f"{what} is dated {age_words(-age)} in the future")
    elif age > check.max_age_ms:
        answer = Answer(Outcome.REJECT, f"{what[0].upper()}{what[1:]} is {age_words(age)} old.")
    else:
        answer = Answer(Outcome.PASS, f"{what[0].upper()}{what[1:]} is {age_words(max(age, 0))} old.")
    answer.actual, answer.threshold, answer.measured_at = age / 1000, check.max_age_ms / 1000, since
    answer.metric = f"age of {check.freshness} in seconds"
    return answer


def _oldest_evidence(case: Case) -> tuple[int | None, str | None]:
    """Return when the oldest of the measurements was made that the gate's checks choose; or why there is none."""
    chosen = []
    for check in leaves(case.gate.checks):
        for finding in _chosen(check, case):
            metric = finding.metric
            if metric is None or not metric.dataset_digest:
                return None, problem_of(finding)
            chosen.append(metric.timestamp)
    return (min(chosen), None) if chosen else (None, "the gate reads no measurement")


def _chosen(check: Demand, case: Case) -> Iterator[Finding]:
    if isinstance(check, MetricCheck):
        keys = [check.metric] if check.slices is None else slices_of(check, case.mine)[1] or [check.metric]
        for key in keys:
            yield candidate_measurement(check, case.mine, case.now, None, key)
    elif isinstance(check, Budget) and check.metric is not None:
        yield chosen_measurement(check.metric, case.mine, case.now, None)


def judge_signature(check: Signature, case: Case) -> Answer:
    mine = case.candidate.signature
    if mine is None:
        return error("the candidate has no signature")
    alone = without_champion(case)
    if alone is not None:
        return alone
    theirs = case.champion.signature if case.champion is not None else None
    if theirs is None:
        return error("the champion has no signature")
    breaks = incompatibilities(mine, theirs)
    if not breaks:
        return Answer(Outcome.PASS, "Whoever calls the champion can call the candidate.")
    more = f", and {len(breaks) - _SHOWN} more" if len(breaks) > _SHOWN else ""
    return Answer(Outcome.REJECT, f"The candidate breaks its callers: {'; '.join(breaks[:_SHOWN])}{more}.")


def judge_expectations(check: Expectations, case: Case) -> Answer:
    found, problem = _validation(check, case)
    if found is None:
        answer = error(problem)
        answer.dataset_name, answer.dataset_digest = check.dataset, check.dataset_digest
        return answer
    least = SEVERITIES.index(check.fail_at)
    unjudged = [rule for rule, _, outcome in found.results if outcome not in (Outcome.PASS, Outcome.REJECT)]
    failed = [
        rule
        for rule, severity, outcome in found.results
        if outcome is Outcome.REJECT and (severity not in SEVERITIES or SEVERITIES.index(severity) >= least)
    ]
    if problem is not None:
        answer = error(problem)
    elif not found.results:
        answer = error(f"the suite {found.suite} has no expectations")
    elif unjudged:
        answer = error(f"{len(unjudged)} expectations could not be judged, first {unjudged[0]}")
    elif failed:
        answer = Answer(
            Outcome.REJECT, f"{len(failed)} of {len(found.results)} expectations are not met, first {failed[0]}."
        )
    else:
        answer = Answer(Outcome.PASS, f"All {len(found.results)} expectations that count are met.")
    answer.metric, answer.threshold, answer.actual = "expectations not met", 0.0, float(len(failed))
    answer.dataset_name, answer.dataset_digest = found.dataset_name, found.dataset_digest
    answer.run_id, answer.measured_at = found.run_id, found.validated_at
    return answer


def _validation(check: Expectations, case: Case) -> tuple[ValidationFound | None, str | None]:
    """Return the validation that a check is about; beside a problem, it is only shown."""
    of_suite = [found for found in case.candidate.validations if found.suite == check.expectations]
    if not of_suite:
        return None, f"none of the candidate's data were validated against the suite {check.expectations}"
    wanted = [
        found
        for found in of_suite
        if check.dataset in (None, found.dataset_name)
        and check.dataset_digest in (None, found.dataset_digest)
        and check.suite_digest in (None, found.suite_digest)
    ]
    if not wanted:
        return (
            None,
            f"{check.expectations} was validated, but not by this suite's digest on the data that the check names",
        )
    newest = max(wanted, key=lambda found: (found.validated_at, found.run_id))
    if len({found.dataset_digest for found in wanted}) > 1:
        return newest, "different data were validated; the check must name one"
    max_age = check.max_age_ms if check.max_age_ms is not None else case.max_age_ms
    if max_age is not None and abs(case.now - newest.validated_at) > max_age:
        return newest, f"the validation is {age_words(abs(case.now - newest.validated_at))} away, more than max_age"
    return newest, None


def judge_function(check: Function, case: Case) -> Answer:
    answers = [answer for answer in case.candidate.answers if answer.key == check.key]
    if len(answers) != 1:
        return error(f"{check.callable} was asked {len(answers)} times")
    said = answers[0]
    if said.problem is not None or said.outcome is Outcome.ERROR:
        answer = error(said.problem or said.message or f"{check.callable} says error")
    elif any(value is not None and not usable_number(value) for value in (said.actual, said.threshold)):
        answer = error(f"{check.callable} answers with a figure that is no number")
    else:
        answer = Answer(said.outcome, said.message or f"{check.callable} says {said.outcome}.")
    answer.actual, answer.threshold = shown_number(said.actual), shown_number(said.threshold)
    return answer


def judge_approval(check: Approval, case: Case) -> Answer:
    said = in_order(word for word in case.candidate.approvals if _is_bound(word, case))
    words = last_words(said)
    rejections = [word for word in words if word.decision is ApprovalDecision.REJECT]
    counting = {
        word: who
        for word in words
        if word.decision is ApprovalDecision.APPROVE
        and (who := counted(word, check.by, authenticated=check.authenticated)) is not None
    }
    people = sorted(set(counting.values()))
    last = next((word for word in reversed(said) if word in counting or _timed_out(word)), None)
    if rejections:
        word = rejections[-1]
        because = f": {word.reason.rstrip('.')}" if word.reason else ""
        answer = Answer(Outcome.REJECT, f"{word.actor} rejected it{because}.")
    elif len(people) >= check.quorum:
        answer = Answer(Outcome.PASS, f"Approved by {', '.join(people)}.")
    elif last is not None and _timed_out(last):
        answer = Answer(Outcome.REJECT, "Nobody answered in time, which means no.")
    else:
        so_far = f" so far by {', '.join(people)}" if people else " by nobody yet"
        answer = Answer(Outcome.HOLD, f"It has to be approved by {check.quorum}, and is{so_far}.")
    answer.actual, answer.threshold = float(len(people)), float(check.quorum)
    answer.metric = "approvals"
    if words:
        answer.measured_at = max(word.created_at for word in words)
    return answer


def _is_bound(word: ApprovalWord, case: Case) -> bool:
    about = (word.model_name, word.target, word.candidate_model_id, word.candidate_digest, word.gate_digest)
    candidate = case.candidate
    return about == (
        case.model_name,
        case.target,
        candidate.model_id,
        candidate.artifact_digest,
        case.gate.digest,
    )


def _timed_out(word: ApprovalWord) -> bool:
    return word.decision is ApprovalDecision.TIMED_OUT
