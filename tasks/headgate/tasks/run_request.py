"""Everything about a run that is settled before it begins: found, checked, and nothing written anywhere."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headgate.store.entities import RunContext
from headgate.store.errors import InvalidInput
from headgate.store.run_opening import check_context, name_of_run
from headgate.store.validation import EVALUATION_KEY_TAG, check_params, check_tags
from headgate.tasks.download import refuse_unknown_schemes
from headgate.tasks.environments.choose import choose_environment
from headgate.tasks.environments.protocol import Environment, EnvironmentName
from headgate.tasks.evaluation_key import evaluation_key
from headgate.tasks.projects.mlproject import find_entry_point, read_project
from headgate.tasks.projects.model import EntryPoint, Project
from headgate.tasks.projects.parameters import BoundParameter, bind_parameters, render_command
from headgate.tasks.projects.secrets import mask_command
from headgate.tasks.projects.source import Source, resolve_source
from headgate.tasks.user import user_name

COMMAND_TAG = "headgate.project.command"
ENVIRONMENT_TAG = "headgate.project.environment"
DIRTY_TAG = "headgate.source.git.dirty"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that can begin.

    Args:
        bound: the parameters with their values; URIs are not downloaded yet.
        params: what is recorded of them.
        tags: MLflow's project tags, ours, and the caller's over them.
        user: who runs it.
        variables: environment that the caller gives the entry point.
    """

    source: Source
    project: Project
    entry_point: EntryPoint
    environment: Environment
    bound: tuple[BoundParameter, ...]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    name: str | None
    context: RunContext
    user: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def prepare_run(
    project: str | Path,
    entry_point: str = "main",
    parameters: Mapping[str, Any] | None = None,
    *,
    home: Path,
    version: str | None = None,
    env: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    context: RunContext | None = None,
    working_directory: Path | None = None,
    evaluates: bool = False,
) -> RunRequest:
    """Find a project and check that an entry point can run with these parameters.

    Args:
        project, version: as :func:`headgate.tasks.projects.source.resolve_source` takes them.
        parameters: name → value, for the entry point.
        home: Headgate's folder.
        env: as :func:`headgate.tasks.environments.choose.environment_name` takes it.
        tags: of the run, over those that are set here.
        variables: environment that the caller gives the entry point.
        working_directory: local paths among the parameters are relative to it; None is the process's own.
        evaluates: the run measures a model: a tag says what its figures are known by.

    Raises:
        InvalidProject: the project, the entry point, a parameter or the environment is wrong.
        InvalidInput: a parameter's or tag's name, the run's name or the context can't be recorded.
        EnvironmentUnavailable: a program that is needed is not on this machine.
        ProjectUnavailable: a server did not answer; a retry may help.
    """
    source = resolve_source(project, version=version, home=home)
    found = read_project(source.directory)
    point = find_entry_point(found, entry_point)
    bound = bind_parameters(
        point,
        parameters,
        working_directory=working_directory or Path.cwd(),
        project_directory=source.directory,
    )
    command = render_command(point, bound)
    refuse_unknown_schemes(bound)
    environment = choose_environment(found, env, home=home)
    params = check_params({parameter.name: parameter.recorded for parameter in bound})
    user = user_name()
    own_tags = {**_tags(source, point, environment, mask_command(command.text)), "mlflow.user": user}
    key = {EVALUATION_KEY_TAG: evaluation_key(source, point, environment.name, bound)} if evaluates else {}
    checked_tags = check_tags({**own_tags, **(tags or {}), **key})
    return RunRequest(
        source=source,
        project=found,
        entry_point=point,
        environment=environment,
        bound=bound,
        params=params,
        tags=checked_tags,
        name=name_of_run(run_name, checked_tags),
        context=check_context(context or RunContext()),
        user=user,
        variables=_checked_variables(variables or {}),
    )


def _checked_variables(variables: Mapping[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            raise InvalidInput(
                f"{name!r} can't be set in the environment of the entry point.",
                remedy="A variable's name has no = in it, and neither it nor its value a NUL.",
            )
    return {name: str(value) for name, value in variables.items()}


def _tags(source: Source, entry_point: EntryPoint, environment: Environment, command: str) -> dict[str, str]:
    """Return the tags that MLflow sets on a run of a project, and ours."""
    git = source.git_state()
    found = {
        "mlflow.source.name": source.name,
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": entry_point.name,
        "mlflow.project.backend": "local",
        "mlflow.project.env": None if environment.name is EnvironmentName.LOCAL else str(environment.name),
        COMMAND_TAG: command,
        ENVIRONMENT_TAG: json.dumps(
            {"name": environment.name, **environment.summary, "host": socket.gethostname()}, ensure_ascii=False
        ),
    }
    if git is not None:
        found["mlflow.source.git.commit"] = git.commit
        found["mlflow.source.git.branch"] = git.branch
        found["mlflow.source.git.repoURL"] = git.repository_url
        found[DIRTY_TAG] = "true" if git.dirty else None
    return {key: value for key, value in found.items() if value}
