"""The README works as it is written: its blocks run in order, in a fresh folder that holds a copy of ``examples/``.

A ``bash`` block runs in bash and a ``python`` block in Python; the shell's folder and exported variables go on from one
block to the next. A block whose language is followed by a file name (``yaml gate.yaml``) becomes that file. A block
that sets up the repository is not run again inside the repository's own tests: of its lines, those that clone it and
step into it are taken as read, and its ``make`` verbs must exist. Other languages (``text``, ``mermaid``) are not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FENCE = re.compile(r"^```(?P<language>\w+)(?:[ ]+(?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SETUP = re.compile(r"^(?:make\b.*|git clone\b.*|cd \S+|\s*#.*|\s*)$")
CARRY_ON = """
if [ -f "$STATE/exports" ]; then source "$STATE/exports"; cd "$(cat "$STATE/folder")"; fi
trap 'export -p > "$STATE/exports"; pwd > "$STATE/folder"' EXIT
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of the README; ``line`` is that of its first line, from 1."""

    language: str
    file: str | None
    text: str
    line: int

    @property
    def sets_up_the_repository(self) -> bool:
        lines = self.text.splitlines()
        return self.language == "bash" and "make " in self.text and all(SETUP.match(line) for line in lines)


def _blocks(text: str) -> list[Block]:
    return [
        Block(match["language"], match["file"], match["text"], text.count("\n", 0, match.start("text")) + 1)
        for match in FENCE.finditer(text)
    ]


BLOCKS = _blocks(README.read_text(encoding="utf-8"))
RUN = [block for block in BLOCKS if block.file or block.language in ("bash", "python")]


def test_the_readme_shows_the_two_commands_of_a_fresh_machine() -> None:
    commands = {line for block in BLOCKS if block.sets_up_the_repository for line in block.text.splitlines()}
    assert {"make demo", "make test"} <= {command.partition("#")[0].strip() for command in commands}


def test_every_make_verb_of_the_readme_exists() -> None:
    for verb in sorted(set(re.findall(r"\bmake ([a-z-]+)", README.read_text(encoding="utf-8")))):
        planned = subprocess.run(["make", "--dry-run", verb], cwd=ROOT, capture_output=True, text=True)
        assert planned.returncode == 0, planned.stderr


def test_every_block_works_in_order_in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, state = tmp_path / "folder", tmp_path / "state"
    state.mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", ".headgate"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STATE", str(state))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    ran = [block for block in RUN if not block.sets_up_the_repository]
    assert ran, "README.md has no block to run"
    for block in ran:
        _work(block, folder, state)


def _work(block: Block, folder: Path, state: Path) -> None:
    if block.file is not None:
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        return
    script = state / ("block.py" if block.language == "python" else "block.sh")
    script.write_text(block.text, encoding="utf-8")
    words = f'{CARRY_ON}\n{"python" if block.language == "python" else "source"} "{script}"'
    shell = ["bash", "-euo", "pipefail", "-c", words]
    done = subprocess.run(shell, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, (
        f"README.md:{block.line}: the {block.language} block ended with {done.returncode}\n{block.text}\n"
        f"{done.stdout}\n{done.stderr}"
    )
