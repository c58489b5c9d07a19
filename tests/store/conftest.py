"""A store per test on each database: SQLite always, PostgreSQL and MariaDB on the servers that tests find or bring.

A database is made and migrated once per test process; a server's is emptied before each test, a SQLite file is copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.store.database import Database
from headgate.store.entities import Verdict
from headgate.store.migrate import upgrade
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from tests.databases import empty
from tests.store.promotion_cases import candidate, verdict_on

DIALECTS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """The database that this test runs on."""
    return str(request.param)


@pytest.fixture
def store_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty, migrated store that other processes may open too."""
    if dialect == "sqlite":
        return _copied(request.getfixturevalue("migrated_file"), tmp_path)
    url = str(request.getfixturevalue(f"{dialect}_database"))
    empty(url)
    return url


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with open_store(store_url, artifact_root=str(tmp_path / "artifacts"), settings=Settings()) as opened:
        yield opened


@pytest.fixture
def sqlite_store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite only, for tests of what does not depend on the database."""
    url = _copied(migrated_file, tmp_path)
    with open_store(url, artifact_root=str(tmp_path / "artifacts"), settings=Settings()) as opened:
        yield opened


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with tables and no rows."""
    path = tmp_path_factory.mktemp("migrated") / "headgate.db"
    database = Database(sa.make_url(f"sqlite:///{path}"), Settings())
    upgrade(database)
    database.close()
    return path


def _copied(file: Path, folder: Path) -> str:
    return f"sqlite:///{shutil.copy(file, folder / 'headgate.db')}"


@pytest.fixture
def verdict(store: Store) -> Verdict:
    """A passing verdict on a new model."""
    return verdict_on(store, candidate(store))
