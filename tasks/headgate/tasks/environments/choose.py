"""Which environment a project runs in, and whether it can."""

from __future__ import annotations

from pathlib import Path

from headgate.store.errors import InvalidProject
from headgate.tasks.environments.protocol import Environment, EnvironmentName
from headgate.tasks.projects.mlproject import closest
from headgate.tasks.projects.model import EnvironmentKind, Project


def environment_name(project: Project, asked: str | None = None) -> EnvironmentName:
    """Return the environment that a project runs in.

    Args:
        asked: ``local``, ``virtualenv``, ``conda`` or ``docker``; None takes what the project declares: ``python_env``
            is a virtualenv, ``conda_env`` is conda where it is installed and else a virtualenv, ``docker_env`` is
            docker, and nothing is local.

    Raises:
        InvalidProject: there is no such environment, or the project can't run in it.
    """
    declared = project.environment.kind if project.environment is not None else None
    if asked is None:
        return _declared(declared)
    try:
        name = EnvironmentName(asked)
    except ValueError:
        near = closest(asked, map(str, EnvironmentName))
        remedy = f"Did you mean {near!r}?" if near else f"Use {', '.join(EnvironmentName)}."
        raise InvalidProject(f"There is no environment {asked!r}.", remedy=remedy, environment=asked) from None
    _refuse_mismatch(project, name, declared)
    return name


def choose_environment(project: Project, asked: str | None = None, *, home: Path) -> Environment:
    """Return the environment that a project runs in, checked as far as can be without building it.

    Args:
        asked: as :func:`environment_name` takes it.
        home: Headgate's folder; environments are kept in ``envs`` below it.

    Raises:
        InvalidProject: there is no such environment, or its file is wrong.
        EnvironmentUnavailable: a program that it needs is not on this machine.
    """
    name = environment_name(project, asked)
    spec = project.environment
    if name is EnvironmentName.LOCAL:
        from headgate.tasks.environments.local import LocalEnvironment, bash

        bash()
        return LocalEnvironment(home)
    if name is EnvironmentName.VIRTUALENV:
        return _virtualenv(project, home)
    assert spec is not None
    if name is EnvironmentName.CONDA:
        from headgate.tasks.environments.conda import CondaEnvironment, require_conda

        assert spec.path is not None
        return CondaEnvironment(require_conda(), spec.path, home, project.name)
    from headgate.tasks.environments.docker import DockerContainer, require_docker

    assert spec.docker is not None
    container = DockerContainer(require_docker(), spec.docker, project.name)
    container.check()
    return container


def _declared(kind: EnvironmentKind | None) -> EnvironmentName:
    if kind is EnvironmentKind.CONDA:
        from headgate.tasks.environments.conda import find_conda

        return EnvironmentName.VIRTUALENV if find_conda() is None else EnvironmentName.CONDA
    names = {EnvironmentKind.PYTHON: EnvironmentName.VIRTUALENV, EnvironmentKind.DOCKER: EnvironmentName.DOCKER}
    return EnvironmentName.LOCAL if kind is None else names[kind]


def _refuse_mismatch(project: Project, name: EnvironmentName, declared: EnvironmentKind | None) -> None:
    needed = {EnvironmentName.CONDA: EnvironmentKind.CONDA, EnvironmentName.DOCKER: EnvironmentKind.DOCKER}.get(name)
    if needed is not None and declared is not needed:
        declares = "no environment" if declared is None else f"a {declared}"
        raise InvalidProject(
            f"Project {project.name!r} can't run in {name}: it declares {declares}.",
            remedy=f"Add {needed} to its MLproject file, or use {_declared(declared)}.",
            environment=str(name),
        )
    if name is EnvironmentName.VIRTUALENV and declared is EnvironmentKind.DOCKER:
        raise InvalidProject(
            f"Project {project.name!r} can't run in a virtualenv: it declares a docker_env.",
            remedy="Use docker, or local.",
            environment=str(name),
        )


def _virtualenv(project: Project, home: Path) -> Environment:
    from headgate.tasks.environments.conda_file import read_conda_file
    from headgate.tasks.environments.python_spec import PythonSpec, digest, read_python_env
    from headgate.tasks.environments.virtualenv import VirtualEnvironment, uv

    uv()
    spec = project.environment
    if spec is None or spec.path is None:
        python = PythonSpec(directory=project.directory)
    elif spec.kind is EnvironmentKind.CONDA:
        python = read_conda_file(spec.path)
    else:
        python = read_python_env(spec.path, project.directory)
    return VirtualEnvironment(python, digest(python), home, project.name)
