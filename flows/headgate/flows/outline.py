"""``outline``: what the files of a pipeline say, for orchestrators that read them again and again.

A plan without a run at hand: no machine is looked at, nothing is fetched, and parameters may be missing. So it is the
same wherever and whenever it is made, and cheap. What was outlined once in a process is not read again while the files
that it came from hold the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.flows.file import find_pipeline
from headgate.flows.model import Pipeline
from headgate.flows.planned import Plan
from headgate.flows.planning import planned, read_for_planning
from headgate.flows.project_check import ProjectReader
from headgate.tasks.projects.mlproject import CONDA_FILE, PYTHON_ENV_FILE
from headgate.tasks.projects.model import Project

_MOST_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Kept:
    """An outline, and the digest of each file that it came from; None for one that was looked for and not there."""

    plan: Plan
    digests: Mapping[Path, str | None]

    @property
    def current(self) -> bool:
        return all(_digest(path) == digest for path, digest in self.digests.items())


_kept: dict[tuple[Path, str], _Kept] = {}


def outline(pipeline: Pipeline | str | Path, parameters: Mapping[str, Any] | None = None) -> Plan:
    """Say what the files of a pipeline say, and refuse a pipeline that can't work on any machine.

    Args:
        pipeline: a pipeline, a pipeline file, or the folder of one. Projects in folders and the gate file are read,
            those in git or in an archive are left alone.
        parameters: values for the pipeline's parameters, over its defaults; others may be missing.

    Returns:
        A plan whose environments are as the projects declare them.

    Raises:
        InvalidPipeline: everything that is wrong with the pipeline, the values it gives and its gate; each with file,
            line and remedy, and all as ``mistakes``.
    """
    given = parameters or {}
    file = None if isinstance(pipeline, Pipeline) else find_pipeline(pipeline)
    if file is None:
        return _outline(pipeline, given)[0]
    key = (file.absolute(), repr(sorted(given.items())))
    kept = _kept.get(key)
    if kept is None or not kept.current:
        before = _digest(file)
        plan, projects = _outline(file, given)
        digests = {path: _digest(path) for path in _read_by(plan, projects)}
        kept = _Kept(plan, {**digests, file: before})  # a file that was written to meanwhile is read again next time
        _kept.pop(key, None)
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = kept
    return kept.plan


def _outline(pipeline: Pipeline | str | Path, given: Mapping[str, Any]) -> tuple[Plan, tuple[Project, ...]]:
    mistakes = read_for_planning(pipeline)
    reader = ProjectReader(mistakes.pipeline, None, None, mistakes, environments=False)
    plan = planned(mistakes, reader, given, may_be_missing=True, paths_from_pipeline=True, look_for_files=False)
    return plan, reader.projects


def _read_by(plan: Plan, projects: tuple[Project, ...]) -> set[Path]:
    """Return the files that decided what an outline says, and those whose appearing would change it."""
    pipeline = plan.pipeline
    block = pipeline.promote
    files = {pipeline.path(block.gate)} if block is not None and isinstance(block.gate, str) else set()
    files |= {pipeline.path(block.watch)} if block is not None and block.watch is not None else set()
    for project in projects:
        environment = project.environment
        files |= {project.file or project.directory / "MLproject"}
        files |= {project.directory / name for name in (PYTHON_ENV_FILE, CONDA_FILE)}
        files |= {environment.path} if environment is not None and environment.path is not None else set()
        scripts = {step.entry_point for step in pipeline.steps} - set(project.entry_points)
        files |= {project.directory / script for script in scripts if (project.directory / script).is_file()}
    return files


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # missing, or not to be read: reading it for the plan says why
        return None
