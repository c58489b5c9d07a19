"""``approve_promotion``: ask a person whether a candidate may be promoted, by a form of Prefect's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from prefect.input import RunInput
from prefect.logging import get_run_logger
from pydantic import Field

from headgate.prefect.tasks.base import headgate_task
from headgate.store.entities import Approval
from headgate.store.errors import InvalidInput, NotApproved

if TYPE_CHECKING:
    from headgate.store.entities import Verdict
    from headgate.store.store import Store

SOURCE = "prefect"
_DAY = 24 * 3600.0


class ApprovalForm(RunInput):
    """The form. Nothing is chosen beforehand: who does not decide has not approved."""

    decision: Literal["approve", "reject"] = Field(description="Whether the candidate is promoted.")
    name: str = Field(
        min_length=1,
        max_length=256,
        pattern=r"\S",
        description="Who decides, for the record. Prefect does not check it: it is kept as a claimed name.",
    )
    reason: str = Field(default="", max_length=2000, description="Why, for the record.")


@headgate_task(task_run_name="approve-promotion")
def approve_promotion(
    verdict: str | Verdict,
    *,
    message: str = "",
    timeout_seconds: float = _DAY,
    poll_seconds: float = 5.0,
    suspend: bool = False,
    store: str | None = None,
) -> Approval:
    """Ask somebody to approve the promotion that a passing verdict permits, and record who said what, and why.

    The flow run is paused, and *Resume* on its page opens a dialog with the verdict, every check with what was demanded
    and measured, and a form. The answer is recorded in the store, bound to the verdict, and so to the candidate's
    files, the gate and the champion: one that comes after any of these changed stands for nothing. Prefect has no
    accounts to check, so the name is kept as claimed.

    Nobody is asked again who answered already: a retry, a flow run that runs again, and a verdict that somebody
    approved elsewhere (``headgate gate approve``) are given what was said, unless the gate decided anew meanwhile.

    Args:
        verdict: what ``decide_gate`` returned, or a verdict's id.
        message: Markdown that stands above the verdict.
        timeout_seconds: how long to wait; then it is a no, which nobody said.
        poll_seconds: how long to wait between two looks at the flow run.
        suspend: end the process while it waits. Only for a deployment, whose run then starts anew from its top; tasks
            of Headgate do nothing twice, others should keep their results.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        The approval; give it to ``promote_model(verdict=…)`` with ``require_approval=True``: the promotion checks it
        again in its own transaction.

    Raises:
        NotApproved: somebody rejected it, or nobody answered in time.
        StaleApproval: what was approved is not what would be promoted now.
        GateRejected, GateHeld, GateErrored: the verdict does not pass.
        PromotionRefused: its promotion would be refused anyway; nobody is asked.
        RunKilled: the flow run was ended while it waited.
    """
    from headgate.prefect.artifacts.verdict import publish_verdict
    from headgate.prefect.processes import at_work
    from headgate.prefect.questions import Question, ask
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.approvals import request_approval, require_approval
    from headgate.tasks.promote import gate_error

    verdict_id = _verdict_id(verdict)
    with open_store_of(store) as opened, at_work() as stop:
        found = opened.verdicts.get(verdict_id)
        if (error := gate_error(found)) is not None:
            raise error
        if (standing := _said_already(opened, found)) is not None:
            get_run_logger().info("Nobody needs to be asked: %s approved it already", standing.actor)
            return standing
        request = request_approval(opened, verdict_id)
        publish_verdict(found, opened.approvals.of_verdict(verdict_id))
        text = "\n\n".join(filter(None, (f"### {request.subject}", message, request.body)))
        get_run_logger().info("%s Resume this flow run to answer.", request.subject)
        answer = ask(
            Question(verdict_id, ApprovalForm, text),
            timeout=timeout_seconds,
            poll=poll_seconds,
            suspend=suspend,
            stop=stop,
        )
        _record(opened, request.shown, verdict_id, answer, timeout_seconds)
        approval = require_approval(opened, verdict_id, alone=True)
        publish_verdict(found, opened.approvals.of_verdict(verdict_id))
        return approval


def _record(
    store: Store, shown: dict[str, Any], verdict_id: str, answer: ApprovalForm | None, timeout_seconds: float
) -> None:
    from headgate.store.entities import ApprovalDecision
    from headgate.tasks.approvals import record_answer

    said = (ApprovalDecision.TIMED_OUT, "", f"nobody answered within {timeout_seconds:g} s")
    if answer is not None:
        approved = answer.decision == "approve"
        decision = ApprovalDecision.APPROVE if approved else ApprovalDecision.REJECT
        said = (decision, " ".join(answer.name.split()), answer.reason.strip())
    decision, actor, reason = said
    record_answer(store, shown, verdict_id, decision, actor=actor, source=SOURCE, authenticated=False, reason=reason)
    get_run_logger().info("%s: %s%s", actor or "Nobody", decision, f" ({reason})" if reason else "")
    if answer is None:
        verdict = store.verdicts.get(verdict_id)
        subject = f"{verdict.candidate_model_id} to {verdict.model_name} {verdict.target}"
        raise NotApproved(
            f"The promotion of {subject} was not approved: {reason}.",
            remedy=f"Run the flow again to ask again; or approve it in the shell: headgate gate approve {verdict_id}.",
            verdict_id=verdict_id,
            model_name=verdict.model_name,
            target=verdict.target,
        )


def _said_already(store: Store, verdict: Verdict) -> Approval | None:
    """Return the approval that makes asking needless: one that stands, or that of the promotion that was made.

    Raises:
        NotApproved: somebody rejected it already.
        StaleApproval: what was approved is not what would be promoted now.
    """
    from headgate.tasks.approvals import require_approval

    if verdict.used_by is not None:
        rests_on = store.promotions.get(verdict.used_by).approval_id
        return None if rests_on is None else store.approvals.get(rests_on)
    try:
        return require_approval(store, verdict.verdict_id)
    except NotApproved as refusal:
        if "rejected_by" in refusal.attributes:
            raise
        return None


def _verdict_id(verdict: str | Verdict) -> str:
    said = verdict if isinstance(verdict, str) else getattr(verdict, "verdict_id", None)
    if not isinstance(said, str) or not said:
        raise InvalidInput(
            f"There is no verdict to approve: {verdict!r:.200}.", remedy="Give what decide_gate returned, or its id."
        )
    return said
