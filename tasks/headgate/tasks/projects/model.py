"""What an MLproject file says, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class EnvironmentKind(StrEnum):
    """The environment fields of an MLproject file; a project has at most one of them."""

    PYTHON = "python_env"
    CONDA = "conda_env"
    DOCKER = "docker_env"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter of an entry point.

    Args:
        type: ``string``, ``float``, ``int``, ``path`` or ``uri``; any other word behaves as ``string``.
        default: as text; None when the parameter is required.
        line: 1-based line in the MLproject file.
    """

    name: str
    type: str = "string"
    default: str | None = None
    line: int | None = None

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A command with parameters.

    Args:
        command: a ``str.format`` template for ``bash -c``.
        file: the MLproject file it stands in; None for a script that is an entry point by itself.
        line: 1-based line in ``file``.
    """

    name: str
    command: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    file: Path | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class DockerEnvironment:
    """The ``docker_env`` field.

    Args:
        volumes: ``host:container`` pairs as ``docker run -v`` takes them.
        environment: variable name → value; None copies the variable from the machine that runs the project.
    """

    image: str
    volumes: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """The environment that a project asks for. ``path`` is set for Python and conda, ``docker`` for docker."""

    kind: EnvironmentKind
    path: Path | None = None
    docker: DockerEnvironment | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project: a folder, what its MLproject file says, and the environment it asks for.

    Args:
        name: as the file says; the folder's name when it does not.
        directory: absolute.
        file: the MLproject file; None for a folder without one, whose scripts are its entry points.
        environment: None when the project asks for nothing in particular.
        notes: what was read but means nothing here, each a sentence for whoever reads the plan.
    """

    name: str
    directory: Path
    file: Path | None = None
    entry_points: Mapping[str, EntryPoint] = field(default_factory=dict)
    environment: EnvironmentSpec | None = None
    notes: tuple[str, ...] = ()
