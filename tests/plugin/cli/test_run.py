"""``headgate run`` on an entry point: what is recorded, what is printed where, how it ends, how it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headgate.cli.documents import DOCUMENTED
from headgate.store.entities import Run, RunStatus
from headgate.store.store import Store
from tests.plugin.cli.conftest import CommandLine

HEADGATE = str(Path(sys.executable).with_name("headgate"))
SECONDS = 120  # how long a test waits for something that takes two

MLPROJECT = """\
name: demo
entry_points:
  main:
    parameters:
      n: {type: int, default: 3}
      where: {type: string, default: here}
    command: "sh main.sh {n} {where}"
  fail:
    command: "sh -c 'echo oops >&2; exit 3'"
  sleep:
    command: "sh sleep.sh"
  read:
    parameters: {data: path}
    command: "cat {data}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "MLproject").write_text(MLPROJECT)
    (folder / "main.sh").write_text('echo "n is $1 $2"; echo "a warning" >&2\n')
    # The grandchild's id is told before anything waits, so that a test can look for it afterwards.
    (folder / "sleep.sh").write_text('sleep 600 &\necho "child $!"\nwait\n')
    return folder


def only_run(store: Store) -> Run:
    (run,) = store.runs.search(["0"]).items
    return run


@pytest.mark.parametrize(
    "words",
    [
        ("nosuch",),
        ("nosuch.yaml",),
        (".", "-e", "nosuch"),
        ("nosuch.zip",),
        ("wrong.yaml",),
        ("demo", "-P", "n=nosuch"),
        ("demo", "-P", "data=nosuch", "-e", "read"),
    ],
)
def test_what_is_not_there_is_refused_before_a_store_is_made(
    headgate: CommandLine, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert project.parent == tmp_path
    (tmp_path / "wrong.yaml").write_text("name: p\nsteps: {a: {entry_point: nosuch}}\n")
    assert "nosuch" in headgate.error("run", *words)["message"]
    assert not (tmp_path / "headgate.db").exists()


def test_an_entry_point_runs_and_is_recorded(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "-P", "n=5", "-P", "where=a=b c")
    assert ran.exit_code == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "n is 5 a=b c"
    run = only_run(store)
    assert f"run        {run.info.run_id}" in lines
    assert "status     FINISHED" in lines
    assert "a warning" in ran.stderr.splitlines()
    assert run.params == {"n": "5", "where": "a=b c"}
    assert run.info.status is RunStatus.FINISHED


def test_json_leaves_stdout_to_the_document(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "--run-name", "mine", "--logical-date", "2026-01-02T01:00:00+01:00", "--json")
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)["run"]
    assert list(document) == list(DOCUMENTED["run"])
    assert document["name"] == "mine"
    assert document["context"]["logical_date"] == 1_767_312_000_000
    assert {"n is 3 here", "a warning"} <= set(ran.stderr.splitlines())


def test_the_experiment_is_made(headgate: CommandLine, store: Store, project: Path) -> None:
    assert headgate("run", project, "--experiment", "tumor").exit_code == 0
    (listed,) = headgate.json("runs", "list", "--experiment", "tumor")["runs"]
    assert listed["status"] == "FINISHED"


def test_a_file_of_the_project_is_an_entry_point(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "-e", "main.sh", "--env", "local")
    assert ran.exit_code == 0, ran.stderr
    assert only_run(store).tags["mlflow.project.entryPoint"] == "main.sh"


def test_an_entry_point_that_fails_ends_with_5(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "-e", "fail")
    assert ran.exit_code == 5
    assert "status     FAILED" in ran.stdout.splitlines()
    assert "error: Entry point 'fail'" in ran.stderr
    assert "Traceback" not in ran.stderr
    as_json = headgate("run", project, "-e", "fail", "--json")
    assert as_json.exit_code == 5
    assert json.loads(as_json.stdout)["run"]["status"] == "FAILED"
    error = json.loads(as_json.stderr.splitlines()[-1])["error"]
    assert (error["type"], error["exit_code"]) == ("EntryPointFailed", 5)
    assert error["attributes"]["exit_code_of_process"] == 3


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("-e", "nothing"), "InvalidProject"),
        (("-P", "n=many"), "InvalidProject"),
        (("-P", "nonsense"), "UsageError"),
        (("-P", "n=1", "-P", "n=2"), "UsageError"),
        (("--max-parallel", "2"), "UsageError"),
        (("--timeout", "soon"), "UsageError"),
        (("--timeout", "0"), "UsageError"),
        (("--logical-date", "yesterday"), "UsageError"),
        (("--env", "spaceship"), "UsageError"),
    ],
)
def test_bad_input_ends_with_2_and_records_nothing(
    headgate: CommandLine, store: Store, project: Path, words: tuple[str, ...], kind: str
) -> None:
    assert headgate.error("run", project, *words)["type"] == kind
    assert store.runs.search(["0"]).items == ()


def test_a_project_that_is_not_there_is_bad_input(headgate: CommandLine, tmp_path: Path) -> None:
    assert headgate.error("run", tmp_path / "nothing")["type"] == "InvalidProject"
    assert headgate.error("run", tmp_path / "nothing.yaml")["type"] == "InvalidPipeline"


def test_a_timeout_stops_the_entry_point(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "-e", "sleep", "--timeout", "500ms", env={"HEADGATE_GRACE_SECONDS": "0.5"})
    assert ran.exit_code == 5
    assert only_run(store).info.status is RunStatus.KILLED
    assert not alive(child_of(ran.stdout))


def test_the_same_work_again_is_a_new_attempt(headgate: CommandLine, store: Store, project: Path) -> None:
    for _ in range(2):
        assert headgate("run", project, "--pipeline-run-id", "monday").exit_code == 0
    attempts = store.runs.search(["0"], order_by=["attributes.start_time ASC"]).items
    assert [run.info.context.attempt for run in attempts] == [1, 2]
    assert [run.info.superseded_by for run in attempts] == [attempts[1].info.run_id, None]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_everything_and_the_run_is_killed(
    headgate: CommandLine, store: Store, project: Path, number: signal.Signals, code: int
) -> None:
    with started(headgate, "run", str(project), "-e", "sleep", "--json") as process:
        assert process.stderr is not None
        child = child_in(process.stderr)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    assert only_run(store).info.status is RunStatus.KILLED
    assert json.loads(out)["run"]["status"] == "KILLED"
    assert json.loads(err.splitlines()[-1])["error"]["exit_code"] == code
    assert "Traceback" not in err
    assert not alive(child)


def test_a_reader_that_goes_away_does_not_stop_the_run(headgate: CommandLine, store: Store, project: Path) -> None:
    (project / "main.sh").write_text("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; touch done\n")
    reading, writing = os.pipe()
    os.close(reading)
    words = [HEADGATE, "run", str(project), "--store", headgate.url, "--artifact-root", headgate.artifact_root]
    ran = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert ran.returncode == 0, ran.stderr
    assert only_run(store).info.status is RunStatus.FINISHED
    assert (project / "done").exists()


def test_reap_closes_a_run_whose_process_is_gone(headgate: CommandLine, store: Store) -> None:
    assert headgate.json("reap") == {"run_ids": []}
    dead = store.runs.open("0", lease_owner="gone", lease_seconds=0.001, now=1_700_000_000_000)
    alive_one = store.runs.open("0", lease_owner="here", lease_seconds=600)
    assert headgate.json("reap") == {"run_ids": [dead.info.run_id]}
    assert store.runs.get(dead.info.run_id).info.status is RunStatus.KILLED
    assert store.runs.get(alive_one.info.run_id).info.status is RunStatus.RUNNING
    ran = headgate("reap")
    assert (ran.exit_code, ran.stdout) == (0, "")


@contextmanager
def started(headgate: CommandLine, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A ``headgate`` in a session of its own, with the default handlers of a shell in the foreground."""
    command = [HEADGATE, *words, "--store", headgate.url, "--artifact-root", headgate.artifact_root]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def child_in(lines: Iterator[str]) -> int:
    return next(int(line.split()[1]) for line in lines if line.startswith("child "))


def child_of(text: str) -> int:
    return child_in(iter(text.splitlines()))


def alive(pid: int) -> bool:
    """Say whether a process still runs, after the moment that the system takes to bury it."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True
