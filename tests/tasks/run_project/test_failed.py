from __future__ import annotations

import pickle

import pytest

from headgate.store.entities import RunStatus
from headgate.store.errors import (
    ArtifactStoreUnavailable,
    EntryPointFailed,
    EnvironmentBuildFailed,
    InvalidProject,
    NotFound,
    StoreUnavailable,
)
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.runs import Runs
from headgate.store.store import Store
from headgate.tasks.environments.conda_file import read_conda_file
from headgate.tasks.run_project import run_project
from tests.tasks.run_project.conftest import MakeProject, only_run, output_of


def ended(store: Store, status: RunStatus) -> str:
    """Assert how the only run ended; return why."""
    run = only_run(store)
    assert run.info.status is status
    assert run.info.end_time is not None
    assert store.leases.get(run.info.run_id) is None
    return run.tags[STATUS_MESSAGE_TAG]


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("echo one; echo two >&2; exit 7", 7, "ended with code 7"),
        ("no-such-program", 127, "ended with code 127"),
        ("kill -9 $$", -9, "was ended by SIGKILL (often for want of memory)"),
        ("kill -TERM $$", -15, "was ended by SIGTERM"),
        ("kill -40 $$", -40, "was ended by signal 40"),
    ],
)
def test_the_entry_point_fails(store: Store, project: MakeProject, command: str, code: int, says: str) -> None:
    with pytest.raises(EntryPointFailed) as caught:
        run_project(project(f'main: {{command: "{command}"}}'), store=store)
    error = caught.value
    run = only_run(store)
    assert says in error.message
    assert (error.run_id, error.exit_code_of_process, error.retryable) == (run.info.run_id, code, True)
    assert ended(store, RunStatus.FAILED) == f"Entry point 'main' of project 'screening' {says}."
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.tail, copy.run_id) == (str(error), error.tail, error.run_id)


def test_the_last_lines_are_shown(store: Store, project: MakeProject) -> None:
    with pytest.raises(EntryPointFailed) as caught:
        run_project(project('main: {command: "seq 100; exit 1"}'), store=store)
    assert "\n  | 81\n" in caught.value.message
    assert "\n  | 80\n" not in caught.value.message
    assert "\n  | 100\n" in caught.value.message
    assert caught.value.tail.splitlines()[0] == "1"
    assert len(output_of(store, caught.value.run_id).splitlines()) == 100
    assert "logs/output.txt" in caught.value.remedy


def test_a_retry_makes_another_run(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "exit 1"}')
    for attempts in (1, 2):
        with pytest.raises(EntryPointFailed):
            run_project(directory, store=store)
        assert len(store.runs.search(["0"]).items) == attempts


def test_the_environment_can_not_be_built(store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    directory = project('main: {command: "true"}', python_env__yaml="dependencies: [no-such-package]\n")
    with pytest.raises(EnvironmentBuildFailed) as caught:
        run_project(directory, store=store)
    assert caught.value.run_id == only_run(store).info.run_id
    assert (
        ended(store, RunStatus.FAILED) == "Building the virtualenv of project 'screening' failed: uv ended with code 1."
    )
    assert "no-such-package" in output_of(store, caught.value.run_id)


def test_a_conda_file_that_can_not_be_carried_over(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "true"}', conda__yaml="dependencies: [cudatoolkit]\n")
    with pytest.raises(InvalidProject, match="cudatoolkit"):
        read_conda_file(directory / "conda.yaml")
    with pytest.raises(InvalidProject, match="cudatoolkit"):
        run_project(directory, env="virtualenv", store=store)
    assert store.runs.search(["0"]).items == ()


def test_an_artifact_that_is_not_there(store: Store, project: MakeProject) -> None:
    earlier = store.runs.open("0", status=RunStatus.FINISHED).info.run_id
    store.runs.delete(earlier)
    directory = project('main: {parameters: {data: path}, command: "cat {data}"}')
    with pytest.raises(NotFound):
        run_project(directory, parameters={"data": f"runs:/{earlier}/none.csv"}, store=store)
    assert "none.csv" in ended(store, RunStatus.FAILED)


def test_a_command_that_is_too_long(store: Store, project: MakeProject) -> None:
    directory = project('main: {parameters: {text: string}, command: "true {text}"}')
    with pytest.raises(InvalidProject, match="longer than the operating system takes"):
        run_project(directory, parameters={"text": "x" * 3_000_000}, store=store)
    ended(store, RunStatus.FAILED)


def test_the_callers_function_raises(store: Store, project: MakeProject) -> None:
    def on_output(line: str, stream: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="hello"):
        run_project(project('main: {command: "echo hello; sleep 600"}'), store=store, on_output=on_output)
    assert ended(store, RunStatus.FAILED) == "LookupError: hello"


def test_the_callers_function_raises_at_the_start(store: Store, project: MakeProject) -> None:
    def on_start(info: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run_project(project('main: {command: "echo hello"}'), store=store, on_start=on_start)
    assert ended(store, RunStatus.FAILED) == "LookupError"
    assert output_of(store, only_run(store).info.run_id) == ""


def test_the_end_can_not_be_recorded(store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(*_: object, **__: object) -> None:
        raise StoreUnavailable("The database is away.")

    monkeypatch.setattr(Runs, "finish", finish)
    with pytest.raises(EntryPointFailed) as caught:
        run_project(project('main: {command: "exit 1"}'), store=store)
    (note,) = caught.value.__notes__
    assert "headgate reap will close it: The database is away." in note
    assert store.leases.get(caught.value.run_id) is not None


def test_output_that_can_not_be_kept_is_no_failure(
    store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(uri: str) -> None:
        raise ArtifactStoreUnavailable("The bucket is away.")

    monkeypatch.setattr(store, "artifacts", away)
    assert run_project(project('main: {command: "true"}'), store=store).status is RunStatus.FINISHED
    assert "The bucket is away." in caplog.text
