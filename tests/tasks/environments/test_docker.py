from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.store.errors import EnvironmentBuildFailed, InvalidProject
from headgate.tasks.environments.choose import choose_environment
from headgate.tasks.environments.docker import DockerContainer
from headgate.tasks.environments.protocol import Task
from headgate.tasks.projects.mlproject import read_project

from .conftest import FakeProgram, Workshop, run

# Has a daemon, and the image once it was pulled.
BODY = """
pulled = os.path.join(os.path.dirname(sys.argv[0]), "pulled")
if sys.argv[1] == "image":
    if not os.path.exists(pulled):
        sys.exit(1)
    print("sha256:feed")
if sys.argv[1] == "pull":
    open(pulled, "w")
    print("downloaded")
"""


@pytest.fixture
def docker(programs: Path) -> FakeProgram:
    return FakeProgram(programs, "docker", BODY)


@pytest.fixture
def container(
    docker: FakeProgram, project_directory: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> DockerContainer:
    (project_directory / "MLproject").write_text(
        "name: p\ndocker_env: {image: img:1, volumes: ['/data:/in'], environment: [[NEW, 'a b'], COPIED]}"
    )
    monkeypatch.setenv("COPIED", "canary-copied")
    chosen = choose_environment(read_project(project_directory), home=home)
    assert isinstance(chosen, DockerContainer)
    return chosen


def test_pulls_what_is_missing_and_tags_the_run(
    container: DockerContainer, docker: FakeProgram, workshop: Workshop
) -> None:
    tags = {"mlflow.docker.image.uri": "img:1", "mlflow.docker.image.id": "sha256:feed"}
    assert container.prepare(workshop.builder) == tags
    assert workshop.lines == ["downloaded"]
    assert container.prepare(workshop.builder) == tags
    assert [arguments[0] for arguments in docker.arguments] == ["version", "image", "pull", "image", "image"]


def test_an_image_that_can_not_be_pulled(programs: Path, container: DockerContainer, workshop: Workshop) -> None:
    FakeProgram(programs, "docker", "print('no such image', file=sys.stderr); sys.exit(1)")
    with pytest.raises(EnvironmentBuildFailed, match="no such image"):
        container.prepare(workshop.builder)


def test_command(
    container: DockerContainer, docker: FakeProgram, task: Callable[..., Task], project_directory: Path
) -> None:
    launch = container.launch(
        task("python x.py 'a b'", Path("/store"), Path("/data.csv"), HEADGATE_STORE_URL="canary-url")
    )
    assert run(launch).exit_code == 0
    assert docker.arguments[-1] == [
        *("run", "--rm", "--init", "--network", "host", "--name", "headgate-0123abcd"),
        *("--volume", f"{project_directory}:/mlflow/projects/code", "--workdir", "/mlflow/projects/code"),
        *("--volume", "/store:/store", "--volume", "/data.csv:/data.csv", "--volume", "/data:/in"),
        *("--env", "HEADGATE_STORE_URL", "--env", "NEW=a b", "--env", "COPIED"),
        *("img:1", "sh", "-c", "python x.py 'a b'"),
    ]
    variables = docker.calls[-1]["variables"]
    assert isinstance(variables, dict)
    assert (variables["HEADGATE_STORE_URL"], variables["COPIED"]) == ("canary-url", "canary-copied")
    assert "canary" not in str(launch.arguments)
    assert launch.clean_up == (str(docker.path), "rm", "--force", "headgate-0123abcd")


def test_variables_that_are_not_set(
    docker: FakeProgram, project_directory: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COPIED", raising=False)
    (project_directory / "MLproject").write_text("docker_env: {image: img, environment: [COPIED]}")
    with pytest.raises(InvalidProject, match="copies variables that are not set: COPIED") as caught:
        choose_environment(read_project(project_directory), home=home)
    assert caught.value.variables == ("COPIED",)
