"""What people's approvals of a verdict amount to: pure functions on plain values.

The last word of each person counts. A name that was only claimed and the same name authenticated are two persons:
nobody takes back an authenticated word by claiming a name. A rejection stands until whoever said it approves, or until
the gate decides anew, whoever it was; nobody's answer in time is no approval, and no rejection either. Whose approvals
count, and how many it takes, the guard of the target says.

Where the gate itself asks for an approval, it is given to a verdict that is held, and the gate then decides again: what
was said of the held verdicts on the same candidate's files, by the same definition of the gate, against the same
champion, is said of that decision too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from headgate.store.entities import Approval, ApprovalDecision, Guard, Verdict
from headgate.store.errors import NotApproved, StaleApproval
from headgate.store.guard_rules import approver, counted, listed, person


def last_words(approvals: Iterable[Approval]) -> tuple[Approval, ...]:
    """Return the last approval or rejection of each person, in the order in which they were said.

    Args:
        approvals: of one verdict, or of several that are about the same.
    """
    last: dict[tuple[str, bool], Approval] = {}
    for word in in_order(approvals):
        if word.decision is not ApprovalDecision.TIMED_OUT:
            who = person(word.actor), word.authenticated
            last.pop(who, None)
            last[who] = word
    return tuple(last.values())


def in_order(approvals: Iterable[Approval]) -> tuple[Approval, ...]:
    """Return words in the order in which they were said: within a verdict by number, between verdicts by time."""
    latest: dict[str, int] = {}
    timed = []
    for word in sorted(approvals, key=lambda each: each.sequence):
        at = latest[word.verdict_id] = max(word.created_at, latest.get(word.verdict_id, word.created_at))
        timed.append(((at, word.sequence), word))
    return tuple(word for _, word in sorted(timed, key=lambda each: each[0]))


def asks_people(verdict: Verdict) -> bool:
    """Say whether the verdict's gate asks for approvals itself."""
    return any(check.kind == "approval" for check in verdict.checks)


def standing_approval(
    verdict: Verdict,
    approvals: Iterable[Approval],
    *,
    held: Collection[str] = (),
    guard: Guard | None = None,
    approval_id: str | None = None,
    required: bool = False,
    alone: bool = False,
) -> Approval | None:
    """Return the approval that a promotion by this verdict rests on; None when there is none and none is required.

    Args:
        verdict: is to be used.
        approvals: everything that was said of it, and of the verdicts in ``held``.
        held: ids of the held verdicts that are about the same, where the gate asks for approvals.
        guard: the target's; says whose approvals count, and how many it takes. None asks nobody.
        approval_id: the approval that it has to be; None takes the latest that stands and counts.
        required: refuse a verdict that nobody approved, whatever the guard says.
        alone: one approval is enough for the answer: whoever asks asks about this one, and the promotion will see
            whether there are as many as the guard asks for.

    Raises:
        NotApproved: somebody rejected it, whether an approval is required or not; or there are fewer approvals that
            count than it takes.
        StaleApproval: ``approval_id`` is of none of these verdicts, or whoever said it said something else since.
    """
    said = tuple(approvals)
    standing = last_words(word for word in said if _is_bound_to(word, verdict, held))
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
    by_gate = [word for _, word in counting if _counts_by_gate(word, verdict.gate_definition.get("checks"))]
    return by_gate[-1] if by_gate else counting[-1][1] if counting else None


def stale(verdict: Verdict, why: str, **more: str | None) -> StaleApproval:
    """Return the error for an approval that does not stand for what would be promoted now."""
    return StaleApproval(
        f"{why}: it can't stand for {_subject(verdict)}.",
        remedy="Decide again, and let somebody approve what the gate says then.",
        **_facts(verdict),
        **more,
    )


def _is_bound_to(word: Approval, verdict: Verdict, held: Collection[str]) -> bool:
    about = (word.candidate_model_id, word.candidate_digest, word.gate_digest)
    same = about == (verdict.candidate_model_id, verdict.candidate_digest, verdict.gate_digest)
    return same and (word.verdict_id == verdict.verdict_id or word.verdict_id in held)


def _counts_by_gate(word: Approval, checks: Any) -> bool:
    """Say whether an approval that the gate asks for counts this word; ``checks`` is of its canonical definition."""
    if not isinstance(checks, Mapping):
        return False
    members = [*checks.get("all_of", ()), *checks.get("any_of", ())]
    if "approval" in checks:
        return counted(word, checks.get("by", ()), authenticated=checks.get("authenticated", False)) is not None
    return any(_counts_by_gate(word, member) for member in members)


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
