"""Which pipeline a DAG is made of: found beside the DAG's file, outlined, and carried by its tasks."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.airflow.connection import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from headgate.flows.model import Pipeline
    from headgate.flows.planned import Plan

_HERE = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class PipelineSource:
    """What every task of a pipeline knows of it. No part of it is ever changed, so copies of a DAG share it.

    Args:
        plan: the outline of the pipeline.
        given: values for its parameters: plain ones, templates of Airflow's, or what another task returned. None takes
            the params of the DAG.
        group_id: of the task group that it is rendered in; None for a DAG of its own.
        env: environment of every step, over what the pipeline says.
        experiment: experiment of the runs, over what the pipeline says.
        headgate_conn_id: of the connection that names the store.
    """

    plan: Plan
    given: Mapping[str, Any] | None = field(default=None, repr=False)
    group_id: str | None = None
    env: str | None = None
    experiment: str | None = None
    headgate_conn_id: str = DEFAULT_CONN_ID

    def task_id(self, name: str) -> str:
        """Return the whole id of a task, which is also what its runs are found by."""
        return name if self.group_id is None else f"{self.group_id}.{name}"

    def settled(self, parameter: str) -> str | None:
        """Return the value of a parameter that every DAG run has; None where it may have another, or is a secret."""
        from headgate.tasks.projects.secrets import MASK

        if self.given is None or comes_later(self.given.get(parameter)):
            return None
        shown = self.plan.parameters.get(parameter)
        return None if shown == MASK else shown

    def __str__(self) -> str:
        """Return what Airflow writes of this into the serialised DAG: the same for the same pipeline."""
        return f"pipeline {self.plan.pipeline.name}"

    def __deepcopy__(self, memo: dict[int, Any]) -> PipelineSource:
        return self


def comes_later(value: Any) -> bool:
    """Tell whether a value is known only when the DAG runs: a template, or what a task returns."""
    from airflow.sdk import XComArg

    return isinstance(value, XComArg) or (isinstance(value, str) and ("{{" in value or "{%" in value))


def callers_file() -> str:
    """Return the file of whoever calls into this package: the DAG file."""
    from headgate.flows.embedding import callers_file

    return callers_file(_HERE)


def outline_of(pipeline: Pipeline | str | Path, dag_file: str, parameters: Mapping[str, Any]) -> Plan:
    """Return the outline of a pipeline that a DAG file names.

    Args:
        pipeline: a pipeline, a pipeline file or its folder. A relative path starts from the folder of the DAG's file,
            or else from a folder above it that Airflow imports modules from: the DAGs folder, the top of a bundle.
        parameters: those values that are known while the file is parsed.

    Raises:
        InvalidPipeline: there is no such file, or something is wrong with it or with what it refers to. The message is
            what Airflow shows as the import error of the DAG's file.
    """
    from headgate.flows.embedding import outline_beside

    folder = Path(dag_file).absolute().parent
    above = [place for place in folder.parents if str(place) in sys.path]
    return outline_beside(pipeline, dag_file, (folder, *above), parameters)


def dag_id_of(name: str) -> str:
    """Return the id of a DAG or a group of a pipeline's name: what Airflow refuses in ids becomes an underscore."""
    return re.sub(r"[^\w.-]+", "_", name)
