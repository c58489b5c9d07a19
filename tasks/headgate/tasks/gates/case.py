"""What a check is judged on, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.store.entities import Metric, Outcome
from headgate.tasks.gates.evidence import Evidence, Finding, Measurements
from headgate.tasks.gates.model import Gate


class Case:
    """One decision: the gate, the candidate, the champion, and when."""

    __slots__ = ("candidate", "champion", "gate", "max_age_ms", "mine", "model_name", "now", "target", "theirs")

    def __init__(
        self, gate: Gate, candidate: Evidence, champion: Evidence | None, now: int, *, model_name: str, target: str
    ) -> None:
        self.gate = gate
        self.candidate = candidate
        self.champion = champion
        self.now = now
        self.model_name = model_name
        self.target = target
        self.max_age_ms = gate.max_age_ms
        self.mine = Measurements(candidate)
        self.theirs = None if champion is None else Measurements(champion)


@dataclass(slots=True)
class Answer:
    """What a check answers, and the figures that it rests on; fields as of ``CheckResult``."""

    outcome: Outcome
    message: str
    metric: str | None = None
    threshold: float | None = None
    actual: float | None = None
    champion_value: float | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None
    measured_at: int | None = None

    def from_metric(self, metric: Metric | None) -> Answer:
        """Add where a measurement comes from."""
        if metric is not None:
            self.dataset_name, self.dataset_digest = metric.dataset_name, metric.dataset_digest
            self.run_id, self.measured_at = metric.run_id, metric.timestamp
        return self


def error(problem: str | None) -> Answer:
    """Return the answer of a check that can't be judged."""
    said = (problem or "there is no measurement").rstrip(".")
    return Answer(Outcome.ERROR, f"{said[0].upper()}{said[1:]}.")


def problem_of(found: Finding) -> str | None:
    """Return why a finding is none; None for a sound one."""
    return found.problem or (None if found.metric is not None else "there is no measurement")


def without_champion(case: Case) -> Answer | None:
    """Return what a comparison answers when there is nobody to compare with; None when there is somebody."""
    if case.champion is None:
        said = Outcome(case.gate.when_no_champion or Outcome.ERROR)
        return Answer(said, f"There is no champion; the gate says {said} then.")
    if case.champion.model_id == case.candidate.model_id:
        return error("the candidate is the champion: there is nothing to compare it with")
    return None
