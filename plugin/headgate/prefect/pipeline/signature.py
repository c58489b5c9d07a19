"""Parameters of a pipeline as the signature of its flow: Prefect makes the form and the validation of it."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from headgate.flows.model import Pipeline, PipelineParameter

_TYPES: Mapping[str, type] = {"int": int, "float": float, "bool": bool}
# Prefect takes these for itself when a flow is called.
_RESERVED = ("return_state", "wait_for")


def flow_signature(pipeline: Pipeline, given: Mapping[str, Any]) -> inspect.Signature:
    """Return the signature of a pipeline's flow: a keyword for each parameter, with its type and its default.

    A parameter with choices takes one of them, a secret one is masked where Prefect shows it, and a hyphen in a name
    becomes an underscore.

    Args:
        given: values over the pipeline's defaults.

    Raises:
        InvalidPipeline: a name can't be that of an argument; with file and line.
    """
    arguments = argument_names(pipeline)
    return inspect.Signature(
        [
            _argument(arguments[name], parameter, given.get(name, parameter.default))
            for name, parameter in pipeline.parameters.items()
        ],
        return_annotation=inspect.Signature.empty,
    )


def argument_names(pipeline: Pipeline) -> dict[str, str]:
    """Return parameter → the name of its argument.

    Raises:
        InvalidPipeline: a name can't be that of an argument, or two parameters would be one; with file and line.
    """
    from headgate.flows.check import mistake_at
    from headgate.flows.mistakes import invalid_pipeline

    names: dict[str, str] = {}
    mistakes = []
    for name in pipeline.parameters:
        argument = name.replace("-", "_")
        problem = None
        if argument in _RESERVED or keyword.iskeyword(argument) or argument.startswith("_"):
            problem = "is a name that a flow's argument can't have"
        elif argument in names.values():
            problem = f"becomes the argument {argument!r} of the flow, as another one does"
        if problem is not None:
            mistakes.append(
                mistake_at(
                    pipeline, ("parameters", name), f"The parameter {name!r} {problem}.", "Give it another name."
                )
            )
        names[name] = argument
    if mistakes:
        raise invalid_pipeline(mistakes, pipeline.label)
    return names


def flow_docstring(pipeline: Pipeline) -> str:
    """Return a docstring, out of which Prefect takes what its form says of each parameter."""
    arguments = argument_names(pipeline)
    described = [
        f"    {arguments[name]}: {' '.join(parameter.description.split())}"
        for name, parameter in pipeline.parameters.items()
        if parameter.description
    ]
    head = pipeline.description or f"The pipeline {pipeline.name}."
    return "\n".join([head, "", "Args:", *described]) if described else head


def given_parameters(pipeline: Pipeline, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a pipeline's parameters out of the arguments that its flow was called with."""
    return {name: arguments[argument] for name, argument in argument_names(pipeline).items() if argument in arguments}


def _argument(name: str, parameter: PipelineParameter, default: Any) -> inspect.Parameter:
    from headgate.flows.embedding import typed

    annotation = _annotation(parameter)
    if default is None:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
    value: Any = typed(parameter, default) if not hasattr(default, "get_secret_value") else default
    if parameter.choices:
        value = next((choice for choice in _choices(parameter) if choice == value), value)
    if _is_secret(parameter) and isinstance(value, str):
        from pydantic import SecretStr

        value = SecretStr(value)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=value)


def _annotation(parameter: PipelineParameter) -> Any:
    if parameter.choices:
        return Literal[_choices(parameter)]
    if _is_secret(parameter):
        from pydantic import SecretStr

        return SecretStr
    return _TYPES.get(parameter.type, str)


def _choices(parameter: PipelineParameter) -> tuple[Any, ...]:
    from headgate.flows.embedding import typed

    return tuple(typed(parameter, choice) for choice in parameter.choices)


def _is_secret(parameter: PipelineParameter) -> bool:
    from headgate.tasks.projects.secrets import is_secret_name

    return is_secret_name(parameter.name)
