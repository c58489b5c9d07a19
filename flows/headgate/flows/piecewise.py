"""A pipeline run in pieces: for orchestrators whose tasks are processes of their own.

Each task joins the pipeline run by its key, does one piece (a step, or one member of its sweep; the choice; the
measurement of the champion; the decision; the promotion) and leaves. What a piece needs from those before it, it reads
from the store by key, so nothing but the key has to travel. The records are those of
:func:`headgate.flows.run_pipeline`.

::

    run = join_pipeline_run(store, plan, context, given, actor=actor)
    run.run_step("train", map_index=2, attempt=1)
    run.choose("train")
    verdict = run.decide()
    run.promote(verdict.verdict_id)
    run.finish()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from headgate.flows.conductor import CHOSEN_TAG, settled
from headgate.flows.events import Event, StepEnded, StepRunEnded
from headgate.flows.model import PromotionBlock, Step
from headgate.flows.parameters import ParameterValue, resolve_parameters
from headgate.flows.parent_run import COMMIT_TAG, ParentRun, join_parent_run, parent_tags
from headgate.flows.planned import Plan
from headgate.flows.planning import planned, read_for_planning
from headgate.flows.project_check import ProjectReader
from headgate.flows.promotion_step import PromotionStep, champion_work
from headgate.flows.rendering import Values
from headgate.flows.results import StepRun, StepStatus
from headgate.flows.step_runs import StepRunner, artifact_value, work_of
from headgate.store.clock import now_ms
from headgate.store.entities import ApprovalDecision, Outcome, Run, RunContext, RunStatus
from headgate.store.errors import InvalidPipeline
from headgate.tasks.process import ProcessScope
from headgate.tasks.projects.secrets import MASK
from headgate.tasks.stopping import StopRequest

if TYPE_CHECKING:
    from headgate.store.deliveries import Claim
    from headgate.store.entities import Promotion, Verdict
    from headgate.store.store import Store


_OPENED_TAG = "mlflow.source.name"  # a run that a task beside the pipeline's opened does not have it


def ignore(event: Event) -> None:
    """Take no notice of what happens."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the process that does a piece says of itself.

    Args:
        actor: who acts, for the record.
        tags: of every run of a step, such as the version of the code that the orchestrator runs.
        run_tags: of the pipeline's own run.
        variables: of the environment of every entry point.
        parent_run_id: the run that the pipeline run is a part of; None when it stands alone.
        env: environment of every step, over what the pipeline says.
        experiment: experiment of the runs, over what the pipeline says.
        stop: asks the piece to stop.
        scope: where the processes of entry points live.
        handle_signals: as :func:`headgate.tasks.run_project` takes it.
        on_event: told what happens, in the thread that does the piece.
        clock: epoch ms.
    """

    actor: str
    tags: Mapping[str, str] = field(default_factory=dict)
    run_tags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    parent_run_id: str | None = None
    env: str | None = None
    experiment: str | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    scope: ProcessScope = ProcessScope.OWN_SESSION
    handle_signals: bool = True
    on_event: Callable[[Event], None] = ignore
    clock: Callable[[], int] = now_ms


def join_pipeline_run(
    store: Store, outlined: Plan, context: RunContext, given: Mapping[str, Any], host: Host
) -> PiecewiseRun:
    """Join a pipeline run; whoever comes first opens it.

    The first one plans it in full, except for the environments, which belong to the machines of the steps: parameters
    are checked, projects in git are fetched, and the commit that is found is every step's. The others take parameters
    and commits from the record. Only secret parameters, which are in no record, are taken as they are given each time.

    Args:
        outlined: what :func:`headgate.flows.outline.outline` says of the pipeline.
        context: names the pipeline run and its dates. It has a task where the pipeline is a part of somebody's DAG or
            flow; the steps' names then follow behind it and a dot.
        given: values for the pipeline's parameters; relative paths start from the pipeline's folder.

    Raises:
        InvalidPipeline: the pipeline or a parameter is wrong, or the run was opened with other parameters.
        ProjectUnavailable, StoreUnavailable: no answer; a retry may help.
        RunNotActive: somebody deleted the run.
    """
    before = store.runs.find_by_context(context)
    if before is not None and _OPENED_TAG in before.tags:
        given = {**given, **_recorded(outlined, before)}
        plan = _at_commits(outlined, before, host)
    else:
        plan = _in_full(store, outlined, given, host)
    values = resolve_parameters(plan.pipeline, given, paths_from_pipeline=True)
    parent = join_parent_run(
        store,
        plan,
        context,
        parameters={name: value.shown for name, value in values.items()},
        tags={**parent_tags(plan), **host.run_tags},
        user=host.actor,
        parent_run_id=host.parent_run_id,
        now=host.clock(),
    )
    return PiecewiseRun(store, plan, parent, values, host)


def _recorded(outlined: Plan, before: Run) -> dict[str, str]:
    params = before.params
    return {name: params[name] for name in outlined.pipeline.parameters if name in params and MASK not in params[name]}


def _in_full(store: Store, outlined: Plan, given: Mapping[str, Any], host: Host) -> Plan:
    mistakes = read_for_planning(outlined.pipeline)
    home = store.settings.home.expanduser().absolute()
    reader = ProjectReader(outlined.pipeline, home, host.env, mistakes, environments=False)
    return planned(
        mistakes,
        reader,
        given,
        env=host.env,
        experiment=host.experiment,
        paths_from_pipeline=True,
        look_for_files=False,
    )


def _at_commits(outlined: Plan, before: Run, host: Host) -> Plan:
    steps = tuple(replace(step, commit=before.tags.get(COMMIT_TAG + step.name)) for step in outlined.steps)
    return replace(outlined, steps=steps, experiment=host.experiment or outlined.experiment)


@dataclass(frozen=True, slots=True)
class PiecewiseRun:
    """A pipeline run that one of its pieces has joined; see :func:`join_pipeline_run`. Every piece may be done again.

    Args:
        parameters: of the pipeline run, secrets included.
    """

    store: Store
    plan: Plan
    parent: ParentRun
    parameters: Mapping[str, ParameterValue]
    host: Host

    # Steps

    def run_step(
        self, name: str, map_index: int = -1, *, attempt: int | None = None, may_reuse: bool = False
    ) -> StepRun:
        """Run a step, or one member of its sweep, as one attempt; retries are the orchestrator's to make.

        Args:
            attempt: the orchestrator's number of this try, from 1; the one before is closed. None takes the next.
            may_reuse: take the run by which an earlier try of this pipeline run finished the same work, if there is
                one. For orchestrators that begin again from the top; a step before this one must not have run again.

        Raises:
            InvalidPipeline: a step before it has no finished run, or did not log what is referred to.
            HeadgateError: as :func:`headgate.tasks.run_project`.
        """
        step = self.plan.pipeline.step(name)
        work = work_of(step, map_index, self._values({ref.step for ref in step.step_references}), attempt=attempt)
        earlier = self._runner.earlier(work) if may_reuse and self.parent.resumed else None
        if earlier is None:
            return self._runner.run_once(work)
        self.host.on_event(StepRunEnded(name, earlier))
        return earlier

    def choose(self, name: str) -> StepRun:
        """Choose the run of a sweep that goes on, and record it.

        Raises:
            InvalidPipeline: a member has no finished run, or none logged a finite value of the metric.
        """
        step = self.plan.pipeline.step(name)
        runs = tuple(self._finished_run(name, index) for index in _indexes(step))
        result = settled(step, runs)
        if result.error is not None:
            raise result.error
        assert result.chosen is not None
        self.store.tags.set(self.parent.run_id, {f"{CHOSEN_TAG}{name}": result.chosen.run_id})
        self.host.on_event(StepEnded(result))
        return result.chosen

    def output(self, name: str) -> StepRun:
        """Return the run that a step hands on: its only one, or the chosen one of its sweep.

        Raises:
            InvalidPipeline: it has no finished run, or none was chosen.
        """
        step = self.plan.pipeline.step(name)
        if step.sweep is None:
            return self._finished_run(name)
        run_id = self.store.runs.get(self.parent.run_id).tags.get(CHOSEN_TAG + name)
        found = self.store.runs.get_many([run_id]) if run_id is not None else ()
        if not found:
            raise self._nothing(name, f"No run of the sweep {name!r} was chosen")
        return self._runner.step_run(found[0])

    # The promotion

    def candidate(self) -> str:
        """Return the id of the model that may be promoted; raises as :meth:`output`, or when the step made not one."""
        step = str(self._block.candidate_step)
        return self._values({step}).model_id(step)

    def measure_champion(self, *, attempt: int | None = None) -> StepRun | None:
        """Run the evaluating step with the champion in the candidate's place, where the gate lacks figures of it.

        Returns:
            None when nothing is lacking.

        Raises:
            InvalidPipeline, HeadgateError: as :meth:`run_step`.
        """
        candidate = self.candidate()
        champion = self._promotion.champion_to_measure(candidate)
        if champion is None or self._promotion.promoted_before(candidate) is not None:
            return None
        step = self.plan.pipeline.step(str(self._block.evaluate))
        values = self._values({ref.step for ref in step.step_references})
        return self._runner.run_once(champion_work(self.plan, values, champion, attempt=attempt))

    def decide(self, *, may_reuse: bool = False, claim: Claim | None = None) -> Verdict:
        """Let the gate decide on the candidate; after a promotion of this pipeline run, return its verdict again.

        Args:
            may_reuse: return what an earlier try of this pipeline run decided, if a promotion could still rest on it:
                what a person said of that verdict stands for no other.
            claim: who tells of a rejection; see :meth:`headgate.store.verdicts.Verdicts.record`.

        Raises:
            InvalidPipeline: as :meth:`candidate`.
            HeadgateError: as :func:`headgate.tasks.promote.decide_promotion`. What the verdict says is no error.
        """
        candidate = self.candidate()
        before = self._promotion.promoted_before(candidate)
        if before is not None and before.verdict is not None:
            return before.verdict
        standing = self._standing_verdict(candidate) if may_reuse and self.parent.resumed else None
        return standing or self._promotion.decide(candidate, claim=claim)

    def _standing_verdict(self, candidate: str) -> Verdict | None:
        """Return the newest verdict if it passes, and is of this gate, this candidate and whoever is champion now."""
        planned, verdict = self.plan.promotion, self.verdict()
        assert planned is not None
        if verdict is None or verdict.outcome is not Outcome.PASS or verdict.expires_at <= self.host.clock():
            return None
        holder = self.store.promotions.holder(planned.model, planned.to)
        about = (verdict.gate_digest, verdict.candidate_model_id, verdict.champion_version)
        wanted = (planned.gate.digest, candidate, None if holder is None else holder.version)
        return verdict if about == wanted else None

    def verdict(self) -> Verdict | None:
        """Return the newest verdict of this pipeline run; None when the gate has not decided."""
        found = self.store.verdicts.search(run_id=self.parent.run_id, max_results=1)
        return next(iter(found.items), None)

    def promote(
        self,
        verdict_id: str,
        *,
        approval_id: str | None = None,
        require_approval: bool = False,
        claim: Claim | None = None,
    ) -> Promotion:
        """Promote the candidate by a verdict of :meth:`decide`; what this pipeline run promoted is not promoted again.

        Args:
            approval_id: the approval that the promotion rests on; None takes the newest there is.
            require_approval: refuse without one.
            claim: who tells of the promotion; see :meth:`headgate.store.promotions.Promotions.promote`.

        Raises:
            HeadgateError: as :func:`headgate.tasks.promote.promote`.
        """
        candidate = self.candidate()
        before = self._promotion.promoted_before(candidate)
        if before is not None and before.promotion is not None:
            return before.promotion
        return self._promotion.promote(
            verdict_id, candidate, approval_id=approval_id, require_approval=require_approval, claim=claim
        )

    # The end

    def finish(self) -> RunStatus:
        """End the pipeline's own run: FINISHED when it did all it was asked to, FAILED when not.

        A gate that says no is no failure, nor is a person.

        Raises:
            RunNotActive: somebody killed or deleted it.
        """
        unfinished = [step.name for step in self.plan.pipeline.steps if not self._has_finished(step)]
        if unfinished:
            message: str | None = f"Not every step has finished: {', '.join(unfinished)}."
        else:
            message = self._promotion_problem()
        status = RunStatus.FINISHED if message is None else RunStatus.FAILED
        self.store.runs.finish(self.parent.run_id, status, end_time=self.host.clock(), message=message)
        return status

    def _promotion_problem(self) -> str | None:
        """Say what kept the promotion from being decided or made; None when nothing did."""
        if self.plan.promotion is None:
            return None
        verdict = self.verdict()
        if verdict is None:
            return "The gate came to no verdict."
        if verdict.outcome is not Outcome.PASS or verdict.used_by is not None:
            return None
        said = self.store.approvals.of_verdict(verdict.verdict_id)
        if said and said[-1].decision is not ApprovalDecision.APPROVE:
            return None
        return f"The candidate of the passing verdict {verdict.verdict_id} was not promoted."

    def _has_finished(self, step: Step) -> bool:
        runs = (self._runner.recorded(step.name, index) for index in _indexes(step))
        return all(run is not None and run.info.status is RunStatus.FINISHED for run in runs)

    # What pieces are made of

    @property
    def _block(self) -> PromotionBlock:
        block = self.plan.pipeline.promote
        assert block is not None
        return block

    @property
    def _promotion(self) -> PromotionStep:
        assert self.plan.promotion is not None
        host = self.host
        return PromotionStep(self.store, self.plan.promotion, self.parent, host.actor, host.clock, host.on_event, None)

    @property
    def _runner(self) -> StepRunner:
        host = self.host
        return StepRunner(
            self.store,
            self.plan,
            self.parent,
            host.env,
            host.stop,
            host.on_event,
            scope=host.scope,
            handle_signals=host.handle_signals,
            tags=host.tags,
            variables=host.variables,
        )

    def _values(self, steps: Iterable[str]) -> Values:
        outputs = {name: self.output(name) for name in steps}
        return Values(self.parameters, self.parent.facts, outputs, partial(artifact_value, self.store))

    def _finished_run(self, name: str, map_index: int = -1) -> StepRun:
        run = self._runner.recorded(name, map_index)
        member = name if map_index < 0 else f"{name}[{map_index}]"
        if run is None:
            raise self._nothing(name, f"Step {member!r} has no run")
        found = self._runner.step_run(run)
        if found.status is not StepStatus.FINISHED:
            raise self._nothing(name, f"The newest run of step {member!r}, {run.info.run_id}, is {run.info.status}")
        return found

    def _nothing(self, step: str, what: str) -> InvalidPipeline:
        context = self.parent.context
        return InvalidPipeline(
            f"{what} in the pipeline run {context.pipeline_run_id!r} of {context.pipeline!r}.",
            remedy="Run its task, rather than marking it a success.",
            step=step,
            pipeline_run_id=context.pipeline_run_id,
        )


def _indexes(step: Step) -> range | tuple[int]:
    return range(len(step.sweep.members())) if step.sweep is not None else (-1,)
