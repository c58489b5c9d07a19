"""Asking somebody to approve a promotion, and what their answer is worth.

A door shows an :class:`ApprovalRequest` to a person, keeps its ``shown`` while it waits, and hands both to
:func:`record_answer`. Between question and answer a day may pass: the candidate was retrained, the gate was changed, or
somebody else was promoted. The answer then stands for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.entities import Approval, ApprovalDecision, Outcome, Verdict
from headgate.store.errors import NotPermitted, PromotionRefused, StaleApproval
from headgate.store.promotion_checks import awaits_approval
from headgate.tasks.gates.markdown import verdict_markdown
from headgate.tasks.promote import gate_error

if TYPE_CHECKING:
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person is asked.

    Args:
        verdict: the verdict whose promotion they are to approve.
        subject: the question, one line of plain text.
        body: the verdict with its figures, as Markdown.
    """

    verdict: Verdict
    subject: str
    body: str

    @property
    def shown(self) -> dict[str, str | int | None]:
        """What the question was about, to be kept until the answer comes: small, and JSON."""
        verdict = self.verdict
        return {
            "verdict_id": verdict.verdict_id,
            "candidate_model_id": verdict.candidate_model_id,
            "candidate_digest": verdict.candidate_digest,
            "gate_digest": verdict.gate_digest,
            "champion_version": verdict.champion_version,
        }


def request_approval(store: Store, verdict_id: str, *, now: int | None = None) -> ApprovalRequest:
    """Return what somebody is to be asked about a verdict. Nothing is written.

    Args:
        store: where the verdict is.
        verdict_id: a verdict that is not used yet and passes, or is held until people agree.
        now: UTC epoch ms; None takes the current time.

    Raises:
        GateRejected, GateHeld, GateErrored: the verdict does not pass.
        NotFound: no such verdict.
        PromotionRefused: its promotion would be refused anyway; nobody needs to be asked.
    """
    verdict = store.verdicts.get(verdict_id)
    if not awaits_approval(verdict) and (error := gate_error(verdict)) is not None:
        raise error
    store.approvals.require_permits(verdict_id, now=now_ms() if now is None else now)
    holder = f"version {verdict.champion_version}" if verdict.champion_version is not None else "nobody"
    subject = f"Promote {verdict.candidate_model_id} to {verdict.model_name} {verdict.target}, in place of {holder}?"
    return ApprovalRequest(verdict, subject, verdict_markdown(verdict))


def approve(
    store: Store,
    verdict_id: str,
    *,
    actor: str,
    source: str,
    authenticated: bool = False,
    reason: str = "",
    now: int | None = None,
) -> Approval:
    """Approve the promotion that a verdict permits; see :meth:`headgate.store.approvals.Approvals.record`.

    Raises:
        GateRejected, GateHeld, GateErrored: the verdict does not pass.
        NotFound: no such verdict.
        PromotionRefused: its promotion would be refused now, approved or not.
    """
    verdict = store.verdicts.get(verdict_id)
    if not awaits_approval(verdict) and (error := gate_error(verdict)) is not None:
        raise error
    who: dict[str, Any] = {"actor": actor, "authenticated": authenticated, "source": source, "reason": reason}
    return store.approvals.record(verdict_id, ApprovalDecision.APPROVE, **who, now=now_ms() if now is None else now)


def reject(
    store: Store,
    verdict_id: str,
    *,
    actor: str,
    source: str,
    authenticated: bool = False,
    reason: str = "",
    now: int | None = None,
) -> Approval:
    """Reject the promotion that a verdict permits: nothing promotes by it until the same person approves it.

    Raises:
        NotFound: no such verdict.
        VerdictUnusable: it was used already; what is promoted is rolled back, not rejected.
    """
    who: dict[str, Any] = {"actor": actor, "authenticated": authenticated, "source": source, "reason": reason}
    return store.approvals.record(verdict_id, ApprovalDecision.REJECT, **who, now=now_ms() if now is None else now)


def record_answer(
    store: Store,
    shown: Mapping[str, Any],
    verdict_id: str,
    decision: ApprovalDecision,
    *,
    actor: str,
    source: str,
    authenticated: bool,
    reason: str = "",
    now: int | None = None,
) -> Approval:
    """Record the answer to an earlier question, if what it was about is still what would be promoted.

    Args:
        store: where the verdict is.
        shown: :attr:`ApprovalRequest.shown` of the question.
        verdict_id: the verdict that the asking task is about now, which a re-run may have changed.
        decision: the answer; TIMED_OUT when none came.
        actor: who answered; empty for TIMED_OUT.
        source: the door, such as ``airflow-hitl``.
        authenticated: whether the door knows who answered.
        reason: why, in their own words.
        now: UTC epoch ms; None takes the current time.

    Raises:
        StaleApproval: the answer is to another question, or what it approves would be refused now.
        NotPermitted: it is approved, and the guard of the target does not count an approval of this actor.
        NotFound: no such verdict.
        VerdictUnusable: a rejection comes after the promotion.
    """
    who = actor or "nobody"
    if shown.get("verdict_id") != verdict_id:
        raise StaleApproval(
            f"The answer of {who} is about the verdict {shown.get('verdict_id')} (candidate "
            f"{shown.get('candidate_model_id')}), and the verdict in question is {verdict_id} now.",
            remedy="Ask again: what was shown is not what would be promoted.",
            verdict_id=verdict_id,
            shown_verdict_id=shown.get("verdict_id"),
        )
    moment = now_ms() if now is None else now
    try:
        return store.approvals.record(
            verdict_id,
            decision,
            actor=actor,
            authenticated=authenticated,
            source=source,
            reason=reason,
            now=moment,
        )
    except PromotionRefused as refusal:
        if decision is not ApprovalDecision.APPROVE or isinstance(refusal, NotPermitted):
            raise
        raise StaleApproval(
            f"The approval of {who} is stale. {refusal.message}",
            remedy="Decide again, and let somebody approve what the gate says then.",
            verdict_id=verdict_id,
        ) from refusal


def require_approval(
    store: Store, verdict_id: str, *, approval_id: str | None = None, alone: bool = False, now: int | None = None
) -> Approval:
    """Return the approval that a promotion by this verdict would rest on; see :meth:`Approvals.require`.

    Raises:
        NotApproved: too few approved it, or somebody rejected it.
        StaleApproval: the candidate's files, the champion or the gate changed since, or the verdict can't be used.
        NotFound: no such verdict.
    """
    moment = now_ms() if now is None else now
    return store.approvals.require(verdict_id, approval_id=approval_id, alone=alone, now=moment)


def asked_before(store: Store, verdict: Verdict, *, run_id: str | None, now: int | None = None) -> Verdict:
    """Return the verdict of an earlier try of the same work that says the same, so that its approval stands.

    Work that starts again from its top decides again. While nothing that was decided on has changed, it is the decision
    that somebody was asked about, or is being asked about.

    Args:
        verdict: what was decided now.
        run_id: the run that the work's decisions are part of; None finds nothing.
        now: UTC epoch ms; None takes the current time.

    Returns:
        The earliest such verdict whose promotion would go through now; without one, ``verdict``.
    """
    if run_id is None or verdict.outcome is not Outcome.PASS or verdict.used_by is not None:
        return verdict
    moment = now_ms() if now is None else now
    earlier = store.verdicts.search(
        verdict.model_name,
        target=verdict.target,
        candidate_model_id=verdict.candidate_model_id,
        run_id=run_id,
        outcome=Outcome.PASS,
    )
    for before in reversed(earlier.items):
        if before.verdict_id == verdict.verdict_id or _decision(before) != _decision(verdict):
            continue
        try:
            store.approvals.require_permits(before.verdict_id, now=moment)
        except PromotionRefused:
            continue
        return before
    return verdict


def _decision(verdict: Verdict) -> tuple[object, ...]:
    """Return what a verdict was decided on, and what each check found; not when, and by which run it was measured."""
    about = (verdict.gate_digest, verdict.candidate_digest, verdict.champion_version, verdict.champion_model_id)
    found = tuple(
        (check.path, check.outcome, check.threshold, check.actual, check.champion_value, check.dataset_digest)
        for check in verdict.checks
    )
    return (*about, found)
