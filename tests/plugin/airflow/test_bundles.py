"""DAGs and projects from a git repository, by Airflow's own bundle: a DAG run keeps the commit that it began with."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.airflow.identity import commit_tags
from headgate.store import RunContext
from headgate.store.entities import Run
from headgate.store.store import Store
from tests.plugin.airflow.supervised import SupervisedTask, clear_task, queue_task, supervise

BUNDLE = "repository"
EXISTING = """\
from pathlib import Path

from airflow.sdk import DAG, task
from headgate.airflow import RunProjectOperator

with DAG("existing_in_git", schedule=None):
    RunProjectOperator(task_id="project", project="../../projects/echo")
    RunProjectOperator(task_id="absolute", project=Path(__file__).parents[2] / "projects" / "echo")

    @task.headgate
    def function():
        print("first words", flush=True)

    function()
"""
FILES = {
    # The DAGs are a folder of the repository: a DAG's file finds what is beside that, and what is at its top.
    "dags/team/existing.py": EXISTING,
    "dags/team/pipeline.py": """\
from headgate.airflow import PipelineDag

dag = PipelineDag("speaking/pipeline.yaml", dag_id="pipeline_in_git")
""",
    "dags/speaking/MLproject": "name: speaking\nentry_points: {say: {command: cat words.txt}}\n",
    "dags/speaking/pipeline.yaml": "name: speaking\nsteps: {say: {entry_point: say}}\n",
    "dags/speaking/words.txt": "first words\n",
    "projects/echo/MLproject": "name: echo\nentry_points: {main: {command: cat words.txt}}\n",
    "projects/echo/words.txt": "first words\n",
}
# What a DAG run of the first version asks for is not there any more.
SECOND = {
    "dags/team/existing.py": EXISTING.replace("first", "second"),
    "dags/speaking/MLproject": "name: speaking\nentry_points: {tell: {command: cat words.txt}}\n",
    "dags/speaking/pipeline.yaml": "name: speaking\nsteps: {tell: {entry_point: tell}}\n",
    "dags/speaking/words.txt": "second words\n",
    "projects/echo/words.txt": "second words\n",
}


@dataclass(frozen=True)
class Repository:
    """A git repository that Airflow reads DAGs from."""

    folder: Path

    def commit(self, files: dict[str, str]) -> str:
        """Write files and commit them; return the commit."""
        for name, content in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A version")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        settings = ("user.name=Tester", "user.email=tester@example.invalid", "init.defaultBranch=main")
        command = ["git", *(word for setting in settings for word in ("-c", setting)), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(airflow_database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository, and an Airflow whose bundle it is."""
    made = Repository(tmp_path / "repository")
    made.folder.mkdir()
    made.git("init", "--quiet")
    bundle = {
        "name": BUNDLE,
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"repo_url": made.folder.as_uri(), "tracking_ref": "main", "subdir": "dags"},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")  # a second version may come at once
    return made


def ran(dag_id: str, task_id: str, run_id: str, try_number: int = 1) -> SupervisedTask:
    """Run a task to its end, as a worker does; its DAG run is made when it is missing."""
    task = supervise(queue_task(dag_id, task_id, run_id, try_number, bundle=BUNDLE))
    task.wait()
    assert task.state == "success", task.log
    return task


def run_of(store: Store, task: SupervisedTask) -> Run:
    found = store.runs.find_by_context(RunContext("airflow", task.dag_id, task.run_id, task.task_id))
    assert found is not None
    return found


def versions(run: Run) -> list[str]:
    """What a run says of its code: the commit, and the bundle with its version."""
    return [run.tags[tag] for tag in ("mlflow.source.git.commit", "airflow.bundle", "airflow.bundle.version")]


def test_a_task_runs_the_commit_that_its_dag_run_began_with(repository: Repository, store: Store) -> None:
    first = repository.commit(FILES)
    before = ran("existing_in_git", "project", "before")
    assert "first words" in before.log
    assert versions(run_of(store, before)) == [first, BUNDLE, first]

    second = repository.commit(SECOND)
    after = ran("existing_in_git", "project", "after")
    assert "second words" in after.log
    assert versions(run_of(store, after)) == [second, BUNDLE, second]

    clear_task(before)
    again = ran("existing_in_git", "project", "before", try_number=2)
    assert "first words" in again.log
    newest = run_of(store, again)
    assert newest.info.context.attempt == 2
    assert versions(newest) == [first, BUNDLE, first]


@pytest.mark.parametrize("task_id", ["absolute", "function"])
def test_code_from_the_repository_has_its_commit(repository: Repository, store: Store, task_id: str) -> None:
    commit = repository.commit(FILES)
    task = ran("existing_in_git", task_id, task_id)
    assert "first words" in task.log
    assert versions(run_of(store, task)) == [commit, BUNDLE, commit]


def test_a_pipeline_runs_the_steps_of_the_commit_that_its_dag_run_began_with(
    repository: Repository, store: Store
) -> None:
    first = repository.commit(FILES)
    opened = ran("pipeline_in_git", "pipeline.open", "before")
    second = repository.commit(SECOND)
    ran("pipeline_in_git", "pipeline.open", "after")
    told = ran("pipeline_in_git", "tell", "after")
    assert "second words" in told.log
    assert versions(run_of(store, told)) == [second, BUNDLE, second]

    said = ran("pipeline_in_git", "say", "before")
    assert "first words" in said.log
    step = run_of(store, said)
    assert versions(step) == [first, BUNDLE, first]
    whole = store.runs.find_by_context(RunContext("airflow", opened.dag_id, opened.run_id))
    assert whole is not None
    assert step.info.parent_run_id == whole.info.run_id
    assert whole.tags["airflow.bundle.version"] == first


@pytest.mark.parametrize(
    ("code", "version", "has_one"),
    [
        (None, "a" * 40, True),
        ("checkout/dags/project", "a" * 40, True),
        ("checkout/projects/echo", "a" * 40, True),
        ("checkout/../elsewhere", "a" * 40, False),
        ("git@host.example:team/project.git", "a" * 40, False),
        ("https://host.example/team/project.git", "a" * 40, False),
        (None, "v7", False),
        (None, None, False),
    ],
)
def test_only_code_from_the_checkout_has_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, version: str | None, has_one: bool
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    monkeypatch.chdir(tmp_path)
    bundle = SimpleNamespace(name=BUNDLE, version=version, repo_path=checkout, path=checkout / "dags")
    context: Any = {"ti": SimpleNamespace(bundle_instance=bundle)}
    assert commit_tags(context, code) == ({"mlflow.source.git.commit": version} if has_one else {})
