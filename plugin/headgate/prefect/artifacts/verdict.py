"""A gate's verdict as an artifact: what was decided on what, and each check with its figures and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.prefect.artifacts.links import artifact_page, promotions_key, verdict_key
from headgate.prefect.artifacts.publish import publish_markdown
from headgate.tasks.gates.explain import failures, time_text, warnings
from headgate.tasks.gates.markdown import escaped, verdict_markdown

if TYPE_CHECKING:
    from uuid import UUID

    from headgate.store.entities import Approval, Verdict


def publish_verdict(verdict: Verdict, approvals: tuple[Approval, ...] = ()) -> UUID:
    """Make the artifact of a verdict; the key is that of its model and target, so all verdicts about it are a history.

    Args:
        approvals: what people said of it.

    Raises:
        StoreUnavailable: Prefect's server did not answer; a retry may help.
    """
    key = verdict_key(verdict.model_name, verdict.target)
    about = f"{verdict.candidate_model_id} for {verdict.model_name} {verdict.target}"
    description = f"{verdict.outcome.upper()}: gate {verdict.gate_name} on {about}"
    return publish_markdown(key, verdict_artifact(verdict, approvals), description)


def verdict_artifact(verdict: Verdict, approvals: tuple[Approval, ...] = ()) -> str:
    """Return the text of the artifact."""
    parts = [verdict_markdown(verdict)]
    if reasons := [*failures(verdict), *warnings(verdict)]:
        parts.append("## Why\n\n" + "\n".join(f"- {escaped(each.rule)}: {escaped(each.message)}" for each in reasons))
    if approvals:
        parts.append("## What people said\n\n" + "\n".join(map(_said, approvals)))
    if (history := artifact_page(promotions_key(verdict.model_name))) is not None:
        parts.append(f"[What was promoted of {escaped(verdict.model_name)}]({history})")
    return "\n\n".join(parts) + "\n"


def _said(approval: Approval) -> str:
    who = escaped(approval.actor) or "nobody"
    how = "" if not approval.actor else " (authenticated)" if approval.authenticated else " (a claimed name)"
    because = f": {escaped(approval.reason)}" if approval.reason else ""
    return f"- {time_text(approval.created_at)}, {who}{how}: **{approval.decision}**{because}"
