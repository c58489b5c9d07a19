"""MLproject files, read as MLflow 3 reads them; mistakes are shown with file, line and remedy."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headgate.store.errors import InvalidProject
from headgate.tasks.projects.located_yaml import LocatedYaml, invalid_at, read_yaml
from headgate.tasks.projects.model import (
    DockerEnvironment,
    EntryPoint,
    EnvironmentKind,
    EnvironmentSpec,
    Parameter,
    Project,
)
from headgate.tasks.projects.values import text_of

PYTHON_ENV_FILE = "python_env.yaml"
CONDA_FILE = "conda.yaml"

_KNOWN_KEYS = ("name", "entry_points", *EnvironmentKind)
_ENTRY_POINT_KEYS = ("parameters", "command")
_PARAMETER_KEYS = ("type", "default")


def find_mlproject(directory: Path) -> Path | None:
    """Return the MLproject file of a folder; its name may be written in any case."""
    names = sorted(name for name in os.listdir(directory) if name.lower() == "mlproject")
    return directory / names[0] if names else None


def read_project(directory: Path) -> Project:
    """Read the project in a folder.

    Args:
        directory: the folder; it need not have an MLproject file.

    Returns:
        The project. An environment file with its usual name (``python_env.yaml``, or else ``conda.yaml``) counts as
        declared when the MLproject file names no environment, as in MLflow.

    Raises:
        InvalidProject: the file is wrong; ``file`` and ``line`` say where.
    """
    directory = directory.absolute()
    file = find_mlproject(directory)
    if file is None:
        return Project(directory.name, directory, environment=_usual_environment(directory))
    content = read_yaml(file)
    fields = _mapping(content, content.value, what="An MLproject file")
    return Project(
        name=text_of(fields["name"]) if fields.get("name") else directory.name,
        directory=directory,
        file=file,
        entry_points=_entry_points(content, fields.get("entry_points")),
        environment=_environment(content, fields, directory),
        notes=tuple(_notes(content, fields)),
    )


def find_entry_point(project: Project, name: str) -> EntryPoint:
    """Return an entry point of a project: a declared one, or else a ``.py`` or ``.sh`` file in its folder.

    Raises:
        InvalidProject: there is no such entry point; the remedy names the closest one.
    """
    declared = project.entry_points.get(name)
    if declared is not None:
        return declared
    suffix = Path(name).suffix
    if suffix in (".py", ".sh") and (project.directory / name).is_file():
        interpreter = "python" if suffix == ".py" else shlex.quote(os.environ.get("SHELL") or "bash")
        command = f"{interpreter} {shlex.quote(name)}".replace("{", "{{").replace("}", "}}")
        return EntryPoint(name, command)
    raise _no_such_entry_point(project, name)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like ``name``, if any does."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def _no_such_entry_point(project: Project, name: str) -> InvalidProject:
    scripts = sorted(path.name for path in project.directory.iterdir() if path.suffix in (".py", ".sh"))
    candidates = [*project.entry_points, *scripts]
    near = closest(name, candidates)
    if near is not None:
        remedy = f"Did you mean {near!r}?"
    elif candidates:
        remedy = f"There are: {', '.join(candidates)}."
    else:
        remedy = "Add an MLproject file with entry_points, or a .py or .sh file."
    if project.file is None:
        what = f"{project.directory} has no MLproject file, and {name!r} is not a script in it."
    else:
        what = f"Project {project.name!r} has no entry point {name!r}."
    return invalid_at(project.file, None, what, remedy=remedy, entry_point=name)


def _mapping(content: LocatedYaml, value: Any, *path: str, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise content.mistake(f"{what} must be a mapping.", *path, remedy="Write `key: value` lines.")
    return {str(key): item for key, item in value.items()}


def _entry_points(content: LocatedYaml, value: Any) -> dict[str, EntryPoint]:
    declared = _mapping(content, value, "entry_points", what="entry_points")
    return {name: _entry_point(content, name, fields) for name, fields in declared.items()}


def _entry_point(content: LocatedYaml, name: str, value: Any) -> EntryPoint:
    path = ("entry_points", name)
    fields = _mapping(content, value, *path, what=f"Entry point {name!r}")
    command = fields.get("command")
    if not isinstance(command, str) or not command.strip():
        raise content.mistake(
            f"Entry point {name!r} has no command.",
            *path,
            "command",
            remedy='Add one, such as `command: "python train.py --alpha {alpha}"`.',
        )
    parameters = _mapping(content, fields.get("parameters"), *path, "parameters", what=f"The parameters of {name!r}")
    return EntryPoint(
        name=name,
        command=command,
        parameters={key: _parameter(content, name, key, fields) for key, fields in parameters.items()},
        file=content.file,
        line=content.line(*path),
    )


def _parameter(content: LocatedYaml, entry_point: str, name: str, value: Any) -> Parameter:
    path = ("entry_points", entry_point, "parameters", name)
    line = content.line(*path)
    if isinstance(value, str):
        return Parameter(name, value, None, line)
    if not isinstance(value, dict):
        raise content.mistake(
            f"Parameter {name!r} of entry point {entry_point!r} has no type.",
            *path,
            remedy=f"Write `{name}: float`, or `{name}: {{type: float, default: 0.1}}`.",
        )
    declared_type = value.get("type", "string")
    if not isinstance(declared_type, str):
        raise content.mistake(
            f"The type of parameter {name!r} of entry point {entry_point!r} must be a word, not {declared_type!r}.",
            *path,
            "type",
            remedy="Use string, float, int, path or uri.",
        )
    default = value.get("default")
    return Parameter(name, declared_type, None if default is None else text_of(default), line)


def _environment(content: LocatedYaml, fields: Mapping[str, Any], directory: Path) -> EnvironmentSpec | None:
    declared = [kind for kind in EnvironmentKind if kind in fields]
    if len(declared) > 1:
        raise content.mistake(
            f"The project names {len(declared)} environments: {', '.join(declared)}.",
            declared[-1],
            remedy="Keep one of them.",
        )
    kind = declared[0] if declared else None
    if kind is None or not fields[kind]:
        return _usual_environment(directory)
    if kind is EnvironmentKind.DOCKER:
        return _docker(content, fields[kind])
    return _environment_file(content, kind, fields[kind], directory)


def _usual_environment(directory: Path) -> EnvironmentSpec | None:
    for kind, name in ((EnvironmentKind.PYTHON, PYTHON_ENV_FILE), (EnvironmentKind.CONDA, CONDA_FILE)):
        if (directory / name).is_file():
            return EnvironmentSpec(kind, directory / name)
    return None


def _environment_file(content: LocatedYaml, kind: EnvironmentKind, value: Any, directory: Path) -> EnvironmentSpec:
    if not isinstance(value, str):
        raise content.mistake(f"{kind} must name a file, not {value!r}.", kind, remedy=f"Write `{kind}: FILE`.")
    path = directory / value
    if not path.is_file():
        near = closest(value, sorted(entry.name for entry in directory.iterdir()))
        remedy = f"Did you mean {near!r}?" if near else f"Paths are relative to {directory}."
        raise content.mistake(f"{kind} names {value!r}, and there is no such file.", kind, remedy=remedy)
    return EnvironmentSpec(kind, path, line=content.line(kind))


def _docker(content: LocatedYaml, value: Any) -> EnvironmentSpec:
    kind = EnvironmentKind.DOCKER
    fields = _mapping(content, value, kind, what="docker_env")
    image = fields.get("image")
    if not isinstance(image, str) or not image:
        raise content.mistake("docker_env has no image.", kind, remedy="Add `image: NAME`.")
    volumes = fields.get("volumes") or []
    if not isinstance(volumes, list) or not all(isinstance(volume, str) for volume in volumes):
        raise content.mistake(
            "docker_env.volumes must be a list of strings.",
            kind,
            "volumes",
            remedy='Write `volumes: ["/host:/container"]`.',
        )
    variables = fields.get("environment") or []
    if not isinstance(variables, list):
        raise _wrong_docker_variable(content)
    environment = dict(_docker_variable(content, index, entry) for index, entry in enumerate(variables))
    return EnvironmentSpec(kind, docker=DockerEnvironment(image, tuple(volumes), environment), line=content.line(kind))


def _docker_variable(content: LocatedYaml, index: int, entry: Any) -> tuple[str, str | None]:
    if isinstance(entry, str) and entry:
        return entry, None
    if isinstance(entry, list) and len(entry) == 2 and entry[0] and all(part is not None for part in entry):
        return text_of(entry[0]), text_of(entry[1])
    raise _wrong_docker_variable(content, index)


def _wrong_docker_variable(content: LocatedYaml, *index: int) -> InvalidProject:
    return content.mistake(
        "docker_env.environment must be a list of names (copied from this machine) and of [name, value] pairs.",
        EnvironmentKind.DOCKER,
        "environment",
        *index,
        remedy='Write `environment: [["NEW_VARIABLE", "value"], "COPIED_VARIABLE"]`.',
    )


def _notes(content: LocatedYaml, fields: Mapping[str, Any]) -> Iterable[str]:
    for path, line in content.repeated:
        yield f"{content.file}:{line}: {'.'.join(map(str, path))} stands twice; the last one counts."
    yield from _unknown_keys(content, fields, _KNOWN_KEYS)
    entry_points = fields.get("entry_points") or {}
    for name, entry_point in entry_points.items():
        path = ("entry_points", str(name))
        yield from _unknown_keys(content, entry_point, _ENTRY_POINT_KEYS, *path)
        for key, parameter in (entry_point.get("parameters") or {}).items():
            if isinstance(parameter, dict):
                yield from _unknown_keys(content, parameter, _PARAMETER_KEYS, *path, "parameters", str(key))


def _unknown_keys(content: LocatedYaml, fields: Mapping[Any, Any], known: tuple[str, ...], *path: str) -> Iterable[str]:
    for key in map(str, fields):
        if key not in known:
            near = closest(key, known)
            hint = f"; did you mean {near!r}?" if near else ""
            yield f"{content.file}:{content.line(*path, key)}: {'.'.join((*path, key))} is not used{hint}"
