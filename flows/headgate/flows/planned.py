"""A plan as a value: what would run, with what, in which order, and what would decide at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.flows.model import Choice, OnReject, Pipeline
from headgate.tasks.gates.model import Gate, leaves
from headgate.tasks.watch.model import Watch


@dataclass(frozen=True, slots=True)
class PlannedEnvironment:
    """Where a step would run.

    Args:
        kind: ``local``, ``virtualenv``, ``conda`` or ``docker``.
        source: the file it would be built from, such as ``python_env.yaml``; empty when there is none.
        python: version of its Python, where that is known.
        image: docker's.
        cached: whether it stands ready; None where nothing is kept.
    """

    kind: str
    source: str = ""
    python: str = ""
    image: str = ""
    cached: bool | None = None

    def __str__(self) -> str:
        python = f"Python {self.python}" if self.python else ""
        ready = {True: "ready", False: "to be built", None: ""}[self.cached]
        details = [detail for detail in (self.source, python, self.image, ready) if detail]
        return f"{self.kind} ({', '.join(details)})" if details else self.kind


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step as it would run.

    Args:
        generation: counts from 0; steps of one generation wait for earlier ones only.
        needs: the steps it waits for.
        project: folder or git URI, without credentials.
        version: as it was asked for.
        commit: what ``version`` is now, in git: a run takes this very commit, in every step.
        parameters: values as the entry point would get them; what only a run can tell stays a reference, and secrets
            are masked.
        defaults: what the entry point declares and the step leaves out.
        data: the parameters that the entry point declares as ``path`` or ``uri``: where data are that it reads.
        members: of a sweep, the parameters of each run that differ; empty for a step without one.
    """

    name: str
    generation: int
    needs: tuple[str, ...]
    project: str
    version: str | None
    entry_point: str
    parameters: Mapping[str, str]
    environment: PlannedEnvironment
    commit: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    members: tuple[Mapping[str, str], ...] = ()
    choose: Choice | None = None
    timeout: float | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class PlannedPromotion:
    """The promotion at the end: the gate, the candidate, and what is waited for."""

    model: str
    to: str
    candidate: str
    gate: Gate
    needs: tuple[str, ...]
    evaluate: str | None = None
    allow_older: bool = False
    on_reject: str = OnReject.FAIL
    watch: Watch | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        """The gate's checks in words, in their order."""
        return tuple(
            check.rule + (" (warns only)" if check.severity.value == "warn" else "")
            for check in leaves(self.gate.checks)
        )

    @property
    def after_no(self) -> str:
        """How the pipeline ends when the answer is no, in words; empty where it fails."""
        return {"skip": "the rest is skipped", "succeed": "the pipeline succeeds"}.get(self.on_reject, "")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of a pipeline would do.

    Args:
        parameters: of the pipeline, with secrets masked.
        steps: in the order of their generations.
        notes: what works but deserves a look, one sentence each.
    """

    pipeline: Pipeline
    parameters: Mapping[str, str]
    steps: tuple[PlannedStep, ...]
    promotion: PlannedPromotion | None = None
    notes: tuple[str, ...] = ()
    experiment: str = ""

    @property
    def runs(self) -> int:
        """How many runs of entry points there would be, retries aside."""
        return sum(max(1, len(step.members)) for step in self.steps)

    @property
    def on_reject(self) -> str:
        """How the pipeline ends when the answer is no, as its file says."""
        return self.promotion.on_reject if self.promotion is not None else OnReject.FAIL

    def step(self, name: str) -> PlannedStep:
        """Return the step of this name.

        Raises:
            KeyError: there is none.
        """
        return {step.name: step for step in self.steps}[name]

    def __str__(self) -> str:
        from headgate.flows.plan_text import plan_text

        return plan_text(self)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        pipeline = self.pipeline
        return {
            "pipeline": pipeline.name,
            "file": pipeline.source.file if pipeline.source else None,
            "experiment": self.experiment,
            "schedule": str(pipeline.schedule) if pipeline.schedule else None,
            "parameters": dict(self.parameters),
            "steps": [_step_json(step) for step in self.steps],
            "promotion": _promotion_json(self.promotion) if self.promotion else None,
            "notes": list(self.notes),
        }


def _step_json(step: PlannedStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "generation": step.generation,
        "needs": list(step.needs),
        "project": step.project,
        "version": step.version,
        "commit": step.commit,
        "entry_point": step.entry_point,
        "parameters": dict(step.parameters),
        "defaults": dict(step.defaults),
        "sweep": [dict(member) for member in step.members],
        "choose": {"metric": step.choose.metric, "mode": step.choose.mode} if step.choose else None,
        "environment": {
            "kind": step.environment.kind,
            "source": step.environment.source,
            "python": step.environment.python,
            "image": step.environment.image,
            "cached": step.environment.cached,
        },
        "timeout": step.timeout,
        "retries": step.retries,
    }


def _promotion_json(promotion: PlannedPromotion) -> dict[str, Any]:
    return {
        "model": promotion.model,
        "to": promotion.to,
        "candidate": promotion.candidate,
        "gate": promotion.gate.definition(),
        "rules": list(promotion.rules),
        "needs": list(promotion.needs),
        "evaluate": promotion.evaluate,
        "allow_older": promotion.allow_older,
        "on_reject": promotion.on_reject,
        "watch": None if promotion.watch is None else promotion.watch.definition(),
    }
