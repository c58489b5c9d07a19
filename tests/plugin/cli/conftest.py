"""A command line with a store of its own, run in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headgate.cli import main
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store


@dataclass(frozen=True)
class CommandLine:
    """Runs ``headgate`` with the store of the test."""

    url: str
    artifact_root: str

    def __call__(self, *words: object, store: bool = True, env: dict[str, str] | None = None) -> Result:
        where = ["--store", self.url, "--artifact-root", self.artifact_root] if store else []
        return CliRunner().invoke(main, [str(word) for word in words] + where, env=env)

    def json(self, *words: object, exit_code: int = 0, store: bool = True) -> Any:
        """Run with ``--json``; return the one document on stdout."""
        ran = self(*words, "--json", store=store)
        assert ran.exit_code == exit_code, ran.stderr
        return json.loads(ran.stdout)

    def error(self, *words: object, exit_code: int = 2, store: bool = True) -> Any:
        """Run with ``--json``; return the error on stderr, with nothing on stdout."""
        ran = self(*words, "--json", store=store)
        assert ran.exit_code == exit_code, ran.output
        assert ran.stdout == ""
        return json.loads(ran.stderr)["error"]


@pytest.fixture
def headgate(tmp_path: Path) -> CommandLine:
    return CommandLine(f"sqlite:///{tmp_path}/headgate.db", str(tmp_path / "artifacts"))


@pytest.fixture
def store(headgate: CommandLine) -> Iterator[Store]:
    """The store that ``headgate`` uses."""
    with open_store(headgate.url, artifact_root=headgate.artifact_root, settings=Settings()) as opened:
        yield opened
