"""``virtualenv``: a Python environment of the project's own, built by uv, kept by the digest of its specification."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.store.errors import EnvironmentUnavailable
from headgate.tasks.build_once import build_once
from headgate.tasks.environments.local import bash, python_version
from headgate.tasks.environments.protocol import Builder, EnvironmentName, Launch, Task, first_on_path
from headgate.tasks.environments.python_spec import PythonSpec

_REMEDY = (
    "Correct the project's requirements, or try again. uv does not read pip.conf: set UV_DEFAULT_INDEX or UV_INDEX for "
    "an index of your own."
)
# uv has settings of its own; who has told pip where packages are has told enough.
_PIP_SETTINGS = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}


@dataclass(frozen=True, slots=True)
class VirtualEnvironment:
    """A virtualenv below Headgate's home folder. Several processes may prepare the same one at once.

    Args:
        spec: what is in it.
        digest: of ``spec``; names the environment's folder.
        home: Headgate's folder.
        owner: whose environment it is, for messages: the project's name.
    """

    spec: PythonSpec
    digest: str
    home: Path
    owner: str

    @property
    def name(self) -> EnvironmentName:
        return EnvironmentName.VIRTUALENV

    @property
    def folder(self) -> Path:
        return self.home / "envs" / self.digest[:32]

    @property
    def summary(self) -> Mapping[str, str]:
        python = python_version() if self.spec.running_python else self.spec.python or ""
        return {"python": python, "digest": self.digest}

    def prepare(self, builder: Builder) -> Mapping[str, str]:
        waiting = _Waiting(builder, self.owner)
        build_once(self.folder, lambda folder: self._build(folder, builder), usable=_has_python, waiting=waiting)
        return {}

    def launch(self, task: Task) -> Launch:
        folder = self.folder
        variables = {**os.environ, **self.spec.variables, **task.variables, "VIRTUAL_ENV": str(folder)}
        variables["PATH"] = first_on_path(folder / "bin", variables)
        variables.pop("PYTHONHOME", None)  # of another Python
        return Launch((bash(), "-c", task.command), task.directory, variables)

    def _build(self, folder: Path, builder: Builder) -> None:
        builder.say(f"Building the virtualenv of project {self.owner!r}; it is kept in {folder}")
        python = sys.executable if self.spec.running_python else self.spec.python or ""
        self._uv(builder, "venv", "--quiet", "--no-project", "--prompt", self.owner, "--python", python, str(folder))
        for lines in (self.spec.build_dependencies, self.spec.dependencies):
            if lines:
                self._install(folder, lines, builder)
        (folder / "headgate.json").write_text(json.dumps(self._record(), indent=2))

    def _install(self, folder: Path, lines: Sequence[str], builder: Builder) -> None:
        """Hand uv the lines through its standard input, so that the passwords of indexes are on no command line."""
        requirements = folder / "headgate-requirements.txt"
        requirements.touch(mode=0o600)
        requirements.write_text("\n".join(lines) + "\n")
        install = ("pip", "install", "--python", str(folder / "bin" / "python"), "--requirements", "-")
        self._uv(builder, *install, reads=requirements)
        requirements.unlink()

    def _uv(self, builder: Builder, *arguments: str, reads: Path | None = None) -> None:
        builder.run(
            (uv(), *arguments),
            reads=reads,
            directory=self.spec.directory,
            variables=_uv_variables(),
            what=f"the virtualenv of project {self.owner!r}",
            remedy=_REMEDY,
        )

    def _record(self) -> dict[str, object]:
        return {"python": self.spec.python, "dependencies": self.spec.dependencies, "digest": self.digest}


class _Waiting:
    """Says once that another process builds the environment, and looks whether the run was asked to stop."""

    def __init__(self, builder: Builder, owner: str) -> None:
        self._builder = builder
        self._owner = owner
        self._said = False

    def __call__(self) -> None:
        if not self._said:
            self._builder.say(f"Another process builds the virtualenv of project {self._owner!r}; waiting for it")
            self._said = True
        self._builder.go_on()


def uv() -> str:
    """Return the path of uv, which is installed with Headgate.

    Raises:
        EnvironmentUnavailable: the installation has lost it.
    """
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise EnvironmentUnavailable(
            "Virtualenvs are built by uv, and it is not installed.", remedy="Run pip install uv.", program="uv"
        ) from error


def _uv_variables() -> dict[str, str]:
    variables = dict(os.environ)
    for pips, uvs in _PIP_SETTINGS.items():
        if pips in variables:
            variables.setdefault(uvs, variables[pips])
    return variables


def _has_python(folder: Path) -> bool:
    """Say whether the environment's Python still exists; the one it was built from may have been removed."""
    return (folder / "bin" / "python").exists()
