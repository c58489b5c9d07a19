"""The supervisor where it can't do all that Linux lets it do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headgate.tasks import supervisor
from headgate.tasks.process import ProcessScope, run_process
from headgate.tasks.stopping import StopRequest
from tests.tasks.processes import STUBBORN, Family, alive

# The supervisor as a program, on a system without subreapers.
WITHOUT_SUBREAPER = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("supervisor", {path!r})
supervisor = module_from_spec(spec)
spec.loader.exec_module(supervisor)
supervisor._become_subreaper = lambda: False
sys.exit(supervisor.main(sys.argv[1:]))
"""


@pytest.fixture
def no_subreaper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "supervisor.py"
    program.write_text(WITHOUT_SUBREAPER.format(path=supervisor.__file__))
    monkeypatch.setattr("headgate.tasks.process._SUPERVISOR", str(program))


@pytest.mark.parametrize("scope", list(ProcessScope))
def test_processes_that_left_the_tree_are_found_by_their_mark(
    no_subreaper: None, tmp_path: Path, scope: ProcessScope
) -> None:
    family = Family(tmp_path, STUBBORN)
    stop = StopRequest()
    watcher = family.stop_when_complete(stop)
    ended = run_process(
        ["bash", "-c", family.command],
        directory=tmp_path,
        variables={"PATH": os.environ["PATH"]},
        grace=0.3,
        scope=scope,
        stop=stop,
    )
    watcher.join()
    assert ended.cause == "stopped"
    assert [pid for pid in family.pids() if alive(pid)] == []


def test_ordinary_ends_without_subreapers(no_subreaper: None, tmp_path: Path) -> None:
    ended = run_process(["sh", "-c", "echo x; exit 3"], directory=tmp_path, variables={"PATH": os.environ["PATH"]})
    assert (ended.exit_code, ended.tail) == (3, "x")


def test_ps_says_what_proc_says() -> None:
    by_proc, by_ps = supervisor._processes(), supervisor._processes_by_ps()
    me = os.getpid()
    assert by_ps[me] == by_proc[me] == (os.getppid(), os.getpgrp())
