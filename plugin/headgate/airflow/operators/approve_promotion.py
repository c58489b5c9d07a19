"""``ApprovePromotionOperator``: ask a person whether a candidate may be promoted, by Airflow's own required actions.

The task is parked while it waits: from Airflow 3.3 on it awaits input, before that it is deferred. Neither holds a
worker's slot. What the person was shown is kept with the parked task, and compared when it resumes: an answer about
another verdict, another candidate or another gate stands for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.airflow.links import VerdictLink
from headgate.airflow.operators.base import StoreTask
from headgate.airflow.rejection import Rejection
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context
    from airflow.sdk.execution_time.hitl import HITLUser

    from headgate.store.entities import Approval, Verdict
    from headgate.store.store import Store

APPROVE = "Approve"
REJECT = "Reject"
SOURCE = "airflow-hitl"
REASON = "reason"
_OURS = ("options", "defaults", "multiple")


class ApprovePromotionOperator(Rejection, StoreTask, HITLOperator):
    """Ask somebody to approve the promotion that a passing verdict permits, and record who said what, and why.

    The question stands under *Required Actions* in Airflow, with the verdict in its body: every check with what was
    demanded, what was measured, the margin and the champion's figure. The answer is recorded in the store as that of
    the person whom Airflow authenticated, bound to the verdict, and so to the candidate's files, the gate and the
    champion. Nobody is asked when somebody approved the verdict elsewhere (``headgate gate approve``), or when the
    promotion that it permits was made.

    Returns a reference to the approval: that of the verdict, with the approval's id, who approved and why. Give it to
    ``PromoteModelOperator(verdict=…)`` with ``require_approval=True``: the promotion checks it again in its own
    transaction.

    On a retry and after a clear, it asks again. Airflow then still shows the text of the question that it showed
    before: when the gate decided anew meanwhile, the task fails and says so, as nobody could see what they answer.

    Args:
        verdict: the id of a verdict, or the output of a ``GateOperator``.
        subject: the question; None names the candidate and its target.
        body: Markdown that stands above the verdict.
        assigned_users: who may answer, as Airflow's other operators take it; None is whoever may answer in this DAG.
        response_timeout: how long to wait; then it is a no, which nobody said. None waits without end.
        params: of the form, beside ``reason``; each needs a default that fits its schema.
        on_reject, on_reject_tasks, on_pass_tasks: as ``GateOperator`` takes them. A rejection is that of a person, the
            end of the wait, or a verdict that does not pass.
    """

    template_fields: Sequence[str] = (
        *HITLOperator.template_fields,
        *("headgate_conn_id", "verdict", "on_reject_tasks", "on_pass_tasks"),
    )
    operator_extra_links = (VerdictLink(),)
    ui_color = "#e3f2ec"

    def __init__(
        self,
        *,
        verdict: str | Mapping[str, Any],
        subject: str | None = None,
        body: str | None = None,
        assigned_users: HITLUser | list[HITLUser] | None = None,
        response_timeout: timedelta | None = None,
        params: Mapping[str, Any] | None = None,
        headgate_conn_id: str = DEFAULT_CONN_ID,
        on_reject: str = "fail",
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        if ours := sorted(set(_OURS).intersection(kwargs)):
            raise InvalidInput(
                f"ApprovePromotionOperator takes no {ours[0]}: nobody's answer in time is a no.",
                remedy=f"Leave {ours[0]} out.",
            )
        said = Param(None, type=["null", "string"], description="Why, for the record.")
        super().__init__(
            subject=subject or "",
            body=body,
            options=[APPROVE, REJECT],
            defaults=REJECT,
            assigned_users=assigned_users,
            response_timeout=response_timeout,
            params={**_own_params(params), REASON: said},
            **kwargs,
        )
        self.verdict = verdict
        self.headgate_conn_id = headgate_conn_id
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        self.say_on_reject(on_reject, on_reject_tasks, on_pass_tasks)

    def execute(self, context: Context) -> Any:
        """Ask, and park the task; or answer at once, where nobody needs to be asked."""
        from headgate.airflow.references import approval_reference, verdict_reference
        from headgate.airflow.versions import parked_with
        from headgate.store.entities import Outcome
        from headgate.tasks.approvals import request_approval
        from headgate.tasks.promote import gate_error

        with self.at_work(context), self.open_store() as store:
            verdict = store.verdicts.get(self._verdict_id())
            if (error := gate_error(verdict)) is not None:
                if verdict.outcome is Outcome.ERROR:
                    self.no_answer(context, verdict_reference(verdict), error)
                return self.rejected(context, verdict_reference(verdict), error)
            if (standing := _said_already(store, verdict)) is not None:
                self.log.info("Nobody needs to be asked: %s approved it already", standing.actor)
                return self.accepted(context, approval_reference(verdict, standing))
            request = request_approval(store, verdict.verdict_id)
            self.subject = self.subject or request.subject
            self.body = "\n\n".join(filter(None, (self.body, request.body)))
            self._require_shown(context, verdict)
            with parked_with(shown=request.shown):
                super().execute(context)
        raise AssertionError("a task that asks is parked")

    def execute_complete(self, context: Context, event: dict[str, Any], shown: Mapping[str, Any] | None = None) -> Any:
        """Record the answer, if it still is one to the question, and end the task by it.

        Raises:
            AirflowFailException: the answer is stale: the verdict, the candidate's files, the champion or the gate is
                another one than what was shown.
        """
        from headgate.airflow.references import approval_reference
        from headgate.store.entities import ApprovalDecision
        from headgate.store.errors import NotApproved
        from headgate.tasks.approvals import record_answer, require_approval

        answer = super().execute_complete(context, event)
        decision, actor, reason = _read(answer, self.response_timeout)
        with self.at_work(context), self.open_store() as store:
            verdict = store.verdicts.get(self._verdict_id())
            approval = record_answer(
                store,
                shown or {},
                verdict.verdict_id,
                decision,
                actor=actor,
                source=SOURCE,
                authenticated=bool(actor) and _authenticates(),
                reason=reason,
            )
            self.log.info("%s: %s%s", approval.actor or "Nobody", decision, f" ({reason})" if reason else "")
            reference = approval_reference(verdict, approval)
            if decision is ApprovalDecision.TIMED_OUT:
                return self.rejected(context, reference, _unanswered(verdict, reason))
            try:
                # One voice is what this task is for; the promotion counts whether there are as many as the guard asks.
                require_approval(store, verdict.verdict_id, alone=True)
            except NotApproved as refusal:
                return self.rejected(context, {**reference, "outcome": "reject"}, refusal)
            return self.accepted(context, reference)

    def _verdict_id(self) -> str:
        said = self.verdict.get("verdict_id") if isinstance(self.verdict, Mapping) else self.verdict
        if not said or said == "None":
            raise InvalidInput(
                f"Task {self.task_id!r} has no verdict to ask about: {self.verdict!r:.200}.",
                remedy="Give the output of the gate's task; a task that was skipped has none.",
            )
        return str(said)

    def _require_shown(self, context: Context, verdict: Verdict) -> None:
        """Raise StaleApproval when Airflow shows the question of an earlier try, about another verdict."""
        from headgate.airflow.versions import dialog_shown
        from headgate.store.errors import StaleApproval

        shown = dialog_shown(self, context)
        if verdict.verdict_id not in shown:
            raise StaleApproval(
                f"Airflow keeps the question of an earlier try of task {self.task_id!r}, which is about another "
                f"verdict than {verdict.verdict_id}: nobody would see what they approve.",
                remedy="Trigger a new DAG run; or approve the verdict in the shell (headgate gate approve "
                f"{verdict.verdict_id}) and clear the task.",
                verdict_id=verdict.verdict_id,
            )


def _own_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params that the task itself was given: Airflow mixes in those of the DAG, which belong on no form."""
    if not isinstance(params, ParamsDict):
        return dict(params or {})
    own = ParamsDict.filter_params_by_source(params, source="task")
    return {name: own.get_param(name) for name in own}


def _said_already(store: Store, verdict: Verdict) -> Approval | None:
    """Return the approval that makes asking needless: one given elsewhere, or that of the promotion that was made."""
    from headgate.store.errors import NotApproved
    from headgate.tasks.approvals import require_approval

    if verdict.used_by is not None:
        rests_on = store.promotions.get(verdict.used_by).approval_id
        return None if rests_on is None else store.approvals.get(rests_on)
    try:
        standing = require_approval(store, verdict.verdict_id)
    except NotApproved:
        return None
    return None if standing.source == SOURCE else standing


def _read(answer: Mapping[str, Any], response_timeout: timedelta | None) -> tuple[Any, str, str]:
    """Return the decision, who made it, and why. What nobody has said is no approval, whatever was chosen."""
    from headgate.store.entities import ApprovalDecision

    user = answer["responded_by_user"]
    if user is None:
        return ApprovalDecision.TIMED_OUT, "", f"nobody answered within {response_timeout}"
    approved = list(answer["chosen_options"]) == [APPROVE]
    name, user_id = str(user["name"]), str(user["id"])
    actor = name if name == user_id else f"{name} ({user_id})"
    reason = (answer["params_input"] or {}).get(REASON)
    return ApprovalDecision.APPROVE if approved else ApprovalDecision.REJECT, actor, str(reason or "")


def _unanswered(verdict: Verdict, why: str) -> Any:
    from headgate.store.errors import NotApproved

    subject = f"{verdict.candidate_model_id} to {verdict.model_name} {verdict.target}"
    return NotApproved(
        f"The promotion of {subject} was not approved: {why}.",
        remedy="Clear the task to ask again.",
        verdict_id=verdict.verdict_id,
    )


def _authenticates() -> bool:
    """Say whether Airflow knows who answers: its simple auth manager may be told to take everybody for an admin."""
    from airflow.sdk.configuration import conf

    return not conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False)
