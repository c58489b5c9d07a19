"""What a Python environment is made of: read from ``python_env.yaml``, and named by its digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headgate.tasks.environments.local import python_version
from headgate.tasks.projects.located_yaml import LocatedYaml, read_yaml

# Changes when environments are built in another way, so that older ones are not taken for what is wanted.
_FORM = 1

_KEYS = ("python", "build_dependencies", "dependencies")
_INCLUDED = re.compile(r"\s*(?:-r|-c|--requirement|--constraint)[\s=]*(?P<path>\S+)")
_EDITABLE = re.compile(r"\s*(?:-e|--editable)[\s=]+(?P<path>\S+)")
# A requirement's own words: what it is called, a URL's scheme; extras and conditions behind it.
_BEFORE_PATH = re.compile(r"^\s*(?:[\w.\[\],-]+\s*@\s*)?(?:file:(?://)?)?")
_BEHIND_PATH = re.compile(r"\s*(?:\[[\w,\s-]*\]\s*)?(?:;.*|\s#.*)?$")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_NOT_CODE = frozenset([".git", ".venv", "__pycache__", "node_modules"])


@dataclass(frozen=True, slots=True)
class PythonSpec:
    """A Python environment in the words of ``python_env.yaml``.

    Args:
        python: version, or constraints such as ``>=3.10``; None is the running Python's.
        build_dependencies: installed first; lines of a requirements file.
        dependencies: lines of a requirements file.
        directory: what relative paths in them are relative to.
        variables: set for the entry point.
    """

    python: str | None = None
    build_dependencies: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    directory: Path = field(default_factory=Path)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def running_python(self) -> bool:
        """Whether the Python that runs Headgate is one that was asked for."""
        return self.python is None or f"{python_version()}.".startswith(f"{self.python}.")


def read_python_env(file: Path, project_directory: Path) -> PythonSpec:
    """Read a ``python_env.yaml``.

    Raises:
        InvalidProject: the file is wrong; ``file`` and ``line`` say where.
    """
    content = read_yaml(file)
    value = {} if content.value is None else content.value
    if not isinstance(value, dict):
        raise content.mistake("A python_env file must be a mapping.", remedy="Write `dependencies:` and a list.")
    for key in value:
        if key not in _KEYS:
            raise content.mistake(f"{key!r} has no meaning here.", key, remedy=f"Use {', '.join(_KEYS)}.")
    build_dependencies, dependencies = (
        tuple(requirement_lines(content, value.get(key), project_directory, key)) for key in _KEYS[1:]
    )
    return PythonSpec(_python(content, value.get("python")), build_dependencies, dependencies, project_directory)


def _python(content: LocatedYaml, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise content.mistake(
            f"The Python version must be text, and YAML reads {value!r} as a number.",
            "python",
            remedy='Put it in quotes: python: "3.10".',
        )
    if not re.fullmatch(r"[\w.,<>=!~*@ -]+", value) or value.startswith("-"):
        raise content.mistake(f"{value!r} is not a Python version.", "python", remedy='Write, say, python: "3.11".')
    return value.strip()


def requirement_lines(content: LocatedYaml, value: Any, directory: Path, *path: Hashable) -> Iterator[str]:
    """Yield the lines of a list of requirements at ``path`` in a YAML file."""
    if value is None:
        return
    if not isinstance(value, list):
        raise content.mistake(f"{path[-1]} must be a list.", *path, remedy="Write one `- requirement` per line.")
    for index, line in enumerate(value):
        if not isinstance(line, str) or "\n" in line or "\0" in line:
            raise content.mistake(f"{line!r} is not a requirement.", *path, index, remedy="Write, say, numpy>=2.")
        included = _INCLUDED.match(line)
        if included is not None and "://" not in included["path"] and not (directory / included["path"]).is_file():
            raise content.mistake(
                f"{line!r} names a file that is not there.", *path, index, remedy=f"Paths are relative to {directory}."
            )
        yield line


def digest(spec: PythonSpec) -> str:
    """Return the digest that names an environment: equal for what would be built equally on this kind of machine.

    It covers the Python version, the lines, the content of the requirement files and local packages that they name,
    and the operating system.
    """
    described = {
        "form": _FORM,
        "python": python_version() if spec.running_python else spec.python,
        "implementation": sys.implementation.cache_tag if spec.running_python else "",
        "build_dependencies": spec.build_dependencies,
        "dependencies": spec.dependencies,
        "content": list(named_content((*spec.build_dependencies, *spec.dependencies), spec.directory)),
        "machine": [os.uname().sysname, os.uname().machine],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def named_content(lines: Iterable[str], directory: Path, seen: frozenset[Path] = frozenset()) -> Iterator[list[str]]:
    """Yield (path, digest) of everything local that requirement lines name, files named in those files included."""
    for line in lines:
        included, editable = _INCLUDED.match(line), _EDITABLE.match(line)
        if included is not None:
            path = (directory / included["path"]).absolute()
            if path.is_file() and path not in seen:
                yield [included["path"], _content_digest(path)]
                yield from named_content(path.read_text(errors="replace").splitlines(), path.parent, seen | {path})
        elif editable is not None:  # such an environment points into that folder, whatever is in it
            yield [editable["path"], str((directory / editable["path"]).absolute())]
        else:
            name = _BEHIND_PATH.sub("", _BEFORE_PATH.sub("", line))
            if ("/" in name or name.startswith(".") or name.endswith(_ARCHIVES)) and (directory / name).exists():
                yield [name, _content_digest(directory / name)]


def _content_digest(path: Path) -> str:
    found = hashlib.sha256()
    for folder, folders, files in os.walk(path) if path.is_dir() else [(str(path.parent), [], [path.name])]:
        folders[:] = sorted(name for name in folders if name not in _NOT_CODE)
        for name in sorted(files):
            file = Path(folder, name)
            found.update(f"{file.relative_to(path.parent)}\0".encode(errors="surrogateescape"))
            if file.is_file():
                found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
