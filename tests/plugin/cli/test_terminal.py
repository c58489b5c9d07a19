"""What a person sees on a terminal, here one of the system's own making."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.store.entities import RunStatus
from headgate.store.store import Store
from tests.plugin.cli.conftest import CommandLine

HEADGATE = str(Path(sys.executable).with_name("headgate"))
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")


def on_a_terminal(headgate: CommandLine, *words: str, **environment: str) -> tuple[int, str]:
    """Run with all three streams on one terminal; return the exit code and what appeared."""
    ours, theirs = pty.openpty()
    command = [HEADGATE, *words, "--store", headgate.url, "--artifact-root", headgate.artifact_root]
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", **environment}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, start_new_session=True
    )
    os.close(theirs)
    seen = b""
    while chunk := read(ours):
        seen += chunk
    os.close(ours)
    return process.wait(), seen.decode()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # what Linux says when the last process has closed its side
        return b""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "MLproject").write_text("name: demo\nentry_points: {main: {command: 'sh main.sh'}}\n")
    (folder / "main.sh").write_text('echo "half way"; echo "a warning" >&2\n')
    (folder / "pipeline.yaml").write_text("name: demo\nsteps: {one: {entry_point: main}}\n")
    return folder


def test_a_table_is_drawn_and_its_ids_are_whole(headgate: CommandLine, store: Store) -> None:
    run = store.runs.open("0", name="a-name-that-is-longer-than-a-narrow-terminal-has-room-for")
    store.runs.finish(run.info.run_id, RunStatus.FINISHED)
    code, seen = on_a_terminal(headgate, "runs", "list")
    assert code == 0
    assert "───" in seen
    assert run.info.run_id in seen
    assert run.info.name in seen
    assert COLOUR.search(seen)


def test_no_color_means_none(headgate: CommandLine, store: Store, project: Path) -> None:
    store.runs.open("0", name="here")
    for words in (("runs", "list"), ("runs", "show", "nothing"), ("run", str(project), "-e", "main")):
        _, seen = on_a_terminal(headgate, *words, NO_COLOR="1")
        assert not COLOUR.search(seen), seen


def test_a_dumb_terminal_gets_plain_text(headgate: CommandLine, store: Store, project: Path) -> None:
    store.runs.open("0", name="here")
    for words in (("runs", "list"), ("run", str(project))):
        _, seen = on_a_terminal(headgate, *words, TERM="dumb")
        assert "\x1b" not in seen


@pytest.mark.parametrize("entry_point", [(), ("-e", "main")])
def test_a_run_shows_what_is_under_way(headgate: CommandLine, project: Path, entry_point: tuple[str, ...]) -> None:
    code, seen = on_a_terminal(headgate, "run", str(project), *entry_point)
    assert code == 0
    for expected in ("half way", "a warning", "FINISHED", "0:00:0"):
        assert expected in seen
    assert "\x1b[?25h" in seen, "the cursor is shown again"
