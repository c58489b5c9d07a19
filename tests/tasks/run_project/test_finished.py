from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from headgate.store.entities import LoggedModelStatus, RunInfo, RunStatus
from headgate.store.store import Store
from headgate.tasks.environments.local import python_version
from headgate.tasks.run_project import RunResult, run_project
from tests.tasks.run_project.conftest import MakeProject, only_run, output_of


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "init.defaultBranch=main"]
    ran = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_result_and_record(store: Store, project: MakeProject) -> None:
    directory = project(
        """
        main:
          parameters: {alpha: float, mode: {type: string, default: fast}}
          command: "echo {alpha} {mode}; echo careful >&2; echo $HEADGATE_RUN_ID"
        """
    )
    lines: list[tuple[str, str]] = []
    started: list[RunInfo] = []
    result = run_project(
        str(directory),
        parameters={"alpha": 0.5, "extra": "a b"},
        store=store,
        experiment="screening",
        run_name="first",
        tags={"team": "blue"},
        on_output=lambda line, stream: lines.append((line, stream)),
        on_start=started.append,
        clock=iter(range(1_000_000, 2_000_000)).__next__,
    )
    run = store.runs.get(result.run_id)
    printed = f"{result.run_id} --extra a b"
    assert sorted(lines) == sorted([("0.5 fast", "stdout"), ("careful", "stderr"), (printed, "stdout")])
    assert sorted(output_of(store, result.run_id).splitlines()) == sorted(line for line, _ in lines)
    params = {"alpha": "0.5", "mode": "fast", "extra": "a b"}
    assert result == RunResult(result.run_id, RunStatus.FINISHED, {}, params, (), run.info.artifact_uri)
    assert pickle.loads(pickle.dumps(result)) == result
    assert [info.run_id for info in started] == [result.run_id]
    assert (run.info.status, run.info.name, run.info.start_time) == (RunStatus.FINISHED, "first", 1_000_000)
    assert run.info.end_time is not None
    assert run.info.end_time > run.info.start_time
    assert store.experiments.get(run.info.experiment_id).name == "screening"
    assert store.leases.get(result.run_id) is None
    tags = dict(run.tags)
    environment = json.loads(tags.pop("headgate.project.environment"))
    assert environment == {"name": "local", "python": python_version(), "host": socket.gethostname()}
    assert tags == {
        "mlflow.runName": "first",
        "mlflow.user": run.info.user_id,
        "mlflow.source.name": str(directory),
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": "main",
        "mlflow.project.backend": "local",
        "headgate.project.command": "echo 0.5 fast; echo careful >&2; echo $HEADGATE_RUN_ID --extra 'a b'",
        "team": "blue",
    }


def test_what_the_script_logs(store: Store, project: MakeProject) -> None:
    directory = project(
        train__py="""
        from headgate.tasks import tracking

        for step in range(3):
            tracking.log_metric("loss", 1 / (step + 1), step=step)
        tracking.log_param("depth", 6)
        tracking.create_external_model(name="churn")
        print("trained")
        """
    )
    result = run_project(directory, "train.py", store=store)
    assert result.metrics == {"loss": pytest.approx(1 / 3)}
    assert result.params == {"depth": "6"}
    (model_id,) = result.model_ids
    model = store.logged_models.get(model_id)
    assert (model.name, model.status, model.source_run_id) == ("churn", LoggedModelStatus.READY, result.run_id)
    assert output_of(store, result.run_id) == "trained\n"


def test_code_of_a_project_gets_no_store_to_promote_in(store: Store, project: MakeProject) -> None:
    directory = project(
        train__py="""
        from headgate.store import open_store
        from headgate.store.errors import InvalidSettings
        from headgate.tasks import tracking

        tracking.log_param("depth", 6)
        try:
            open_store()
        except InvalidSettings as error:
            print(error)
        """
    )
    result = run_project(directory, "train.py", store=store)
    assert result.params == {"depth": "6"}
    assert "promote outside of the project's code" in output_of(store, result.run_id)


def test_environment_of_the_script(store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_RUN_ID", "an outer run")
    monkeypatch.setenv("USERS_OWN", "kept")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    directory = project('main: {command: "env -0 | base64 -w0"}')
    printed: list[str] = []
    result = run_project(directory, store=store, experiment="e", on_output=lambda line, _: printed.append(line))
    decoded = subprocess.run(["base64", "-d"], input=printed[0].encode(), capture_output=True, check=True).stdout
    found = dict(entry.decode().split("=", 1) for entry in decoded.split(b"\0") if entry)
    experiment_id = store.runs.get_info(result.run_id).experiment_id
    assert found["HEADGATE_STORE_URL"] == found["MLFLOW_TRACKING_URI"] != store.url
    assert found["HEADGATE_RUN_TOKEN"] == found["MLFLOW_TRACKING_TOKEN"]
    expected = {
        "HEADGATE_ARTIFACT_ROOT": store.artifact_root,
        "HEADGATE_WORKSPACE": "default",
        "HEADGATE_RUN_ID": result.run_id,
        "HEADGATE_EXPERIMENT_ID": experiment_id,
        "MLFLOW_RUN_ID": result.run_id,
        "MLFLOW_EXPERIMENT_ID": experiment_id,
        "PYTHONUNBUFFERED": "1",
        "USERS_OWN": "kept",
        "PWD": str(directory),
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)


def test_scripts_without_an_mlproject_file(store: Store, project: MakeProject) -> None:
    directory = project(run__sh='echo "$0 $*"', show__py="import sys; print(sys.argv)")
    for script, printed in (("run.sh", "run.sh --a 1\n"), ("show.py", "['show.py', '--a', '1']\n")):
        result = run_project(directory, script, {"a": 1}, store=store)
        assert output_of(store, result.run_id) == printed
        assert result.params == {"a": "1"}


def test_nested_runs(store: Store, project: MakeProject) -> None:
    parent = store.runs.open("0").info.run_id
    result = run_project(project('main: {command: "true"}'), store=store, parent_run_id=parent)
    assert store.runs.get(result.run_id).tags["mlflow.parentRunId"] == parent
    assert [child.run_id for child in store.runs.children(parent)] == [result.run_id]


def test_paths_that_are_artifacts(store: Store, project: MakeProject, tmp_path: Path) -> None:
    directory = project('main: {parameters: {data: path}, command: "cat {data}"}')
    earlier = store.runs.open("0").info
    store.artifacts(earlier.artifact_uri).put_bytes(b"rows", "data/train.csv")
    result = run_project(directory, parameters={"data": f"runs:/{earlier.run_id}/data/train.csv"}, store=store)
    assert output_of(store, result.run_id) == "rows\n"
    assert result.params == {"data": f"runs:/{earlier.run_id}/data/train.csv"}


def test_relative_paths(store: Store, project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "rows.csv").write_text("mine")
    directory = project(
        'main: {parameters: {a: path, b: {type: path, default: rows.txt}}, command: "cat {a} {b}"}', rows__txt="its own"
    )
    result = run_project(directory, parameters={"a": "rows.csv"}, store=store, working_directory=tmp_path / "here")
    assert output_of(store, result.run_id) == "mineits own\n"
    monkeypatch.chdir(tmp_path / "here")
    result = run_project(directory, parameters={"a": "rows.csv"}, store=store)
    assert output_of(store, result.run_id) == "mineits own\n"


class TestGit:
    def test_tags_of_a_folder(self, store: Store, project: MakeProject) -> None:
        directory = project('main: {command: "true"}')
        git(directory, "init", "--quiet")
        git(directory, "add", "--all")
        git(directory, "commit", "--quiet", "--message", "first")
        git(directory, "remote", "add", "origin", "https://me:canary@host.invalid/repository.git")
        (directory / "MLproject").write_text('entry_points: {main: {command: "true"}}')
        run_project(directory, store=store)
        found = {key: value for key, value in only_run(store).tags.items() if "source" in key}
        assert found == {
            "mlflow.source.name": str(directory),
            "mlflow.source.type": "PROJECT",
            "mlflow.source.git.commit": git(directory, "rev-parse", "HEAD"),
            "mlflow.source.git.branch": "main",
            "mlflow.source.git.repoURL": "https://host.invalid/repository.git",
            "headgate.source.git.dirty": "true",
        }

    def test_a_version_runs_in_a_copy(self, store: Store, project: MakeProject, tmp_path: Path) -> None:
        command = "cat {data}; pwd; echo x > rows.txt"
        entry_point = f'main: {{parameters: {{data: {{type: path, default: rows.txt}}}}, command: "{command}"}}'
        directory = project(entry_point, rows__txt="committed\n")
        git(directory, "init", "--quiet")
        git(directory, "add", "--all")
        git(directory, "commit", "--quiet", "--message", "first")
        git(directory, "tag", "v1")
        (directory / "rows.txt").write_text("changed")
        for _ in range(2):
            result = run_project(directory, store=store, version="v1")
            rows, place = output_of(store, result.run_id).splitlines()
            assert rows == "committed"
            assert not Path(place).exists()
            assert not Path(place).is_relative_to(directory)
        assert (directory / "rows.txt").read_text() == "changed"
        tags = store.runs.get(result.run_id).tags
        assert tags["mlflow.source.git.commit"] == git(directory, "rev-parse", "v1")
        assert tags["mlflow.source.name"] == str(directory)

    def test_subdirectory_of_a_url(self, store: Store, project: MakeProject, tmp_path: Path) -> None:
        directory = project('main: {command: "cat ../shared.txt"}')
        repository = tmp_path / "repository"
        (repository / "inner").mkdir(parents=True)
        directory.rename(repository / "inner" / "deep")
        (repository / "inner" / "shared.txt").write_text("shared")
        git(repository, "init", "--quiet")
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message", "first")
        git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
        result = run_project(f"file://{tmp_path}/bare.git#inner/deep", store=store)
        assert output_of(store, result.run_id) == "shared\n"
        assert only_run(store).tags["mlflow.source.git.branch"] == "main"


def test_archives(store: Store, tmp_path: Path) -> None:
    archive = tmp_path / "project.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("inner/MLproject", 'entry_points: {main: {command: "echo from a zip"}}')
    result = run_project(f"{archive}#inner", store=store)
    assert output_of(store, result.run_id) == "from a zip\n"


def test_virtualenv(store: Store, project: MakeProject) -> None:
    directory = project("main: {command: \"python -c 'import sys; print(sys.prefix)'\"}", python_env__yaml="")
    lines: list[str] = []
    run_project(directory, store=store, on_output=lambda line, _: lines.append(line))
    assert "Building the virtualenv of project 'screening'" in lines[0]
    assert lines[-1].startswith(str(store.settings.home / "envs"))
    tags = only_run(store).tags
    assert tags["mlflow.project.env"] == "virtualenv"
    assert Path(lines[-1]).name == json.loads(tags["headgate.project.environment"])["digest"][:32]


def test_much_output_is_kept_in_part(store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.tasks.recorded_run._OUTPUT_CHARACTERS", 100)
    result = run_project(project('main: {command: "seq 1000"}'), store=store)
    kept = output_of(store, result.run_id).splitlines()
    assert (kept[0], kept[-1]) == ("1", "1000")
    assert sum("lines left out" in line for line in kept) == 1
