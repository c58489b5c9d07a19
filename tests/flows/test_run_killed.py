"""Signals to the process that runs a pipeline: nothing is left running, and the records say KILLED."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headgate.flows import Pipeline, Step, run_pipeline
from headgate.store.entities import RunContext, RunStatus
from headgate.store.store import Store
from tests.flows.conftest import WriteFiles

RUNNER = """\
import sys
from headgate.flows import run_pipeline
from headgate.store import open_store

url, artifact_root, folder = sys.argv[1:]
with open_store(url, artifact_root=artifact_root) as store:
    run_pipeline(folder, store=store, pipeline_run_id="r", max_parallel=2)
"""
FILES = {
    # Each leaves a grandchild in a session of its own, which a kill of the child's group would miss.
    "stay.sh": "setsid sleep 600 & echo $! > grandchild-$2\necho $$ > child-$2\nwait\n",
    "done.sh": "exit 0\n",
    "pipeline.yaml": """\
        name: p
        steps:
          first: {entry_point: done.sh}
          left: {entry_point: stay.sh, parameters: {me: left}, needs: first}
          right: {entry_point: stay.sh, parameters: {me: right}, needs: first}
          after: {entry_point: done.sh, needs: [left, right]}
        """,
}


PATIENCE = 120


def wait_for(condition: object, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def status_of(store: Store, task: str | None) -> RunStatus | None:
    run = store.runs.find_by_context(RunContext(pipeline="p", pipeline_run_id="r", task=task))
    return None if run is None else run.info.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process_and_every_run(
    number: signal.Signals, store: Store, write_files: WriteFiles, tmp_path: Path
) -> None:
    folder = write_files(FILES)
    arguments = [sys.executable, "-c", RUNNER, store.url, store.artifact_root, str(folder)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, start_new_session=True) as runner:
        try:
            pid_files = [folder / f"{kind}-{side}" for kind in ("child", "grandchild") for side in ("left", "right")]
            wait_for(lambda: runner.poll() is not None or all(file.exists() and file.read_text() for file in pid_files))
            pids = [int(file.read_text()) for file in pid_files]
            runner.send_signal(number)
            _, errors = runner.communicate(timeout=PATIENCE)
        finally:
            runner.kill()
    assert runner.returncode != 0
    assert ("KeyboardInterrupt" if number is signal.SIGINT else "RunKilled") in errors.splitlines()[-1]
    assert [pid for pid in pids if alive(pid)] == []
    assert {task: status_of(store, task) for task in (None, "first", "left", "right", "after")} == {
        None: RunStatus.KILLED,
        "first": RunStatus.FINISHED,
        "left": RunStatus.KILLED,
        "right": RunStatus.KILLED,
        "after": None,
    }


def test_a_killed_pipeline_run_is_resumed(store: Store, write_files: WriteFiles) -> None:
    # Both steps have begun, and the id of the runner is there, before it is killed.
    kill = "touch begun-$2; until [ -e begun-left ] && [ -e begun-right ] && [ -e runner ]; do sleep 0.05; done\n"
    kill += "[ -e go ] && exit\nkill -TERM $(cat runner)\nsleep 600\n"
    folder = write_files({**FILES, "stay.sh": kill})
    arguments = [sys.executable, "-c", RUNNER, store.url, store.artifact_root, str(folder)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as runner:
        (folder / "writing").write_text(str(runner.pid))
        (folder / "writing").rename(folder / "runner")
        assert runner.wait(timeout=PATIENCE) != 0
    (folder / "go").touch()
    result = run_pipeline(folder, store=store, pipeline_run_id="r")
    assert result.raise_for_status().steps["first"].reused
    assert status_of(store, None) is RunStatus.FINISHED
    attempts = store.runs.attempts(RunContext(pipeline="p", pipeline_run_id="r", task="left"))
    assert [run.status for run in attempts] == [RunStatus.KILLED, RunStatus.FINISHED]


def test_a_runner_that_dies_at_once_leaves_no_process(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    arguments = [sys.executable, "-c", RUNNER, store.url, store.artifact_root, str(folder)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as runner:
        pid_files = [folder / f"{kind}-{side}" for kind in ("child", "grandchild") for side in ("left", "right")]
        wait_for(lambda: runner.poll() is not None or all(file.exists() and file.read_text() for file in pid_files))
        pids = [int(file.read_text()) for file in pid_files]
        runner.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids))
    (folder / "stay.sh").write_text("exit 0\n")
    assert run_pipeline(folder, store=store, pipeline_run_id="r").status is RunStatus.FINISHED


def test_an_interrupt_in_a_callback_ends_the_run(store: Store, write_files: WriteFiles) -> None:
    pipeline = Pipeline("p", steps=[Step("a", entry_point="stay.sh")], folder=write_files(FILES))

    def interrupted(event: object) -> None:
        if type(event).__name__ == "StepStarted":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pipeline(pipeline, store=store, pipeline_run_id="r", on_event=interrupted)
    assert status_of(store, None) is RunStatus.KILLED
    assert status_of(store, "a") in (None, RunStatus.KILLED)
