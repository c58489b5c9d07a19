"""Small projects that record themselves, and a store for them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headgate.store.settings import Settings
from headgate.store.store import Store, open_store

WriteFiles = Callable[[dict[str, str]], Path]


@pytest.fixture
def write_files(tmp_path: Path) -> WriteFiles:
    """Writes files of a project, by name and (dedented) content; returns its folder."""

    def write(files: dict[str, str]) -> Path:
        folder = tmp_path / "project"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        return folder

    return write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite."""
    url = f"sqlite:///{tmp_path}/headgate.db"
    with open_store(url, artifact_root=str(tmp_path / "artifacts"), settings=Settings()) as opened:
        yield opened
