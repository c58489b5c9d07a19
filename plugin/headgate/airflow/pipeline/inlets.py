"""The data that the steps of a pipeline read from outside of it, as inlets of their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from headgate.airflow.assets import dataset_inlets
from headgate.flows.references import ParameterReference
from headgate.tasks.projects.secrets import is_secret_name

if TYPE_CHECKING:
    from headgate.airflow.pipeline.source import PipelineSource
    from headgate.flows.references import Reference


def step_inlets(source: PipelineSource, name: str, said: Iterable[Any]) -> list[Any]:
    """Return the inlets of a step's task: what the user said, and the data that its entry point is given.

    Data are where a parameter points that the entry point declares as ``path`` or ``uri``. What another step makes is
    none of them, nor is what a DAG run may be given another name for.

    Args:
        name: of the step.
        said: what the user gave; an asset of a dataset's name is theirs to describe.
    """
    inlets = list(said)
    for place in _places(source, name):
        inlets = dataset_inlets(inlets, None, place, source.headgate_conn_id)
    return inlets


def _places(source: PipelineSource, name: str) -> Iterator[str]:
    """Yield where the data of a step are, with references to what is not settled as they are written."""
    planned = source.plan.step(name)
    data = [parameter for parameter in planned.data if not is_secret_name(parameter)]

    def settled(reference: Reference) -> str | None:
        return source.settled(reference.key) if isinstance(reference, ParameterReference) else None

    for (_, parameter), template in source.plan.pipeline.step(name).values:
        if parameter in data and not template.step_references:
            yield template.render(settled)
    yield from (value for parameter, value in planned.defaults.items() if parameter in data)
