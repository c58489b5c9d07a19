"""The end of a pipeline: the gate decides on the candidate, and a passing verdict promotes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headgate.flows.events import Decided, Event, Promoted, PromotionFailed
from headgate.flows.step_runs import StepWork
from headgate.store.entities import Outcome, Promotion, Verdict
from headgate.store.errors import HeadgateError, RunKilled
from headgate.tasks.promote import champion_to_evaluate, decide_promotion, promote, promoted_before
from headgate.tasks.task_names import CHAMPION_SUFFIX

if TYPE_CHECKING:
    from headgate.flows.parent_run import ParentRun
    from headgate.flows.planned import Plan, PlannedPromotion
    from headgate.flows.rendering import Values
    from headgate.store.deliveries import Claim
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class PromotionOutcome:
    """What came of the promotion block.

    Args:
        verdict: None when none was reached.
        promotion: None unless the verdict passed and the store promoted.
        error: why there is no verdict, or why the store refused.
    """

    verdict: Verdict | None = None
    promotion: Promotion | None = None
    error: HeadgateError | None = None


@dataclass(frozen=True, slots=True)
class PromotionStep:
    """Decides and promotes at the end of one pipeline run.

    Args:
        actor: who promotes, for the record.
        clock: epoch ms.
        evaluate: measures a model, given its id, on the data that the candidate was measured on; None where no step can
            do that.
    """

    store: Store
    planned: PlannedPromotion
    parent: ParentRun
    actor: str
    clock: Callable[[], int]
    on_event: Callable[[Event], None]
    evaluate: Callable[[str], None] | None

    def run(self, candidate_of: Callable[[], str]) -> PromotionOutcome:
        """Decide on the candidate, and promote it when the verdict passes. May run twice: it promotes once.

        Args:
            candidate_of: returns the id of the LoggedModel that is the candidate.

        Raises:
            RunKilled: the pipeline run was stopped while the champion was measured.
        """
        verdict: Verdict | None = None
        try:
            candidate = candidate_of()
            before = self.promoted_before(candidate)
            if before is not None:
                return before
            champion = self.champion_to_measure(candidate)
            if champion is not None and self.evaluate is not None:
                self.evaluate(champion)
            verdict = self.decide(candidate)
            if verdict.outcome is not Outcome.PASS:
                return PromotionOutcome(verdict)
            promotion = self.promote(verdict.verdict_id, candidate)
        except RunKilled:
            raise
        except HeadgateError as error:
            self.on_event(PromotionFailed(error))
            return PromotionOutcome(verdict, error=error)
        return PromotionOutcome(replace(verdict, used_by=promotion.promotion_id), promotion)

    def champion_to_measure(self, candidate: str) -> str | None:
        """Return the model id of a champion that the gate would have no figures of; None when nothing is lacking."""
        planned = self.planned
        if planned.evaluate is None:
            return None
        return champion_to_evaluate(self.store, planned.gate, planned.model, planned.to, candidate, now=self.clock())

    def decide(self, candidate: str, *, claim: Claim | None = None) -> Verdict:
        """Let the gate decide, and record its verdict; errors are those of ``decide_promotion``."""
        verdict = decide_promotion(
            self.store,
            self.planned.gate,
            self.planned.model,
            self.planned.to,
            candidate,
            decided_by=self.actor,
            run_id=self.parent.run_id,
            claim=claim,
            now=self.clock(),
        )
        self.on_event(Decided(verdict))
        return verdict

    def promote(
        self,
        verdict_id: str,
        candidate: str,
        *,
        approval_id: str | None = None,
        require_approval: bool = False,
        claim: Claim | None = None,
    ) -> Promotion:
        """Promote the candidate by a verdict; arguments and errors are :func:`headgate.tasks.promote.promote`'s."""
        promotion = promote(
            self.store,
            verdict_id,
            actor=self.actor,
            reason=f"pipeline run {self.parent.context.pipeline_run_id}",
            model_id=candidate,
            allow_older=self.planned.allow_older,
            approval_id=approval_id,
            require_approval=require_approval,
            claim=claim,
            now=self.clock(),
        )
        self.on_event(Promoted(promotion))
        return promotion

    def promoted_before(self, candidate: str) -> PromotionOutcome | None:
        """Return what an earlier try of this pipeline run promoted, even if another model holds the target by now."""
        if not self.parent.resumed:
            return None
        name, target = self.planned.model, self.planned.to
        before = promoted_before(self.store, name, target, candidate, run_id=self.parent.run_id)
        if before is None:
            return None
        verdict, promotion = before
        self.on_event(Decided(verdict))
        self.on_event(Promoted(promotion, reused=True))
        return PromotionOutcome(verdict, promotion)


def champion_work(plan: Plan, values: Values, model_id: str, *, attempt: int | None = None) -> StepWork:
    """Return the work of measuring a champion: the evaluating step, with that model in the candidate's place.

    Args:
        values: resolves references; the outputs of the steps that the evaluating step refers to are there.
    """
    block = plan.pipeline.promote
    assert block is not None
    step, candidate = plan.pipeline.step(str(block.evaluate)), str(block.candidate_step)
    other = replace(values.outputs[candidate], model_ids=(model_id,))
    with_other = replace(values, outputs={**values.outputs, candidate: other})
    parameters = {key: with_other.render(template) for key, template in step.parameters.items()}
    # No step's name has a dot, so the task's is nobody else's.
    return StepWork(step, -1, parameters, f"{step.name}{CHAMPION_SUFFIX}", attempt)
