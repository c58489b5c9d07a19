"""``conda``: an environment built by conda, mamba or micromamba, whichever is on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.store.errors import EnvironmentUnavailable
from headgate.tasks.build_once import build_once
from headgate.tasks.environments.protocol import Builder, EnvironmentName, Launch, Task
from headgate.tasks.environments.python_spec import named_content

_PROGRAMS = ("conda", "mamba", "micromamba")
# The command goes by a variable: `conda run` takes no argument with several lines.
_COMMAND = "HEADGATE_COMMAND"


def find_conda() -> str | None:
    """Return the path of conda, mamba or micromamba; ``CONDA_EXE`` and ``MAMBA_EXE`` count too. None without any."""
    for program in _PROGRAMS:
        found = shutil.which(program)
        if found is not None:
            return found
    named = (os.environ.get(variable) for variable in ("CONDA_EXE", "MAMBA_EXE"))
    return next((program for program in named if program and os.access(program, os.X_OK)), None)


def require_conda() -> str:
    """Return what :func:`find_conda` finds.

    Raises:
        EnvironmentUnavailable: it finds nothing.
    """
    found = find_conda()
    if found is None:
        raise EnvironmentUnavailable(
            "The environment is conda, and none of conda, mamba and micromamba is on this machine.",
            remedy="Install one of them, such as micromamba, or use virtualenv, which reads conda.yaml too.",
            program="conda",
        )
    return found


@dataclass(frozen=True, slots=True)
class CondaEnvironment:
    """A conda environment below Headgate's home folder.

    Args:
        program: path of conda, mamba or micromamba.
        file: the ``conda.yaml``.
        home: Headgate's folder.
        owner: the project's name, for messages.
    """

    program: str
    file: Path
    home: Path
    owner: str

    @property
    def name(self) -> EnvironmentName:
        return EnvironmentName.CONDA

    @property
    def folder(self) -> Path:
        return self.home / "envs" / f"conda-{self._digest()[:32]}"

    @property
    def summary(self) -> Mapping[str, str]:
        return {"builder": Path(self.program).name, "digest": self._digest()}

    def prepare(self, builder: Builder) -> Mapping[str, str]:
        build_once(self.folder, lambda folder: self._build(folder, builder), waiting=builder.go_on)
        return {}

    def launch(self, task: Task) -> Launch:
        # conda holds output back until the end unless it is told not to; the others have no such option.
        live = ("--no-capture-output",) if self._is_conda else ()
        arguments = (self.program, "run", *live, "--prefix", str(self.folder), "bash", "-c", f'eval "${_COMMAND}"')
        return Launch(arguments, task.directory, {**os.environ, **task.variables, _COMMAND: task.command})

    @property
    def _is_conda(self) -> bool:
        return "mamba" not in Path(self.program).name

    def _build(self, folder: Path, builder: Builder) -> None:
        builder.say(f"Building the conda environment of project {self.owner!r}; it is kept in {folder}")
        create = ("env", "create", "--quiet") if self._is_conda else ("create", "--yes", "--quiet")
        builder.run(
            (self.program, *create, "--prefix", str(folder), "--file", str(self.file)),
            directory=self.file.parent,
            variables=os.environ,
            what=f"the conda environment of project {self.owner!r}",
            remedy=f"Correct {self.file}, or try again.",
        )

    def _digest(self) -> str:
        text = self.file.read_text(encoding="utf-8", errors="replace")
        lines = [re.sub(r"^\s*-\s+", "", line) for line in text.splitlines()]
        named = list(named_content(lines, self.file.parent))
        described = ["conda" if self._is_conda else "mamba", os.uname().sysname, os.uname().machine, text, named]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()
