"""Functions as checks of a gate.

A check ``callable: package.module:function`` calls that function with a :class:`Question`, and takes its
:class:`Answer`::

    from headgate.tasks.gates.callables import Answer, Question

    def fair(question: Question) -> Answer:
        gap = abs(question.value("recall/sex:f") - question.value("recall/sex:m"))
        return Answer("pass" if gap <= question.parameters["most"] else "reject", actual=gap)

Whatever it raises, and whatever else it returns, is an error of the check: it passes only by saying so.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.store.entities import Outcome
from headgate.store.errors import HeadgateError, InvalidInput
from headgate.tasks.gates.evidence import Evidence, FunctionAnswer, Measurements, chosen_measurement
from headgate.tasks.gates.outside_checks import Function


@dataclass(frozen=True, slots=True)
class Question:
    """What a function is asked about.

    Args:
        candidate: what is known of the candidate. Its measurements are those of the metrics that other checks of the
            gate read.
        champion: what is known of the target's holder; None when there is none.
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        now: UTC epoch ms; the time of the decision.
        parameters: of the check.
    """

    candidate: Evidence
    champion: Evidence | None
    model_name: str
    target: str
    now: int
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def value(self, metric: str, *, dataset: str | None = None) -> float:
        """Return the candidate's value of a metric, chosen as a threshold would.

        Raises:
            InvalidInput: there is none that counts, or it is no number.
        """
        found = chosen_measurement(metric, Measurements(self.candidate), self.now, None, dataset=dataset)
        if found.problem is not None or found.metric is None:
            raise InvalidInput(
                f"{found.problem or 'There is no measurement'}.",
                remedy="Let another check of the gate read the metric.",
            )
        return found.metric.value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answers.

    Args:
        outcome: ``pass``, ``hold``, ``reject`` or ``error``.
        message: why, in one sentence.
        actual, threshold: the figures that it rests on, finite.
    """

    outcome: Outcome | str
    message: str = ""
    actual: float | None = None
    threshold: float | None = None


def ask(
    check: Function, candidate: Evidence, champion: Evidence | None, *, model_name: str, target: str, now: int
) -> FunctionAnswer:
    """Call a check's function; what it raises is its problem, except what a retry may help with.

    Raises:
        Transient: the function met infrastructure that did not answer.
    """
    question = Question(candidate, champion, model_name, target, now, check.parameters)
    try:
        said = _function(check.callable)(question)
        if not isinstance(said, Answer):
            return _problem(check, f"returned {type(said).__name__}, not an Answer")
        return FunctionAnswer(
            check.key, Outcome(said.outcome), " ".join(said.message.split()), said.actual, said.threshold
        )
    except HeadgateError as error:
        if error.retryable:
            raise
        return _problem(check, f"raised {type(error).__name__}: {error.message}")
    except Exception as error:  # noqa: BLE001 - whatever a function raises, the check is an error, and says so
        return _problem(check, f"raised {type(error).__name__}: {error}")


def _function(reference: str) -> Any:
    module, _, path = reference.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _problem(check: Function, what: str) -> FunctionAnswer:
    said = " ".join(f"the function {check.callable} {what}".split()).rstrip(".")
    return FunctionAnswer(check.key, Outcome.ERROR, problem=said[:1000])
