"""A verdict in words, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from headgate.store.canonical import canonical_json, to_plain
from headgate.store.entities import Approval, ApprovalDecision, CheckResult, Outcome, Severity, Verdict


def explain(verdict: Verdict) -> tuple[str, ...]:
    """Return a verdict as lines of plain text: what was decided, then each check with its figures and its source."""
    subject = f"{verdict.candidate_model_id} for {verdict.model_name} {verdict.target}"
    champion = f"version {verdict.champion_version}" if verdict.champion_version is not None else "none"
    decided, expires = time_text(verdict.decided_at), time_text(verdict.expires_at)
    head = (
        f"{verdict.outcome.upper()}: gate {verdict.gate_name} on {subject}{', in shadow mode' * verdict.shadow}",
        f"  verdict {verdict.verdict_id}, decided {decided}, expires {expires}",
        f"  champion: {champion}",
    )
    used = (f"  used by promotion {verdict.used_by}",) if verdict.used_by else ()
    checks = tuple(line for check in verdict.checks for line in _check_lines(check))
    return head + used + checks


def explain_approvals(approvals: Iterable[Approval]) -> tuple[str, ...]:
    """Return what people said of a verdict as lines of plain text, one for each."""
    return tuple(_approval_line(approval) for approval in approvals)


def failures(verdict: Verdict) -> tuple[CheckResult, ...]:
    """Return the blocking checks that did not pass, errors first."""
    order = (Outcome.ERROR, Outcome.REJECT, Outcome.HOLD)
    failed = [c for c in verdict.checks if c.severity is Severity.BLOCK and c.outcome is not Outcome.PASS]
    return tuple(sorted(failed, key=lambda check: order.index(check.outcome)))


def warnings(verdict: Verdict) -> tuple[CheckResult, ...]:
    """Return the checks that only warn and did not pass."""
    return tuple(c for c in verdict.checks if c.severity is Severity.WARN and c.outcome is not Outcome.PASS)


def verdict_json(verdict: Verdict) -> str:
    """Return a verdict as canonical JSON: byte-identical for equal verdicts, whichever door they came through."""
    return canonical_json(to_plain(verdict))


_CIRCUMSTANCES = ("verdict_id", "decided_at", "expires_at", "decided_by", "run_id", "used_by")


def decision_json(verdict: Verdict) -> str:
    """Return what was decided as canonical JSON, without when, by whom and within which run.

    The same gate on the same evidence gives the same bytes, whichever door asked.
    """
    said = to_plain(verdict)
    return canonical_json({name: value for name, value in said.items() if name not in _CIRCUMSTANCES})


def because_words(check: CheckResult) -> str:
    """Return why a check exists and who answers for it, as it follows its message; empty when neither was said."""
    said = [f"Why: {check.reason.rstrip('.')}" if check.reason else "", f"Owner: {check.owner}" if check.owner else ""]
    return "".join(f" {part}." for part in said if part)


def _approval_line(approval: Approval) -> str:
    at = time_text(approval.created_at)
    because = f": {approval.reason}" if approval.reason else ""
    if approval.decision is ApprovalDecision.TIMED_OUT:
        return f"  nobody answered in time, {at} by {approval.source}{because}"
    word = "approved" if approval.decision is ApprovalDecision.APPROVE else "rejected"
    how = "authenticated" if approval.authenticated else "a claimed name"
    return f"  {word} by {approval.actor} ({how}), {at} by {approval.source}{because} ({approval.approval_id})"


def _check_lines(check: CheckResult) -> Iterator[str]:
    warning = " (warning only)" if check.severity is Severity.WARN else ""
    yield f"  [{check.outcome.value:>6}] {check.rule}{warning}: {check.message}{because_words(check)}"
    figures = {
        "demanded": check.threshold,
        "measured": check.actual,
        "margin": check.margin,
        "champion": check.champion_value,
    }
    sources = {
        "dataset": check.dataset_name,
        "digest": check.dataset_digest,
        "run": check.run_id,
        "at": None if check.measured_at is None else time_text(check.measured_at),
    }
    told = [f"{name} {value}" for name, value in {**figures, **sources}.items() if value is not None]
    if told:
        yield f"           {', '.join(told)}"


def time_text(epoch_ms: int) -> str:
    """Return a time as people read it: ``2026-11-21 03:00:00 UTC``."""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{epoch_ms} ms"  # a script may log any timestamp; a verdict about it must still be readable
