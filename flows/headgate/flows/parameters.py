"""The parameters of a pipeline run: what was given, checked against what the pipeline declares."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.flows.mistakes import Mistake, did_you_mean, invalid_pipeline
from headgate.flows.model import PARAMETER_TYPES, Pipeline, PipelineParameter, Scalar
from headgate.tasks.projects.secrets import is_secret_name, is_secret_type, recorded_value
from headgate.tasks.projects.values import text_of


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """A parameter of a pipeline run.

    Args:
        text: what references to it become.
        shown: what a plan, a log or a record shows: the same, with secrets masked.
        secret: whatever ``text`` becomes a part of is a secret too.
    """

    text: str = field(repr=False)
    shown: str
    secret: bool = False


def resolve_parameters(
    pipeline: Pipeline, given: Mapping[str, Any] | None = None, *, paths_from_pipeline: bool = False
) -> dict[str, ParameterValue]:
    """Return every parameter of the pipeline: the given value, or else its default.

    Args:
        given: name → text, number, bool or a secret (anything with ``get_secret_value``).
        paths_from_pipeline: a local path, given for a parameter of type ``path``, is relative to the pipeline's folder,
            as a default is, because whoever gave it has no working directory: a form, a DAG file. Otherwise it is
            relative to the working directory of the process.

    Raises:
        InvalidPipeline: a parameter is unknown, missing, not of its type or none of its choices; all such mistakes
            together.
    """
    resolved, mistakes = try_parameters(pipeline, given or {}, paths_from_pipeline=paths_from_pipeline)
    if mistakes:
        raise invalid_pipeline(mistakes, pipeline.label)
    return resolved


def try_parameters(
    pipeline: Pipeline,
    given: Mapping[str, Any],
    *,
    paths_from_pipeline: bool = False,
    may_be_missing: bool = False,
) -> tuple[dict[str, ParameterValue], list[Mistake]]:
    """Return what could be resolved, and what is wrong with the rest.

    Args:
        may_be_missing: it is too early to give everything; what is missing is no mistake.
    """
    mistakes = [
        Mistake(f"The pipeline {pipeline.name!r} has no parameter {key!r}.", did_you_mean(key, pipeline.parameters))
        for key in given
        if key not in pipeline.parameters
    ]
    resolved: dict[str, ParameterValue] = {}
    for name, parameter in pipeline.parameters.items():
        value = given.get(name, parameter.default)
        if value is None:
            if not may_be_missing:
                mistakes.append(Mistake(f"The parameter {name!r} is not given.", f"Give it with -P {name}=VALUE."))
        elif problem := type_problem(parameter, value):
            remedy = "Give true or false." if parameter.type == "bool" else "Give a value of that type."
            mistakes.append(Mistake(f"The parameter {name!r} {problem}.", remedy))
        elif problem := choice_problem(parameter, value):
            mistakes.append(Mistake(f"The parameter {name!r} {problem}.", "Give one of its choices."))
        else:
            text = text_of(value)
            if parameter.type == "path" and name in given and "://" not in text and not paths_from_pipeline:
                # Whoever gives a path means it from where they are; a default is meant from the pipeline's folder.
                text = os.path.abspath(text)
            secret = is_secret_type(value) or is_secret_name(name)
            resolved[name] = ParameterValue(text, recorded_value(name, value, text), secret)
    return resolved, mistakes


def type_problem(parameter: PipelineParameter, value: Any) -> str | None:
    """Say why ``value`` is not of the parameter's type; None when it is."""
    if parameter.type not in PARAMETER_TYPES:
        return None  # reported where the type is written
    text = text_of(value).strip()
    if parameter.type == "bool":
        fits = text.lower() in ("true", "false")
    elif parameter.type in ("int", "float"):
        fits = not isinstance(value, bool) and _reads_as(int if parameter.type == "int" else float, text)
    else:
        fits = True
    return None if fits else f"is {recorded_value(parameter.name, value, text)!r}, which is no {parameter.type}"


def choice_problem(parameter: PipelineParameter, value: Any) -> str | None:
    """Say why ``value``, which is of the parameter's type, is none of its choices; None when it may be it."""
    if not parameter.choices or _meant(parameter, value) in [_meant(parameter, choice) for choice in parameter.choices]:
        return None
    choices = ", ".join(text_of(choice) for choice in parameter.choices)
    return f"is {recorded_value(parameter.name, value, text_of(value))!r}, which is none of {choices}"


def _meant(parameter: PipelineParameter, value: Any) -> Scalar:
    """Return what a text means as the parameter's type: ``1e-3`` and ``0.001`` are one number."""
    text = text_of(value)
    if parameter.type in ("int", "float"):
        return int(text) if parameter.type == "int" else float(text)
    return text.strip().lower() == "true" if parameter.type == "bool" else text


def _reads_as(number: type[int] | type[float], text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return True
