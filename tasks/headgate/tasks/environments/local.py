"""``local``: the entry point runs with the Python that runs Headgate."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.store.errors import EnvironmentUnavailable
from headgate.tasks.environments.protocol import Builder, EnvironmentName, Launch, Task, first_on_path


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """The caller's environment; nothing is installed. ``python`` in a command is the caller's own interpreter.

    Args:
        home: Headgate's folder; used only where no program is called ``python``.
    """

    home: Path

    @property
    def name(self) -> EnvironmentName:
        return EnvironmentName.LOCAL

    @property
    def summary(self) -> Mapping[str, str]:
        return {"python": python_version()}

    def prepare(self, builder: Builder) -> Mapping[str, str]:
        return {}

    def launch(self, task: Task) -> Launch:
        variables = {**os.environ, **task.variables}
        variables["PATH"] = first_on_path(self._programs(), variables)
        return Launch((bash(), "-c", task.command), task.directory, variables)

    def _programs(self) -> Path:
        folder = Path(sys.executable).parent
        return folder if (folder / "python").exists() else self._folder_with_python()

    def _folder_with_python(self) -> Path:
        """Some systems have no ``python``, only ``python3``: give the command a ``python`` all the same."""
        folder = self.home / "python" / sys.executable.strip("/").replace("/", "-")
        program = folder / "python"
        if not program.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = folder / f"python.{os.getpid()}"
            unfinished.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
            unfinished.chmod(0o755)
            unfinished.replace(program)
        return folder


def bash() -> str:
    """Return the path of bash.

    Raises:
        EnvironmentUnavailable: it is not on this machine.
    """
    found = shutil.which("bash")
    if found is None:
        raise EnvironmentUnavailable(
            "Entry points run in bash, and it is not on this machine.", remedy="Install bash.", program="bash"
        )
    return found


def python_version() -> str:
    """Return the version of the running Python, such as ``3.11.7``."""
    return ".".join(map(str, sys.version_info[:3]))
