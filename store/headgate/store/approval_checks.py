"""What people's approvals of a verdict amount to: pure functions on plain values.

The last word of each person counts. A name that was only claimed and the same name authenticated are two persons:
nobody takes back an authenticated word by claiming a name. A rejection stands until whoever said it approves, or until
the gate decides anew, whoever it was; nobody's answer in time is no approval, and no rejection either. Whose approvals
count, and how many it takes, the guard of the target says.
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate.store.entities import Approval, ApprovalDecision, Guard, Verdict
from headgate.store.errors import NotApproved, StaleApproval
from headgate.store.guard_rules import approver, listed


def last_words(approvals: Iterable[Approval]) -> tuple[Approval, ...]:
    """Return the last approval or rejection of each person, in the order in which they were said.

    Args:
        approvals: of one verdict.
    """
    last: dict[tuple[str, bool], Approval] = {}
    for word in sorted(approvals, key=lambda each: each.sequence):
        if word.decision is not ApprovalDecision.TIMED_OUT:
            last[word.actor, word.authenticated] = word
    return tuple(sorted(last.values(), key=lambda each: each.sequence))


def standing_approval(
    verdict: Verdict,
    approvals: Iterable[Approval],
    *,
    guard: Guard | None = None,
    approval_id: str | None = None,
    required: bool = False,
    alone: bool = False,
) -> Approval | None:
    """Return the approval that a promotion by this verdict rests on; None when there is none and none is required.

    Args:
        verdict: is to be used.
        approvals: everything that was said of it.
        guard: the target's; says whose approvals count, and how many it takes. None asks nobody.
        approval_id: the approval that it has to be; None takes the latest that stands and counts.
        required: refuse a verdict that nobody approved, whatever the guard says.
        alone: one approval is enough for the answer: whoever asks asks about this one, and the promotion will see
            whether there are as many as the guard asks for.

    Raises:
        NotApproved: somebody rejected it, whether an approval is required or not; or there are fewer approvals that
            count than it takes.
        StaleApproval: ``approval_id`` is not of this verdict, or whoever said it said something else since.
    """
    said = tuple(approvals)
    standing = last_words(word for word in said if _is_bound_to(word, verdict))
    rejections = [word for word in standing if word.decision is ApprovalDecision.REJECT]
    if rejections:
        raise _rejected(verdict, rejections[-1])
    if approval_id is not None:
        named = next((word for word in standing if word.approval_id == approval_id), None)
        if named is None:
            known = any(word.approval_id == approval_id for word in said)
            why = "does not stand any more" if known else f"is not one of the verdict {verdict.verdict_id}"
            raise stale(verdict, f"The approval {approval_id} {why}", approval_id=approval_id)
        if approver(guard, named) is None:
            raise stale(
                verdict,
                f"The approval {approval_id} of {named.actor} does not count by the guard of {verdict.target}",
                approval_id=approval_id,
            )
    counting = [(who, word) for word in standing if (who := approver(guard, word)) is not None]
    people = {who for who, _ in counting}
    needed = max(guard.quorum if guard is not None else 0, int(required))
    if len(people) < (min(needed, 1) if alone else needed):
        raise _too_few(verdict, guard, people, needed)
    if approval_id is not None:
        return named
    return counting[-1][1] if counting else None


def stale(verdict: Verdict, why: str, **more: str | None) -> StaleApproval:
    """Return the error for an approval that does not stand for what would be promoted now."""
    return StaleApproval(
        f"{why}: it can't stand for {_subject(verdict)}.",
        remedy="Decide again, and let somebody approve what the gate says then.",
        **_facts(verdict),
        **more,
    )


def _is_bound_to(word: Approval, verdict: Verdict) -> bool:
    about = (word.verdict_id, word.candidate_model_id, word.candidate_digest, word.gate_digest)
    return about == (verdict.verdict_id, verdict.candidate_model_id, verdict.candidate_digest, verdict.gate_digest)


def _too_few(verdict: Verdict, guard: Guard | None, people: set[str], needed: int) -> NotApproved:
    may = f" by {listed(guard.approvers)}" if guard is not None and guard.approvers else ""
    authenticated = ", authenticated" if guard is not None and guard.authenticated else ""
    if not people:
        said = f"Nobody approved {_subject(verdict)}." if needed == 1 else f"{needed} people have to approve"
        said = said if needed == 1 else f"{said} {_subject(verdict)}, and nobody has."
    else:
        said = f"{len(people)} of {needed} people approved {_subject(verdict)}: {listed(sorted(people))}."
    return NotApproved(
        said,
        remedy=f"Have it approved{may}{authenticated} (headgate gate approve {verdict.verdict_id}), then promote.",
        approved_by=sorted(people),
        needed=needed,
        **_facts(verdict),
    )


def _rejected(verdict: Verdict, word: Approval) -> NotApproved:
    because = f": {word.reason.rstrip('.')}" if word.reason else ""
    return NotApproved(
        f"{word.actor} rejected {_subject(verdict)}{because}.",
        remedy="Decide about another candidate; or let whoever rejected it approve it after all.",
        rejected_by=word.actor,
        approval_id=word.approval_id,
        **_facts(verdict),
    )


def _subject(verdict: Verdict) -> str:
    return (
        f"the promotion of {verdict.candidate_model_id} to {verdict.model_name} {verdict.target} "
        f"(verdict {verdict.verdict_id})"
    )


def _facts(verdict: Verdict) -> dict[str, str]:
    return {"verdict_id": verdict.verdict_id, "model_name": verdict.model_name, "target": verdict.target}
