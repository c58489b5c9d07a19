"""A pipeline that somebody's code names: found beside that code's file, outlined, and given what the code gives it.

For the doors whose users write ``PipelineDag("pipeline.yaml")`` or ``pipeline_flow("pipeline.yaml")``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from headgate.flows.check import mistake_at
from headgate.flows.file import find_pipeline
from headgate.flows.mistakes import Mistake, did_you_mean, invalid_pipeline
from headgate.flows.model import Pipeline, PipelineParameter, Scalar
from headgate.flows.outline import outline
from headgate.flows.planned import Plan
from headgate.store.errors import InvalidPipeline


def callers_file(package: str | Path) -> str:
    """Return the file of whoever calls into a package; empty when nobody outside of it does.

    Args:
        package: its folder.
    """
    frame: FrameType | None = sys._getframe(1)
    inside = str(package)
    while frame is not None and (frame.f_code.co_filename.startswith(inside) or frame.f_code.co_filename == __file__):
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_filename


def outline_beside(
    pipeline: Pipeline | str | Path, file: str, folders: Iterable[Path], parameters: Mapping[str, Any]
) -> Plan:
    """Return the outline of a pipeline that a file of code names.

    Args:
        pipeline: a pipeline, a pipeline file or its folder.
        file: the file that names it, for messages.
        folders: where a relative path may start from, in the order in which they are tried.
        parameters: those values that are known already.

    Raises:
        InvalidPipeline: there is no such file, or something is wrong with it or with what it refers to.
    """
    found = _find(pipeline, file, folders) if isinstance(pipeline, str | Path) else pipeline
    try:
        return outline(found, parameters)
    except InvalidPipeline as error:
        # The place is in the message; the frames that led there would only hide it.
        raise error.with_traceback(None) from None


def refuse_missing(pipeline: Pipeline, given: Mapping[str, Any], *, why: str, or_else: str) -> None:
    """Refuse parameters that nobody would give, and names that are no parameters.

    Args:
        given: what the code gives, known or not yet.
        why: nobody else gives any, a clause.
        or_else: where the code is to pass one, a clause to which the parameter is added.

    Raises:
        InvalidPipeline: there are such; with file, line and remedy.
    """
    mistakes = [
        mistake_at(
            pipeline,
            ("parameters", name),
            f"The parameter {name!r} has no default, and {why}.",
            f"Add a default, or {or_else}: parameters={{{name!r}: …}}.",
        )
        for name, parameter in pipeline.parameters.items()
        if parameter.required and name not in given
    ]
    mistakes += [
        Mistake(f"The pipeline {pipeline.name!r} has no parameter {name!r}.", did_you_mean(name, pipeline.parameters))
        for name in given
        if name not in pipeline.parameters
    ]
    if mistakes:
        raise invalid_pipeline(mistakes, pipeline.label)


def typed(parameter: PipelineParameter, value: Any) -> Scalar:
    """Return a value, which is known to fit, as JSON has it: a text such as ``"7"`` may stand for a whole number."""
    if not isinstance(value, str):
        return value if parameter.type in ("int", "float", "bool") else str(value)
    match parameter.type:
        case "int":
            return int(value)
        case "float":
            return float(value)
        case "bool":
            return value.strip().lower() == "true"
    return value


def _find(pipeline: str | Path, file: str, folders: Iterable[Path]) -> Path:
    places = [folder / pipeline for folder in folders]
    for place in places:
        found = find_pipeline(place)
        if found is not None and found.is_file():
            return found
    tried = ", ".join(str(place) for place in dict.fromkeys(places))
    raise InvalidPipeline(
        f"{file or 'Your code'}: there is no pipeline file {str(pipeline)!r}.",
        remedy=f"Looked for {tried}. Give its path from the folder of the file that names it.",
        file=file or None,
        line=None,
    )
