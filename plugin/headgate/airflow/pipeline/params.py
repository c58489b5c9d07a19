"""Parameters of a pipeline as params of a DAG: typed, with the form that Airflow makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Param

    from headgate.flows.model import Pipeline, PipelineParameter

_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}


def dag_params(pipeline: Pipeline, given: Mapping[str, Any]) -> dict[str, Param]:
    """Return a param for each parameter.

    Args:
        given: values over the pipeline's defaults.
    """
    return {
        name: _param(parameter, given.get(name, parameter.default)) for name, parameter in pipeline.parameters.items()
    }


def refuse_missing(pipeline: Pipeline, given: Mapping[str, Any], why: str) -> None:
    """Refuse parameters that nobody would give, and names that are no parameters.

    Args:
        given: what the DAG's file gives, known or not yet.
        why: nobody else gives any, a clause.

    Raises:
        InvalidPipeline: there are such; with file, line and remedy.
    """
    from headgate.flows.embedding import refuse_missing

    refuse_missing(pipeline, given, why=why, or_else="pass it in the DAG's file")


def _param(parameter: PipelineParameter, default: Any) -> Param:
    from airflow.sdk import Param

    from headgate.flows.embedding import typed
    from headgate.tasks.projects.secrets import is_secret_name

    schema: dict[str, Any] = {"type": _TYPES.get(parameter.type, "string"), "title": parameter.name}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if is_secret_name(parameter.name):
        schema["format"] = "password"
    if default is None:
        return Param(description=parameter.description or None, **schema)
    return Param(typed(parameter, default), description=parameter.description or None, **schema)
