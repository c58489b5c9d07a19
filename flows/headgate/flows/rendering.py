"""References become values while a pipeline runs. Pure: what the store has to say comes in as a callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from headgate.flows.mistakes import did_you_mean
from headgate.flows.parameters import ParameterValue
from headgate.flows.references import (
    ArtifactReference,
    MetricReference,
    ModelReference,
    ParameterReference,
    Reference,
    RunIdReference,
    RunReference,
    StepParamReference,
    Template,
)
from headgate.flows.results import StepRun
from headgate.store.clock import iso_date
from headgate.store.errors import InvalidPipeline
from headgate.tasks.projects.secrets import MASK

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What ``{{ run.… }}`` means: the pipeline run's id, and its dates in epoch ms."""

    id: str
    logical_date: int
    data_interval_start: int
    data_interval_end: int

    def text(self, name: str) -> str:
        return self.id if name == "id" else iso_date(getattr(self, name))


@dataclass(frozen=True, slots=True)
class SecretText:
    """A value that contains a secret parameter: it goes to the entry point and nowhere else."""

    _text: str = field(repr=False)

    def get_secret_value(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class Values:
    """Resolves the references of one pipeline run.

    Args:
        outputs: the run of each finished step, or the chosen one of its sweep.
        artifact: gives the path or URI of an artifact of a run, as an entry point takes it; raises InvalidPipeline when
            the run has no such artifact.
    """

    parameters: Mapping[str, ParameterValue]
    run: RunFacts
    outputs: Mapping[str, StepRun]
    artifact: Callable[[str, StepRun, str], str]

    def render(self, template: Template) -> str | SecretText:
        """Return the value that a template has now.

        Raises:
            InvalidPipeline: a finished step did not log what is referred to.
        """
        text = template.render(self.resolve)
        secret = any(
            isinstance(reference, ParameterReference) and self.parameters[reference.key].secret
            for reference in template.references
        )
        return SecretText(text) if secret else text

    def resolve(self, reference: Reference) -> str:
        """Return the text that one reference stands for; raises as :meth:`render`."""
        match reference:
            case ParameterReference(key):
                return self.parameters[key].text
            case RunReference(name):
                return self.run.text(name)
            case ModelReference(step):
                return f"models:/{self.model_id(step)}"
            case RunIdReference(step):
                return self.outputs[step].run_id
            case ArtifactReference(step, path):
                return self.artifact(step, self.outputs[step], path)
            case MetricReference(step, key):
                return repr(_logged(step, self.outputs[step], "metric", key, self.outputs[step].metrics))
            case StepParamReference(step, key):
                return _param(step, self.outputs[step], key)

    def model_id(self, step: str) -> str:
        """Return the id of the one model that a step made.

        Raises:
            InvalidPipeline: it made none, or several.
        """
        output = self.outputs[step]
        if len(output.model_ids) == 1:
            return output.model_ids[0]
        made = "no model" if not output.model_ids else f"{len(output.model_ids)} models"
        raise InvalidPipeline(
            f"The model of step {step!r} is referred to, and its run {output.run_id} logged {made}.",
            remedy="Let it log one model, with log_model or create_external_model.",
            step=step,
            run_id=output.run_id,
        )


def _param(step: str, output: StepRun, key: str) -> str:
    value = _logged(step, output, "param", key, output.params)
    if MASK in value:
        raise InvalidPipeline(
            f"The param {key!r} of step {step!r} holds a secret, which its run {output.run_id} does not.",
            remedy="Refer to the pipeline's own parameter instead.",
            step=step,
            run_id=output.run_id,
        )
    return value


def _logged(step: str, output: StepRun, kind: str, key: str, values: Mapping[str, _T]) -> _T:
    if key in values:
        return values[key]
    raise InvalidPipeline(
        f"The {kind} {key!r} of step {step!r} is referred to, and its run {output.run_id} did not log it.",
        remedy=did_you_mean(key, sorted(values)),
        step=step,
        run_id=output.run_id,
    )
