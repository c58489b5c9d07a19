"""``PromoteModelOperator``: move an alias or a stage to a candidate, with a passing verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headgate.airflow.asset_events import hold_back, model_outlets
from headgate.airflow.links import VerdictLink
from headgate.airflow.operators.base import HeadgateOperator
from headgate.airflow.operators.gate import decided, read_gate
from headgate.airflow.rejection import Rejection
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.entities import Promotion, Verdict
    from headgate.store.store import Store
    from headgate.tasks.gates.model import Gate


class PromoteModelOperator(Rejection, HeadgateOperator):
    """Promote a candidate: by the verdict of a ``GateOperator``, or by a gate that decides here and now.

    The store verifies the verdict and the champion it was decided against, moves the alias or the stage, and writes the
    event, in one transaction. Where another promotion came first, a gate at hand decides again, against the new
    champion; a verdict from elsewhere is refused. A retry, and a clear of the task, find the promotion that was made,
    whoever holds the target by now, and promote nothing again.

    The asset of the target is an outlet of the task; its event comes once per promotion, and with no rejection.

    Returns a reference to the promotion. Where nothing was promoted and the task doesn't fail, it is the reference to
    the verdict, with an ``outcome`` other than ``pass``. The verdict is also the XCom ``verdict``, pushed before the
    task ends.

    Args:
        verdict: the id of a verdict, or the output of a ``GateOperator`` or an ``ApprovePromotionOperator``; without
            ``gate``.
        gate: as ``GateOperator`` takes it; without ``verdict``.
        model_name: the registered model. Needed with a gate; with a verdict, a verdict on another model is refused.
        target: ``@alias`` or ``stage:Name``; as ``model_name``.
        candidate: as ``GateOperator`` takes it. Needed with a gate; with a verdict, one on another model is refused.
        evaluation_runs: as ``GateOperator`` takes it, with a gate.
        allow_older: let a candidate of an earlier logical date than the champion's take its place. Otherwise a backfill
            is a rejection.
        require_approval: refuse a verdict that nobody approved.
        approval: the id of the approval that it rests on; None takes the latest that stands, if there is one.
        reason: why, for the record; None names the DAG run.
        on_reject, on_reject_tasks, on_pass_tasks: as ``GateOperator`` takes them. What is rejected is a candidate that
            the gate rejects or holds back, that a person rejected, or that is older than the champion; any other
            refusal of the store fails the task.
    """

    template_fields: Sequence[str] = (
        *HeadgateOperator.template_fields,
        *("verdict", "gate", "model_name", "target", "candidate", "evaluation_runs", "approval", "reason"),
        *("on_reject_tasks", "on_pass_tasks"),
    )
    operator_extra_links = (VerdictLink(),)
    template_fields_renderers: ClassVar[dict[str, str]] = {"gate": "json"}
    holds_back_models = True

    def __init__(
        self,
        *,
        verdict: str | Mapping[str, Any] | None = None,
        gate: str | Path | Mapping[str, Any] | Gate | None = None,
        model_name: str | None = None,
        target: str = "@champion",
        candidate: str | Mapping[str, Any] | None = None,
        evaluation_runs: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | None = None,
        allow_older: bool = False,
        require_approval: bool = False,
        approval: str | None = None,
        reason: str | None = None,
        on_reject: str = "fail",
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (verdict is None) == (gate is None):
            raise InvalidInput(
                f"Task {self.task_id!r} has {'both a verdict and' if gate is not None else 'neither a verdict nor'} a "
                "gate.",
                remedy="Give verdict=gate_task.output, or gate= and candidate= to decide and promote at once.",
            )
        if gate is not None and (model_name is None or candidate is None):
            raise InvalidInput(
                f"Task {self.task_id!r} has a gate, and no {'model_name' if model_name is None else 'candidate'}.",
                remedy="Say which model of which name it decides on.",
            )
        self.verdict = verdict
        self.gate = gate
        self.model_name = model_name
        self.target = target
        self.candidate = candidate
        self.evaluation_runs = evaluation_runs
        self.allow_older = allow_older
        self.require_approval = require_approval
        self.approval = approval
        self.reason = reason
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        # Without a name, the model is that of the verdict: known when the task runs, as with a template.
        self.outlets = model_outlets(self.outlets, model_name or "{{ verdict }}", target, self.headgate_conn_id)
        self.say_on_reject(on_reject, on_reject_tasks, on_pass_tasks)

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.identity import open_parent_run
        from headgate.store.errors import ChampionChanged
        from headgate.tasks.once import MORE_DECISIONS

        hold_back(context)
        with self.open_store() as store:
            parent_run_id = open_parent_run(store, context)
            for _ in range(0 if self.gate is None else MORE_DECISIONS):
                try:
                    return self._decide_and_promote(store, context, parent_run_id)
                except ChampionChanged as refusal:
                    self.log.info("%s", refusal)
            return self._decide_and_promote(store, context, parent_run_id)

    def _decide_and_promote(self, store: Store, context: Context, parent_run_id: str) -> dict[str, Any]:
        from headgate.airflow.asset_events import emit_promotion
        from headgate.airflow.references import promotion_reference_in, verdict_reference
        from headgate.store.entities import Outcome
        from headgate.store.errors import NotApproved, OlderThanChampion
        from headgate.tasks.promote import gate_error

        verdict = self._verdict(store, context, parent_run_id)
        reference = verdict_reference(verdict)
        context["ti"].xcom_push(key="verdict", value=reference)
        if (error := gate_error(verdict)) is not None:
            if verdict.outcome is Outcome.ERROR:
                self.no_answer(context, reference, error)
            return self.rejected(context, reference, error)
        try:
            promotion = self._promotion(store, context, verdict, parent_run_id)
        except (NotApproved, OlderThanChampion) as refusal:
            refused = {**reference, "outcome": str(Outcome.REJECT), "reasons": [refusal.message]}
            return self.rejected(context, refused, refusal)
        emit_promotion(context, store, promotion, headgate_conn_id=self.headgate_conn_id)
        return self.accepted(context, promotion_reference_in(store, promotion))

    def _verdict(self, store: Store, context: Context, parent_run_id: str) -> Verdict:
        from headgate.tasks.handed_on import model_in, run_ids_in
        from headgate.tasks.once import require_about

        if self.gate is not None:
            return decided(
                store,
                context,
                read_gate(context, self.gate),
                str(self.model_name),
                self.target,
                model_in(self.candidate),
                run_ids_in(self.evaluation_runs),
                parent_run_id,
            )
        said = self.verdict.get("verdict_id") if isinstance(self.verdict, Mapping) else self.verdict
        if not said or said == "None":
            raise InvalidInput(
                f"Task {self.task_id!r} has no verdict to promote by: {self.verdict!r:.200}.",
                remedy="Give the output of the gate's task; a task that was skipped has none.",
            )
        verdict = store.verdicts.get(str(said))
        candidate = None if self.candidate is None else model_in(self.candidate)
        return require_about(store, verdict, model_name=self.model_name, target=self.target, candidate=candidate)

    def _promotion(self, store: Store, context: Context, verdict: Verdict, parent_run_id: str) -> Promotion:
        """Return the promotion that this DAG run has made by the verdict, or make it."""
        from headgate.airflow.channel import task_claim
        from headgate.airflow.identity import actor_of
        from headgate.tasks.once import promote_once

        promotion = promote_once(
            store,
            verdict,
            run_id=parent_run_id,
            actor=actor_of(context),
            reason=self.reason or f"Airflow DAG run {context['ti'].run_id}",
            allow_older=self.allow_older,
            approval_id=self.approval or None,
            require_approval=self.require_approval,
            claim=task_claim(context),
        )
        self.log.info("Version %s of %s has %s", promotion.to_version, promotion.model_name, promotion.target)
        return promotion
