"""A store with something for every page, recorded once per test process and never written to afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from tests.plugin.server.pages.world import Training, whole_world


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, tuple[Training, ...]]]:
    folder = tmp_path_factory.mktemp("pages")
    with open_store(f"sqlite:///{folder}/headgate.db", settings=Settings()) as store:
        yield store, whole_world(store)


@pytest.fixture
def store(shown: tuple[Store, tuple[Training, ...]]) -> Store:
    """The whole world; not for writing."""
    return shown[0]


@pytest.fixture
def trainings(shown: tuple[Store, tuple[Training, ...]]) -> tuple[Training, ...]:
    return shown[1]


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store of this test's own."""
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened
