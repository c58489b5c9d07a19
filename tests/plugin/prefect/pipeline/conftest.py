"""A project as files beside a flow, and a second store for what another door records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.screening import WriteFiles, write_into

if TYPE_CHECKING:
    from headgate.store.store import Store


@pytest.fixture
def write_files(tmp_path: Path) -> WriteFiles:
    """Writes files of a project, by name and (dedented) content; returns its folder."""
    return partial(write_into, tmp_path / "flows")


@pytest.fixture
def other_store(tmp_path: Path) -> Iterator[Store]:
    """A second store, for what another door records."""
    from headgate.store import open_store

    with open_store(f"sqlite:///{tmp_path}/other.db", artifact_root=str(tmp_path / "other")) as opened:
        yield opened
