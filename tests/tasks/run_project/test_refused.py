"""What is wrong is said before anything is written: no run, no experiment, no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headgate.store.entities import RunContext
from headgate.store.errors import EnvironmentUnavailable, HeadgateError, InvalidInput, InvalidProject, NotFound
from headgate.store.store import Store
from headgate.tasks.run_project import run_project
from tests.tasks.run_project.conftest import MakeProject, all_runs

ENTRY_POINTS = """
main: {parameters: {alpha: float, data: {type: path, default: null}}, command: "echo {alpha}"}
braces: {command: "echo {x}"}
plain: {command: "true"}
fetch: {parameters: {data: path}, command: "cat {data}"}
"""


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"project": "{}/nowhere"}, InvalidProject, "There is no project folder"),
        ({"project": "{}", "version": "v1"}, InvalidProject, "not in a git repository"),
        ({"entry_point": "mian"}, InvalidProject, "Did you mean 'main'?"),
        ({"entry_point": "train.py"}, InvalidProject, "no entry point 'train.py'"),
        ({}, InvalidProject, "needs a value for parameters 'alpha', 'data'"),
        ({"parameters": {"alpha": "x", "data": "/"}}, InvalidProject, "'x' is not a number"),
        ({"parameters": {"alpha": 1, "data": "/no/such"}}, InvalidProject, "no file or folder"),
        ({"entry_point": "braces"}, InvalidProject, "{x} is not a declared parameter"),
        ({"entry_point": "fetch", "parameters": {"data": "gs://b/k"}}, InvalidProject, "downloading gs: URIs"),
        ({"entry_point": "plain", "env": "vritualenv"}, InvalidProject, "Did you mean 'virtualenv'?"),
        ({"entry_point": "plain", "env": "conda"}, InvalidProject, "declares no environment"),
        ({"entry_point": "plain", "parameters": {"a\nb": 1}}, InvalidInput, "can't be the name of a param"),
        ({"entry_point": "plain", "parameters": {"a": "\udce9"}}, InvalidInput, "can't store"),
        ({"entry_point": "plain", "tags": {"a\nb": "1"}}, InvalidInput, "can't be the name of a tag"),
        ({"entry_point": "plain", "run_name": "x" * 300}, InvalidInput, "300 characters"),
        ({"entry_point": "plain", "experiment": ""}, InvalidInput, "needs a name"),
        ({"entry_point": "plain", "timeout": 0}, InvalidInput, "The timeout is 0 s"),
        ({"entry_point": "plain", "timeout": float("nan")}, InvalidInput, "The timeout is nan s"),
        ({"entry_point": "plain", "context": RunContext(attempt=0)}, InvalidInput, "attempt"),
        ({"entry_point": "plain", "parent_run_id": "0" * 32}, NotFound, "no run"),
    ],
)
def test_nothing_is_written(
    store: Store, project: MakeProject, tmp_path: Path, arguments: dict[str, Any], error: type[HeadgateError], says: str
) -> None:
    directory = project(ENTRY_POINTS)
    arguments = {"project": "{}", "experiment": "made for nothing", **arguments}
    arguments["project"] = arguments["project"].format(directory)
    with pytest.raises(error) as caught:
        run_project(**arguments, store=store)
    assert says in str(caught.value)
    assert caught.value.remedy
    assert (caught.value.exit_code, caught.value.retryable) == (2, False)
    assert all_runs(store) == ()
    assert [experiment.name for experiment in store.experiments.list().items] == ["Default"]
    assert not store.settings.home.exists()
    assert not Path(store.artifact_root).exists()


def test_an_environment_that_is_not_there(
    store: Store, project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = project('main: {command: "true"}')
    (directory / "MLproject").write_text("docker_env: {image: img}\nentry_points: {main: {command: x}}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnavailable, match="docker is not on this machine"):
        run_project(directory, store=store)
    assert all_runs(store) == ()
