from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.store.errors import EnvironmentUnavailable
from headgate.tasks.environments.choose import choose_environment
from headgate.tasks.environments.local import LocalEnvironment
from headgate.tasks.environments.protocol import Task
from headgate.tasks.projects.mlproject import read_project

from .conftest import Workshop, run


def test_python_is_the_one_that_runs_headgate(home: Path, task: Callable[..., Task], workshop: Workshop) -> None:
    environment = LocalEnvironment(home)
    assert environment.prepare(workshop.builder) == {}
    launch = environment.launch(
        task("python -c 'import os, sys; print(sys.executable, os.getcwd(), os.environ[\"A\"])'", A="b")
    )
    assert run(launch).tail == f"{Path(sys.executable)} {launch.directory} b"
    assert launch.clean_up == ()
    assert environment.summary == {"python": sys.version.split()[0]}
    assert not home.exists()


def test_a_python_without_that_name(
    home: Path, task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only = tmp_path / "bin" / "python3"
    only.parent.mkdir()
    only.write_text(f'#!/bin/sh\necho started as "$0"; exec {sys.executable} "$@"\n')
    only.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(only))
    environment = LocalEnvironment(home)
    for _ in range(2):
        launch = environment.launch(task("python -c 'import sys; print(sys.argv)' 'a b'"))
        monkeypatch.undo()
        assert run(launch).tail == f"started as {only}\n['-c', 'a b']"
        monkeypatch.setattr(sys, "executable", str(only))


def test_path_begins_with_that_python_once(
    home: Path, task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", folder, "/bin"]))
    path = LocalEnvironment(home).launch(task("true")).variables["PATH"]
    assert path == os.pathsep.join([folder, "/usr/bin", "/bin"])


def test_without_bash(home: Path, project_directory: Path, monkeypatch: pytest.MonkeyPatch, programs: Path) -> None:
    (programs / "bash").unlink()
    with pytest.raises(EnvironmentUnavailable, match="Install bash") as caught:
        choose_environment(read_project(project_directory), home=home)
    assert caught.value.program == "bash"
