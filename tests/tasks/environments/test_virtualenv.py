"""Real virtualenvs by the real uv, from wheels made here: nothing is downloaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.store.errors import EnvironmentBuildFailed, InvalidProject, RunKilled
from headgate.tasks.environments.choose import choose_environment
from headgate.tasks.environments.protocol import Task
from headgate.tasks.environments.python_spec import PythonSpec, digest, read_python_env
from headgate.tasks.environments.virtualenv import VirtualEnvironment
from headgate.tasks.projects.mlproject import read_project

from .conftest import Workshop, run


def make_wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def environment(
    project_directory: Path, home: Path, content: str = "", file: str = "python_env.yaml"
) -> VirtualEnvironment:
    (project_directory / file).write_text(content)
    chosen = choose_environment(read_project(project_directory), "virtualenv", home=home)
    assert isinstance(chosen, VirtualEnvironment)
    return chosen


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is uv's only source of packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return folder


class TestBuilding:
    def test_dependencies_of_every_kind(
        self, project_directory: Path, home: Path, offline: Path, workshop: Workshop, task: Callable[..., Task]
    ) -> None:
        make_wheel(offline, "indexed")
        make_wheel(offline, "builder")
        make_wheel(project_directory, "local")
        (project_directory / "requirements.txt").write_text("-r more.txt\n")
        (project_directory / "more.txt").write_text("./local-1.0-py3-none-any.whl\n")
        content = "build_dependencies: [builder]\ndependencies:\n- indexed==1.0\n- -r requirements.txt\n"
        chosen = environment(project_directory, home, content)
        assert chosen.prepare(workshop.builder) == {}
        program = "import builder, indexed, local, os, sys; print(sys.prefix, os.environ['VIRTUAL_ENV'], local.version)"
        launch = chosen.launch(task(f'python -c "{program}"'))
        assert run(launch).tail == f"{chosen.folder} {chosen.folder} 1.0"
        assert not list(chosen.folder.glob("headgate-requirements*"))
        assert json.loads((chosen.folder / "headgate.json").read_text())["digest"] == chosen.digest

    def test_built_once(self, project_directory: Path, home: Path, workshop: Workshop) -> None:
        for _ in range(2):
            environment(project_directory, home).prepare(workshop.builder)
        assert len(workshop.lines) == 1
        assert "Building the virtualenv of project 'my project'" in workshop.lines[0]

    def test_two_processes_at_once(self, project_directory: Path, home: Path, offline: Path) -> None:
        make_wheel(offline, "indexed")
        chosen = environment(project_directory, home, "dependencies: [indexed]\n")
        build = (
            "import sys; from pathlib import Path\n"
            "from headgate.tasks.environments.choose import choose_environment\n"
            "from headgate.tasks.environments.protocol import Builder\n"
            "from headgate.tasks.process import ProcessScope\n"
            "from headgate.tasks.projects.mlproject import read_project\n"
            "from headgate.tasks.stopping import StopRequest\n"
            "project, home = map(Path, sys.argv[1:])\n"
            "environment = choose_environment(read_project(project), home=home)\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "def on_output(line, stream): print(line, flush=True)\n"
            "environment.prepare(Builder(on_output, StopRequest(), 1, ProcessScope.OWN_SESSION, str))\n"
        )
        arguments = [sys.executable, "-c", build, str(project_directory), str(home)]
        both = [
            subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for _ in "ab"
        ]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
        printed = [process.communicate(timeout=120)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert sum("Building the virtualenv" in text for text in printed) == 1
        python = [str(chosen.folder / "bin" / "python"), "-c", "import indexed"]
        assert subprocess.run(python, check=False).returncode == 0

    def test_what_a_killed_builder_left_is_built_anew(
        self, project_directory: Path, home: Path, workshop: Workshop, task: Callable[..., Task]
    ) -> None:
        chosen = environment(project_directory, home)
        (chosen.folder / "bin").mkdir(parents=True)
        (chosen.folder / "bin" / "python").write_text("half")
        chosen.prepare(workshop.builder)
        assert run(chosen.launch(task("python -c 'print(1)'"))).tail == "1"

    def test_an_environment_whose_python_was_removed_is_built_anew(
        self, project_directory: Path, home: Path, workshop: Workshop
    ) -> None:
        chosen = environment(project_directory, home)
        chosen.prepare(workshop.builder)
        python = chosen.folder / "bin" / "python"
        python.unlink()
        python.symlink_to("/no/such/python")
        chosen.prepare(workshop.builder)
        assert python.exists()

    def test_an_old_environment_can_be_removed(self, project_directory: Path, home: Path, workshop: Workshop) -> None:
        chosen = environment(project_directory, home)
        chosen.prepare(workshop.builder)
        shutil.rmtree(chosen.folder)
        chosen.prepare(workshop.builder)
        assert chosen.folder.is_dir()

    def test_a_package_that_does_not_exist(
        self, project_directory: Path, home: Path, offline: Path, workshop: Workshop
    ) -> None:
        chosen = environment(project_directory, home, "dependencies: [no-such-package]\n")
        with pytest.raises(EnvironmentBuildFailed, match="no-such-package") as caught:
            chosen.prepare(workshop.builder)
        assert "UV_DEFAULT_INDEX" in caught.value.remedy
        assert any("no-such-package" in line for line in workshop.lines)

    def test_stopped_while_it_is_built(self, project_directory: Path, home: Path, workshop: Workshop) -> None:
        workshop.stop.request("the test asks for it")
        with pytest.raises(RunKilled, match="the test asks for it"):
            environment(project_directory, home).prepare(workshop.builder)

    def test_variables_of_a_conda_file(
        self, project_directory: Path, home: Path, workshop: Workshop, task: Callable[..., Task]
    ) -> None:
        chosen = environment(
            project_directory, home, "dependencies: []\nvariables: {THREADS: 3, A: file}\n", "conda.yaml"
        )
        chosen.prepare(workshop.builder)
        assert run(chosen.launch(task('echo "$THREADS $A"', A="run"))).tail == "3 run"

    def test_secrets_of_an_index_are_on_no_command_line(
        self, project_directory: Path, home: Path, offline: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        real = type(workshop.builder).run

        def watch(self: object, arguments: list[str], **options: object) -> None:
            asked.extend(arguments)
            real(self, arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(type(workshop.builder), "run", watch)
        monkeypatch.delenv("UV_NO_INDEX")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        content = "dependencies: ['-i https://me:canary@127.0.0.1:1/simple', indexed]\n"
        with pytest.raises(EnvironmentBuildFailed, match="uv ended with code") as caught:
            environment(project_directory, home, content).prepare(workshop.builder)
        assert "127.0.0.1:1" in str(caught.value)
        assert "canary" not in " ".join([*asked, *workshop.lines, str(caught.value), repr(caught.value.attributes)])


class TestReading:
    def test_python_env_file(self, tmp_path: Path) -> None:
        file = tmp_path / "python_env.yaml"
        file.write_text(
            'python: "3.10"\nbuild_dependencies: [pip==23]\ndependencies:\n- numpy\n- -r requirements.txt\n'
        )
        (tmp_path / "requirements.txt").touch()
        assert read_python_env(file, tmp_path) == PythonSpec(
            "3.10", ("pip==23",), ("numpy", "-r requirements.txt"), tmp_path
        )
        file.write_text("")
        assert read_python_env(file, tmp_path) == PythonSpec(directory=tmp_path)

    @pytest.mark.parametrize(
        ("content", "line", "says"),
        [
            ("[]", 1, "must be a mapping"),
            ("a: 1\npython: 3.10\n", 1, "no meaning"),
            ("dependencies: []\npython: 3.10\n", 2, 'python: "3.10"'),
            ("python: --version\n", 1, "not a Python version"),
            ("dependencies: numpy\n", 1, "must be a list"),
            ("dependencies:\n- numpy\n- 3\n", 3, "not a requirement"),
            ("dependencies:\n- -r none.txt\n", 2, "names a file that is not there"),
            ("dependencies:\n- --requirement=none.txt\n", 2, "names a file that is not there"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, content: str, line: int, says: str) -> None:
        file = tmp_path / "python_env.yaml"
        file.write_text(content)
        with pytest.raises(InvalidProject) as caught:
            read_python_env(file, tmp_path)
        assert says in str(caught.value)
        assert caught.value.line == line

    @pytest.mark.parametrize(
        ("asked", "running"),
        [
            (None, True),
            ("3", True),
            ("{0}.{1}", True),
            ("{0}.{1}.{2}", True),
            ("{0}.{1}0", False),
            ("2.7", False),
            (">=3", False),
        ],
    )
    def test_the_running_python_is_used_when_it_fits(self, asked: str | None, running: bool) -> None:
        python = None if asked is None else asked.format(*sys.version_info)
        assert PythonSpec(python).running_python is running


class TestDigest:
    def test_equal_for_what_is_equal(self, tmp_path: Path) -> None:
        assert digest(PythonSpec()) == digest(PythonSpec(directory=tmp_path, variables={"A": "b"}))

    @pytest.mark.parametrize(
        "other",
        [PythonSpec("2.7"), PythonSpec(dependencies=("numpy",)), PythonSpec(build_dependencies=("numpy",))],
    )
    def test_different_for_what_is_different(self, other: PythonSpec) -> None:
        assert digest(other) != digest(PythonSpec())

    @pytest.mark.parametrize(
        ("line", "file"),
        [
            ("-r requirements.txt", "requirements.txt"),
            ("-rrequirements.txt", "requirements.txt"),
            ("--constraint=requirements.txt", "requirements.txt"),
            ("-r sub/outer.txt", "sub/inner.txt"),
            ("./x.whl", "x.whl"),
            ("x.whl ; python_version > '3'", "x.whl"),
            ("./package[extra]", "package/pyproject.toml"),
            ("package @ file:{directory}/package", "package/pyproject.toml"),
            (".", "package/pyproject.toml"),
        ],
    )
    def test_covers_what_the_lines_name(self, tmp_path: Path, line: str, file: str) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "package").mkdir()
        (tmp_path / "sub" / "outer.txt").write_text("# more\n-r inner.txt\n")
        for name in ("requirements.txt", "sub/inner.txt", "x.whl", "package/pyproject.toml"):
            (tmp_path / name).write_text("one")
        spec = PythonSpec(dependencies=(line.format(directory=tmp_path),), directory=tmp_path)
        before = digest(spec)
        assert digest(spec) == before
        (tmp_path / file).write_text("two")
        assert digest(spec) != before

    def test_editable_packages_belong_to_their_folder(self, tmp_path: Path) -> None:
        one = PythonSpec(dependencies=("-e .",), directory=tmp_path / "one")
        two = PythonSpec(dependencies=("-e .",), directory=tmp_path / "two")
        assert digest(one) != digest(two)

    def test_files_that_include_each_other(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("-r b.txt")
        (tmp_path / "b.txt").write_text("-r a.txt")
        assert digest(PythonSpec(dependencies=("-r a.txt",), directory=tmp_path))
