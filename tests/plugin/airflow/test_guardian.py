"""What the tests' Airflow is started by leaves no process behind, however the test run ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.airflow.standalone import GUARDIAN
from tests.tasks.processes import STUBBORN, Family, alive, pid_in, python, wait_for

# Starts the guardian as the fixture does, says its id, and stays.
_STARTER = """
import subprocess, sys, time
guardian = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)
open(sys.argv[1], "w").write(str(guardian.pid))
time.sleep(600)
"""


def _guarded(family: Family) -> list[str]:
    return [sys.executable, "-I", str(GUARDIAN), "bash", "-c", family.command]


def test_the_end_of_its_input_ends_everything(tmp_path: Path) -> None:
    family = Family(tmp_path, STUBBORN)
    guardian = subprocess.Popen(_guarded(family), stdin=subprocess.PIPE)
    pids = family.pids()
    assert guardian.stdin is not None
    guardian.stdin.close()

    assert guardian.wait(60) == 0
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_its_starter_ends_everything(number: int, tmp_path: Path) -> None:
    family = Family(tmp_path, STUBBORN)
    file = tmp_path / "guardian"
    starter = subprocess.Popen(["bash", "-c", f"exec {python(_STARTER, file, *_guarded(family))}"])
    pids = [pid_in(file), *family.pids()]
    starter.send_signal(number)
    starter.wait()

    wait_for(lambda: not any(alive(pid) for pid in pids), "the end of every process")


def test_the_end_of_the_command_ends_the_rest(tmp_path: Path) -> None:
    family = Family(tmp_path, STUBBORN)
    with subprocess.Popen(_guarded(family), stdin=subprocess.PIPE) as guardian:
        pids = family.pids()
        child = pids[0]  # the command itself waits for it
        subprocess.run(["kill", "-KILL", str(child)], check=True)
        assert guardian.wait(60) == 1
    assert not any(alive(pid) for pid in pids)
