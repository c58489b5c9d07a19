"""The page of a verdict: what was decided, by which checks, with which figures, and what people said of it."""

from __future__ import annotations

from headgate.server.pages.rendering import Page, render
from headgate.server.pages.rights import readable_verdicts
from headgate.server.pages.visit import NotAllowed, Visit
from headgate.store.entities import Outcome, Severity, Verdict
from headgate.store.store import Store

_SENTENCES = {
    Outcome.PASS: "The candidate may hold {target} of {model}.",
    Outcome.HOLD: "Somebody has to look before the candidate may hold {target} of {model}.",
    Outcome.REJECT: "The candidate may not hold {target} of {model}.",
    Outcome.ERROR: "The gate could not decide: evidence is missing or unusable, so nothing was let through.",
}


def verdict_page(store: Store, visit: Visit, verdict_id: str) -> Page:
    """Return a verdict with every check.

    Raises:
        NotFound: there is no such verdict.
        NotAllowed: it belongs to a pipeline that the reader may not see.
    """
    verdict = store.verdicts.get(verdict_id)
    if verdict.verdict_id not in readable_verdicts(store, visit, [verdict]):
        raise NotAllowed(
            "This verdict belongs to a pipeline that you may not read.",
            remedy="Ask whoever runs it for the right to read its runs.",
        )
    return render(
        "verdict.html",
        visit,
        verdict=verdict,
        sentence=sentence(verdict, visit.now),
        approvals=store.approvals.of_verdict(verdict_id),
    )


def sentence(verdict: Verdict, now: int) -> str:
    """Return what a verdict says and whether it still counts, in a sentence or two."""
    said = _SENTENCES[verdict.outcome].format(target=verdict.target, model=verdict.model_name)
    blocking = [check for check in verdict.checks if check.severity is Severity.BLOCK]
    passed = sum(check.outcome is Outcome.PASS for check in blocking)
    said += f" {passed} of {len(blocking)} blocking checks passed."
    if verdict.shadow:
        return f"{said} It was decided in shadow mode: it only says what the gate would have said."
    if verdict.used_by:
        return f"{said} It was promoted ({verdict.used_by})."
    if verdict.outcome is Outcome.PASS and verdict.expires_at < now:
        return f"{said} Nobody promoted it before the verdict expired."
    return said
