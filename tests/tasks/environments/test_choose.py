from __future__ import annotations

from pathlib import Path

import pytest

from headgate.store.errors import EnvironmentUnavailable, InvalidProject
from headgate.tasks.environments.choose import choose_environment, environment_name
from headgate.tasks.projects.mlproject import read_project
from headgate.tasks.projects.model import Project

from .conftest import FakeProgram

DECLARATIONS = {
    "none": "name: p",
    "python_env": "python_env: env.yaml",
    "conda_env": "conda_env: conda.yml",
    "docker_env": "docker_env: {image: img}",
}


@pytest.fixture
def project(request: pytest.FixtureRequest, project_directory: Path) -> Project:
    (project_directory / "env.yaml").touch()
    (project_directory / "conda.yml").write_text("dependencies: []")
    (project_directory / "MLproject").write_text(DECLARATIONS[request.param])
    return read_project(project_directory)


def declared(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("project", [kind], indirect=True)


@pytest.mark.parametrize(
    ("project", "with_conda", "expected"),
    [
        ("none", False, "local"),
        ("python_env", False, "virtualenv"),
        ("conda_env", False, "virtualenv"),
        ("conda_env", True, "conda"),
        ("docker_env", False, "docker"),
    ],
    indirect=["project"],
)
def test_what_is_declared(project: Project, with_conda: bool, expected: str, programs: Path) -> None:
    if with_conda:
        FakeProgram(programs, "micromamba", "")
    assert environment_name(project) == expected


@pytest.mark.parametrize("project", DECLARATIONS, indirect=True)
def test_local_is_always_possible(project: Project, home: Path) -> None:
    assert choose_environment(project, "local", home=home).name == "local"


@pytest.mark.parametrize("project", ["none", "python_env", "conda_env"], indirect=True)
def test_virtualenv_of_what_has_one(project: Project, home: Path) -> None:
    environment = choose_environment(project, "virtualenv", home=home)
    assert environment.name == "virtualenv"
    assert set(environment.summary) == {"python", "digest"}
    assert not home.exists()


@pytest.mark.parametrize(
    ("project", "asked", "remedy"),
    [
        ("none", "conda", "Add conda_env to its MLproject file, or use local."),
        ("python_env", "conda", "Add conda_env to its MLproject file, or use virtualenv."),
        ("none", "docker", "Add docker_env to its MLproject file, or use local."),
        ("docker_env", "virtualenv", "Use docker, or local."),
        ("none", "vritualenv", "Did you mean 'virtualenv'?"),
        ("none", "kubernetes", "Use local, virtualenv, conda, docker."),
    ],
    indirect=["project"],
)
def test_what_can_not_be(project: Project, home: Path, asked: str, remedy: str) -> None:
    with pytest.raises(InvalidProject) as caught:
        choose_environment(project, asked, home=home)
    assert caught.value.remedy == remedy
    assert caught.value.environment == asked


@declared("conda_env")
def test_without_conda(project: Project, home: Path, programs: Path) -> None:
    with pytest.raises(EnvironmentUnavailable, match="none of conda, mamba and micromamba") as caught:
        choose_environment(project, "conda", home=home)
    assert caught.value.program == "conda"
    assert "virtualenv" in caught.value.remedy


@declared("docker_env")
def test_without_docker(project: Project, home: Path, programs: Path) -> None:
    with pytest.raises(EnvironmentUnavailable, match="docker is not on this machine") as caught:
        choose_environment(project, home=home)
    assert caught.value.program == "docker"


@declared("docker_env")
def test_without_a_docker_daemon(project: Project, home: Path, programs: Path) -> None:
    FakeProgram(programs, "docker", "print('Cannot connect to the Docker daemon', file=sys.stderr); sys.exit(1)")
    with pytest.raises(EnvironmentUnavailable, match="no docker daemon answers: Cannot connect to the Docker daemon"):
        choose_environment(project, home=home)


@declared("python_env")
def test_without_uv(project: Project, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import uv

    def lost() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(uv, "find_uv_bin", lost)
    with pytest.raises(EnvironmentUnavailable, match="pip install uv"):
        choose_environment(project, home=home)
