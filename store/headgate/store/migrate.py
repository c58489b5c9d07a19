"""Bringing a database to the shape that this version of Headgate needs.

A new SQLite file is made ready on first use. Everything else is said: ``headgate db upgrade`` (or
``HEADGATE_AUTO_MIGRATE=true``). Any number of processes may start together: one migrates, under a lock, and the others
find the work done.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, ProgrammingError

from headgate.store.database import Database
from headgate.store.errors import SchemaOutdated, SchemaTooNew, StoreUnavailable
from headgate.store.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision: the check at start-up then need not import Alembic. A test compares it with the scripts.
HEAD = "0001"
VERSION_TABLE = "headgate_alembic_version"

_LOCK_NAME = "headgate.migrations"
_LOCK_NUMBER = 0x68656164676174  # "headgat"
_LOCK_SECONDS = 120
_LOCK_PAUSE_SECONDS = 0.1


def current_revision(database: Database) -> str | None:
    """Return the revision that the database is at; None when it holds no tables of Headgate's.

    Looking makes no SQLite file.

    Raises:
        StoreUnavailable: the database did not answer; a retry may help.
    """
    if database.dialect == "sqlite" and not Path(str(database.url.database)).exists():
        return None
    with database._translated(), database.engine.connect().execution_options(headgate_read_only=True) as connection:
        return _read_revision(connection)


def ensure_schema(database: Database, settings: Settings) -> None:
    """Check that the database fits this code; make a new SQLite file ready.

    Raises:
        SchemaOutdated: the database is a server's and empty, or a SQLite file of somebody else's, or older; ``headgate
            db upgrade`` brings it up to date.
        SchemaTooNew: the database was upgraded by a newer Headgate.
    """
    current = current_revision(database)
    if current == HEAD:
        return
    _refuse_newer(database, current)
    if settings.auto_migrate or (current is None and database.dialect == "sqlite" and not _is_of_others(database)):
        upgrade(database)
        return
    state = "holds no tables of Headgate's yet" if current is None else f"is at revision {current}, not {HEAD}"
    raise SchemaOutdated(
        f"The store {database.display_url} {state}.",
        remedy="Run: headgate db upgrade (with --store or HEADGATE_STORE_URL naming this store).",
        current=current,
        head=HEAD,
    )


def upgrade(database: Database, *, back_up: bool = True) -> tuple[str | None, str]:
    """Bring the database to :data:`HEAD`; does nothing when it is there.

    Args:
        back_up: copy an existing SQLite file to ``<file>.<revision>.bak`` first.

    Returns:
        The revisions before and after.

    Raises:
        SchemaTooNew: the database was upgraded by a newer Headgate; nothing was changed.
        StoreUnavailable: the database did not answer, or another process holds the lock; a retry may help.
    """
    from alembic import command

    with database._translated(), _exclusive(database) as connection:
        before = _read_revision(connection)
        if before == HEAD:
            return before, HEAD
        _refuse_newer(database, before)
        if before is not None and back_up and database.dialect == "sqlite":
            _copy_sqlite(Path(str(database.url.database)), before)
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, HEAD


def alembic_config() -> Config:
    """Return the Alembic configuration of the scripts in this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "headgate.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _is_of_others(database: Database) -> bool:
    """Say whether a database has tables and none is Headgate's: a file of another program's is no new store.

    One that was new may hold Headgate's by now, when several processes start together.
    """
    with database.read() as connection:
        tables = sa.inspect(connection).get_table_names()
    return bool(tables) and VERSION_TABLE not in tables


def _refuse_newer(database: Database, current: str | None) -> None:
    if current is not None and current not in _known_revisions():
        raise SchemaTooNew(
            f"The store {database.display_url} is at revision {current}, which this Headgate (revision {HEAD}) "
            "does not know.",
            remedy="Install the Headgate that upgraded it, or a newer one.",
            current=current,
            head=HEAD,
        )


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def _read_revision(connection: Connection) -> str | None:
    try:
        return _recorded_revision(connection)
    except (OperationalError, ProgrammingError):
        # Every driver has its own word for "no such table"; one that can't answer at all fails here again.
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return None
        # Another process has made the table since.
        return _recorded_revision(connection)


def _recorded_revision(connection: Connection) -> str | None:
    version = sa.table(VERSION_TABLE, sa.column("version_num"))
    with connection.begin_nested() if connection.in_transaction() else connection.begin():
        revision: str | None = connection.execute(sa.select(version.c.version_num)).scalar()
    return revision


@contextmanager
def _exclusive(database: Database) -> Iterator[Connection]:
    """Give a connection in a write transaction that no other migrating process shares."""
    if database.dialect == "sqlite":
        with database.engine.begin() as connection:  # BEGIN IMMEDIATE is the lock
            yield connection
        return
    take, release = _lock_statements(database.dialect)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        until = time.monotonic() + _LOCK_SECONDS
        while not lock.execute(take).scalar():
            if time.monotonic() >= until:
                raise StoreUnavailable(
                    f"Another process has been migrating the store for over {_LOCK_SECONDS} s.",
                    remedy="Wait for it to end, or end it; then try again.",
                )
            time.sleep(_LOCK_PAUSE_SECONDS)
        try:
            with database.engine.begin() as connection:
                yield connection
        finally:
            lock.execute(release)


def _lock_statements(dialect: str) -> tuple[sa.TextClause, sa.TextClause]:
    if dialect == "postgresql":
        return (
            sa.text("SELECT pg_try_advisory_lock(:number)").bindparams(number=_LOCK_NUMBER),
            sa.text("SELECT pg_advisory_unlock(:number)").bindparams(number=_LOCK_NUMBER),
        )
    name = f"concat(left(database(), 40), '.{_LOCK_NAME}')"
    return (
        sa.text(f"SELECT GET_LOCK({name}, 0)"),
        sa.text(f"SELECT RELEASE_LOCK({name})"),
    )


def _copy_sqlite(path: Path, revision: str) -> None:
    target = path.with_name(f"{path.name}.{revision}.bak")
    partial = target.with_name(f"{target.name}.part")
    # SQLite's own backup: a plain copy would miss what is still in the write-ahead log.
    original = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    with closing(original) as source, closing(sqlite3.connect(partial)) as copy:
        source.backup(copy)
    shutil.move(partial, target)
