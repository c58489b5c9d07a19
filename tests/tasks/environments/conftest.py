from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from headgate.tasks.environments.protocol import Builder, Launch, Task
from headgate.tasks.process import Ended, ProcessScope, run_process
from headgate.tasks.projects.secrets import Redactor
from headgate.tasks.stopping import StopRequest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def project_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "my project"
    directory.mkdir()
    return directory


class Workshop:
    """A builder whose output can be read afterwards."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stop = StopRequest()
        self.builder = Builder(
            on_output=lambda line, stream: self.lines.append(line),
            stop=self.stop,
            grace=1,
            scope=ProcessScope.OWN_SESSION,
            redact=Redactor(),
        )


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def task(project_directory: Path) -> Callable[..., Task]:
    def make(command: str, *paths: Path, **variables: str) -> Task:
        return Task(command, project_directory, variables, "0123abcd", paths)

    return make


def run(launch: Launch) -> Ended:
    return run_process(launch.arguments, directory=launch.directory, variables=launch.variables)


# Writes down how it was called, then does what its ANSWERS say: code, output, or becoming a real program.
_FAKE = """\
#!{python} -IS
import json, os, sys
call = {{"arguments": sys.argv[1:], "directory": os.getcwd(), "variables": dict(os.environ)}}
with open({calls!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
{body}
"""


class FakeProgram:
    """A program on the PATH that records how it is called."""

    def __init__(self, folder: Path, name: str, body: str) -> None:
        self.path = folder / name
        self._calls = folder / f"{name}.calls"
        self.path.write_text(_FAKE.format(python=sys.executable, calls=str(self._calls), body=dedent(body)))
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []

    @property
    def arguments(self) -> list[list[str]]:
        return [call["arguments"] for call in self.calls]  # type: ignore[misc]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of a single folder, with bash and sh in it and room for fake programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("bash", "sh"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    for variable in ("CONDA_EXE", "MAMBA_EXE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    return folder
