"""Databases of a test process's own, on the servers that tests find or bring."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import sqlalchemy as sa

from headgate.store.settings import Settings
from headgate.store.store import open_store
from headgate.store.tables import metadata


@contextmanager
def database_of_its_own(server: str) -> Iterator[str]:
    """Make and migrate a database on a server, give its URL, and drop it in the end."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"headgate_test_{uuid.uuid4().hex[:16]}"
    force = " WITH (FORCE)" if engine.dialect.name == "postgresql" else ""
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        url = engine.url.set(database=name).render_as_string(hide_password=False)
        open_store(url, settings=Settings(auto_migrate=True, artifact_root="/nowhere")).close()
        yield url
        _emptying(url).dispose()
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
        engine.dispose()


def empty(url: str) -> None:
    """Delete every row of a store's database."""
    with _emptying(url).begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@cache
def _emptying(url: str) -> sa.Engine:
    """One engine for all tests on a database: a new one would connect and compile every statement again."""
    return sa.create_engine(url, pool_size=1, pool_pre_ping=True)
