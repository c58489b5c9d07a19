from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.store.errors import EnvironmentBuildFailed, RunKilled
from headgate.tasks.environments.choose import choose_environment
from headgate.tasks.environments.protocol import Environment, Task
from headgate.tasks.projects.mlproject import read_project

from .conftest import FakeProgram, Workshop, run

Choose = Callable[..., tuple[Environment, FakeProgram]]

# Makes the environment's folder; for `run`, becomes the command behind the options, as the real programs do.
BODY = """
if "run" in sys.argv:
    start = sys.argv.index("bash")
    os.execvp("bash", sys.argv[start:])
os.makedirs(sys.argv[sys.argv.index("--prefix") + 1])
print("solved")
"""


@pytest.fixture
def environment(project_directory: Path, home: Path, programs: Path) -> Choose:
    (project_directory / "conda.yaml").write_text("dependencies:\n- numpy\n- pip:\n  - -r more.txt\n")
    (project_directory / "more.txt").write_text("one")

    def choose(name: str, body: str = BODY) -> tuple[Environment, FakeProgram]:
        fake = FakeProgram(programs, name, body)
        return choose_environment(read_project(project_directory), home=home), fake

    return choose


@pytest.mark.parametrize(
    ("program", "create", "options"),
    [
        ("conda", ["env", "create", "--quiet"], ["--no-capture-output"]),
        ("mamba", ["create", "--yes", "--quiet"], []),
        ("micromamba", ["create", "--yes", "--quiet"], []),
    ],
)
def test_built_once_and_run(
    environment: Choose,
    workshop: Workshop,
    task: Callable[..., Task],
    project_directory: Path,
    home: Path,
    program: str,
    create: list[str],
    options: list[str],
) -> None:
    chosen, fake = environment(program)
    assert chosen.name == "conda"
    chosen.prepare(workshop.builder)
    chosen.prepare(workshop.builder)
    (folder,) = [path for path in (home / "envs").iterdir() if path.is_dir()]
    assert fake.arguments == [[*create, "--prefix", str(folder), "--file", str(project_directory / "conda.yaml")]]
    assert workshop.lines[-1] == "solved"
    launch = chosen.launch(task('echo \'a  b\' "$A"\necho "$(pwd)"', A="$c d"))
    assert run(launch).tail == f"a  b $c d\n{project_directory}"
    assert fake.arguments[1][:-3] == ["run", *options, "--prefix", str(folder)]


def test_the_digest_covers_named_files(environment: Choose, project_directory: Path) -> None:
    chosen, _ = environment("conda")
    before = chosen.summary["digest"]
    (project_directory / "more.txt").write_text("two")
    assert chosen.summary["digest"] != before


def test_a_build_that_fails(environment: Choose, workshop: Workshop, home: Path) -> None:
    chosen, fake = environment("conda", "print('ResolvePackageNotFound: nnumpy'); sys.exit(1)")
    for attempt in (1, 2):
        with pytest.raises(EnvironmentBuildFailed, match="ResolvePackageNotFound: nnumpy") as caught:
            chosen.prepare(workshop.builder)
        assert len(fake.calls) == attempt
    assert caught.value.retryable
    assert caught.value.output == "ResolvePackageNotFound: nnumpy"


def test_a_build_that_is_stopped(environment: Choose, workshop: Workshop) -> None:
    chosen, _ = environment("conda", "import time; time.sleep(600)")
    workshop.stop.request("the test asks for it")
    with pytest.raises(RunKilled, match="the test asks for it"):
        chosen.prepare(workshop.builder)


def test_programs_named_by_variables(
    project_directory: Path, home: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project_directory / "conda.yaml").write_text("dependencies: []")
    elsewhere = FakeProgram(tmp_path, "conda", BODY)
    monkeypatch.setenv("CONDA_EXE", str(elsewhere.path))
    assert choose_environment(read_project(project_directory), home=home).summary["builder"] == "conda"
