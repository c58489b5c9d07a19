"""``decide``: a gate, the evidence and the clock's reading in, a verdict out. No database, no clock, no I/O.

How outcomes compose, :mod:`headgate.store.composition` says. An error dominates an ``any_of`` too: a measurement that
is broken is a fault to repair, not an alternative that lost. So a verdict that passes rests on sound evidence in every
check that could have blocked it; but where ``on_error`` makes an error a rejection or a hold, an alternative of an
``any_of`` may lose by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any

from headgate.store.composition import group_outcome
from headgate.store.entities import DEFAULT_WORKSPACE, CheckResult, Outcome, Severity, Verdict
from headgate.store.errors import InvalidInput
from headgate.tasks.gates.case import Answer, Case
from headgate.tasks.gates.demand import Demand, OnError
from headgate.tasks.gates.evidence import Evidence
from headgate.tasks.gates.judge_metrics import judge_improvement, judge_threshold
from headgate.tasks.gates.judge_others import (
    judge_approval,
    judge_budget,
    judge_expectations,
    judge_freshness,
    judge_function,
    judge_signature,
)
from headgate.tasks.gates.model import (
    AllOf,
    AnyOf,
    Approval,
    Budget,
    Check,
    Expectations,
    Freshness,
    Function,
    Gate,
    Improvement,
    Signature,
    Threshold,
)
from headgate.tasks.gates.values import margin_of

_FIGURES = attrgetter(
    *("path", "message", "threshold", "actual", "champion_value"),
    *("metric", "dataset_name", "dataset_digest", "run_id", "measured_at"),
)
_GROUPS = (AllOf, AnyOf)
_JUDGES: dict[type[Demand], Callable[[Any, Case], Answer]] = {
    Threshold: judge_threshold,
    Improvement: judge_improvement,
    Budget: judge_budget,
    Freshness: judge_freshness,
    Signature: judge_signature,
    Expectations: judge_expectations,
    Function: judge_function,
    Approval: judge_approval,
}


def decide(
    gate: Gate,
    evidence: Evidence,
    champion: Evidence | None,
    now: int,
    *,
    model_name: str,
    target: str,
    workspace: str = DEFAULT_WORKSPACE,
    decided_by: str = "",
    run_id: str | None = None,
    shadow: bool = False,
) -> Verdict:
    """Decide whether a candidate may be promoted. Pure: the same arguments give the same verdict, id included.

    Args:
        gate: what is demanded.
        evidence: the candidate's. It must name a LoggedModel.
        champion: the evidence of the target's current holder; None when it has none.
        now: the time of the decision, UTC epoch ms.
        model_name: the registered model that the candidate would become a version of.
        target: ``@alias`` or ``stage:Name``.
        workspace: the registered model's workspace.
        decided_by: who asks, for the record.
        run_id: the run that the decision is part of, for the record.
        shadow: only watch: the verdict says the same, and permits nothing.

    Returns:
        The verdict with one result per check, in the order of the gate. It fails closed: see the module, and
        :mod:`headgate.tasks.gates.evidence` for what is no evidence. Where the candidate is itself the champion, every
        comparison with the champion is an error.

    Raises:
        InvalidInput: the evidence names no LoggedModel.
    """
    if evidence.model_id is None:
        raise InvalidInput(
            "The evidence names no candidate.", remedy="Decide on a LoggedModel: its id belongs to the evidence."
        )
    outcome, checks = _judge(gate.checks, "", Case(gate, evidence, champion, now, model_name=model_name, target=target))
    verdict = Verdict(
        verdict_id="",
        gate_name=gate.name,
        gate_digest=gate.digest,
        gate_definition=gate.canonical,
        outcome=outcome,
        model_name=model_name,
        target=target,
        candidate_model_id=evidence.model_id,
        decided_at=now,
        expires_at=now + gate.expires_after_ms,
        checks=tuple(checks),
        candidate_digest=evidence.artifact_digest,
        candidate_logical_date=evidence.logical_date,
        champion_version=champion.version if champion else None,
        champion_model_id=champion.model_id if champion else None,
        decided_by=decided_by,
        run_id=run_id,
        shadow=shadow,
        workspace=workspace,
    )
    return replace(verdict, verdict_id=_identity(verdict))


def _identity(verdict: Verdict) -> str:
    """Name a verdict by its content, so that the same decision written twice is one row."""
    facts = tuple(
        getattr(verdict, name) for name in Verdict.__dataclass_fields__ if name not in ("checks", "gate_definition")
    )
    checks = [(str(check.outcome), *_FIGURES(check)) for check in verdict.checks]
    return f"v-{hashlib.sha256(repr((facts, checks)).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _judge(check: Check, path: str, case: Case) -> tuple[Outcome, list[CheckResult]]:
    if not isinstance(check, _GROUPS):
        result = _result(check, path, _JUDGES[type(check)](check, case), case.gate.on_error)
        return result.outcome, [result]
    kind = "all_of" if isinstance(check, AllOf) else "any_of"
    prefix = f"{path}.{kind}" if path else kind
    judged = [_judge(member, f"{prefix}[{index}]", case) for index, member in enumerate(check.checks)]
    return group_outcome(kind, _decisive(check.checks, judged)), [result for _, results in judged for result in results]


def _result(check: Demand, path: str, answer: Answer, on_error: OnError | None) -> CheckResult:
    """Return what a check answered, with what the gate makes of an error."""
    outcome, message = answer.outcome, answer.message
    if outcome is Outcome.ERROR and (instead := check.on_error or on_error) is not None:
        outcome = Outcome(instead.value)
        message = f"{message} The gate says {instead} then." if outcome is not Outcome.ERROR else message
    return CheckResult(
        path=path,
        kind=check.kind,
        rule=check.rule,
        outcome=outcome,
        severity=check.severity,
        metric=answer.metric,
        threshold=answer.threshold,
        actual=answer.actual,
        champion_value=answer.champion_value,
        dataset_name=answer.dataset_name,
        dataset_digest=answer.dataset_digest,
        run_id=answer.run_id,
        measured_at=answer.measured_at,
        message=message,
        margin=margin_of(answer.actual, answer.threshold),
        owner=check.owner,
        reason=check.reason,
    )


def _decisive(checks: Iterable[Check], judged: Iterable[tuple[Outcome, list[CheckResult]]]) -> set[Outcome]:
    return {
        outcome
        for check, (outcome, _) in zip(checks, judged, strict=True)
        if isinstance(check, _GROUPS) or check.severity is Severity.BLOCK
    }
