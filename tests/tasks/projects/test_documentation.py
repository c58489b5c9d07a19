"""``docs/projects.md`` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.tasks import recorded_run, run_request, run_variables
from headgate.tasks.environments import docker
from headgate.tasks.environments.protocol import EnvironmentName
from headgate.tasks.projects.mlproject import find_entry_point, read_project
from headgate.tasks.projects.parameters import _MISFITS
from headgate.tasks.reap import REAPED_TAG

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "projects.md").read_text()


def test_the_example_is_a_project(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "MLproject").write_text(block)
    (tmp_path / "python_env.yaml").touch()
    project = read_project(tmp_path)
    assert project.notes == ()
    assert list(find_entry_point(project, "main").parameters) == ["data", "depth", "rate"]


@pytest.mark.parametrize("name", [*_MISFITS, *EnvironmentName, docker.WORKDIR])
def test_every_type_and_environment_is_there(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_every_tag_is_there() -> None:
    sources = "".join(Path(str(module.__file__)).read_text() for module in (run_request, docker, recorded_run))
    tags = {*re.findall(r'"(mlflow\.[\w.]+)"', sources), *re.findall(r'"(headgate\.[a-z]\w*\.[\w.]+)"', sources)}
    assert len(tags) >= 14
    for tag in (*tags, STATUS_MESSAGE_TAG, REAPED_TAG):
        assert f"`{tag}`" in PAGE


def test_every_variable_of_the_script_is_there() -> None:
    variables = re.findall(r'^ +"((?:HEADGATE|MLFLOW)_\w+)":', Path(run_variables.__file__).read_text(), re.MULTILINE)
    assert len(variables) >= 7
    for variable in variables:
        assert f"`{variable}`" in PAGE


def test_the_page_is_linked_from_the_others() -> None:
    assert "](projects.md)" in (ROOT / "docs" / "pipelines.md").read_text()
