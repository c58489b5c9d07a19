"""One database of the store: its URL, its engine, and transactions.

SQLite runs in WAL mode and takes the write lock when a write transaction begins. A transaction that begins by reading
and then writes would either lose updates or fail at once with "database is locked", whatever the busy timeout is.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    NoSuchModuleError,
    OperationalError,
)

from headgate.store.access import read_url
from headgate.store.dialects import may_retry
from headgate.store.driver_statements import as_sqlalchemys
from headgate.store.errors import InvalidSettings, StoreUnavailable
from headgate.store.settings import Settings

T = TypeVar("T")

# So long a pooled connection may lie there and is still taken for alive; one that is not answers an error then.
_REST_SECONDS = 1.0
_RESTING_SINCE = "headgate_resting_since"

_DRIVERS = {
    "postgres": ("postgresql+psycopg", "psycopg", "postgres"),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgres"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "pymysql", "mysql"),
}
_ATTEMPTS = 6
_SQLITE_REMEDY = (
    "Check that you may write this file and its folder, and that the disk has room; or name another with --store or "
    "HEADGATE_STORE_URL. Then try again."
)
_SERVER_REMEDY = "Check that the database runs and that the store URL is right; then try again."
# Drivers take a password from the query, too: `postgresql://host/database?password=…`.
_SECRET = re.compile("pass|pwd|secret|token", re.IGNORECASE)


def store_url(url: str | None, settings: Settings) -> URL:
    """Return the store's URL with its driver and, for SQLite, an absolute path.

    Args:
        url: what the user said; None takes ``HEADGATE_STORE_URL`` or the SQLite file in the home folder.

    Raises:
        InvalidSettings: the URL can't be read, names a database that is not supported, or its driver is not installed.
    """
    said = url or (settings.store_url.get_secret_value() if settings.store_url else None)
    if said is None:
        return URL.create("sqlite", database=str((settings.home / "headgate.db").expanduser().absolute()))
    parsed = read_url(said, "The store URL")
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_url(parsed)
    if parsed.get_backend_name() in ("http", "https"):
        raise InvalidSettings(
            "The store URL is an HTTP address and names no database: it is the endpoint that a project's code logs to.",
            remedy="Log with headgate.tasks.tracking or mlflow; search, decide and promote outside of the project's "
            "code, or name the store's database.",
        )
    return _server_url(parsed)


def _sqlite_url(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise InvalidSettings(
            "The store URL names a SQLite database in memory, which no other process can see.",
            remedy="Name a file: sqlite:///path/to/headgate.db.",
        )
    return url.set(drivername="sqlite", database=str(Path(url.database).expanduser().absolute()))


def _server_url(url: URL) -> URL:
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise InvalidSettings(
            f"The store can't be kept in {backend!r}.", remedy="Use SQLite, PostgreSQL, MariaDB or MySQL."
        )
    driver, module, extra = _DRIVERS[backend]
    if "+" in url.drivername:
        return url
    if importlib.util.find_spec(module) is None:
        raise InvalidSettings(
            f"The store URL names {backend}, and its driver {module} is not installed.",
            remedy=f"Install it: pip install 'headgate[{extra}]'.",
        )
    return url.set(drivername=driver)


class Database:
    """An engine made on first use, with a transaction for reading and one for writing.

    Args:
        url: as :func:`store_url` returns it.
        settings: busy timeout and durability of SQLite.

    Safe to use from several threads. After a fork the child starts with connections of its own.
    """

    def __init__(self, url: URL, settings: Settings) -> None:
        self.url = url
        self._settings = settings
        self._engine: Engine | None = None

    @property
    def display_url(self) -> str:
        """The URL for people: without the password, in whichever part of it that stands."""
        query = {key: "hidden" if _SECRET.search(key) else value for key, value in self.url.query.items()}
        return self.url.set(query=query).render_as_string(hide_password=True)

    @property
    def dialect(self) -> str:
        return self.url.get_backend_name()

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def close(self) -> None:
        """Close every pooled connection. The database may be used again afterwards."""
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection in a transaction that only reads.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(headgate_read_only=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is committed at the end and undone when an error passes through.

        Raises:
            StoreUnavailable: the database did not answer, or gave up on the transaction.
        """
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @property
    def commits_at_once(self) -> bool:
        """Whether a commit waits for no disk and no server, only now and then for a checkpoint of SQLite's log."""
        return self.dialect == "sqlite" and self._settings.sqlite_synchronous == "NORMAL"

    def transact(self, work: Callable[[Connection], T], *, wait: bool = True) -> T:
        """Run ``work`` in one write transaction; again, from its start, when the database undid it for another's sake.

        Args:
            work: gets the connection; must be safe to run again, as nothing of an undone try remains.
            wait: for SQLite's write lock, as long as the settings say; else somebody who holds it is an error at once.

        Raises:
            StoreUnavailable: the database did not answer, or the last of several tries was undone too.
        """
        if not wait:
            with self._translated(), self.engine.connect() as connection:
                connection = connection.execution_options(headgate_wait=False)
                with connection.begin():
                    return work(connection)
        for attempt in range(1, _ATTEMPTS):
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not may_retry(error):
                    with self._translated():
                        raise
            # Jitter, so that two that collided do not collide again. Not for secrets.
            time.sleep(random.uniform(0.2, 1.0) * 0.02 * 2**attempt)  # noqa: S311
        with self.write() as connection:
            return work(connection)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise StoreUnavailable(
                f"The store at {self.display_url} did not answer: {str(error.orig).rstrip('.')}.",
                remedy=_SQLITE_REMEDY if self.dialect == "sqlite" else _SERVER_REMEDY,
                url=self.display_url,
            ) from error
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            # What has no kind of its own is SQLite's "file is not a database" and "database disk image is malformed".
            raise InvalidSettings(
                f"The store at {self.display_url} can't be used: {error.orig}.",
                remedy="Name another file, or put a backup in its place.",
            ) from error

    def _make_engine(self) -> Engine:
        try:
            if self.dialect == "sqlite":
                engine = self._sqlite_engine()
            else:
                options: dict[str, Any] = {"pool_recycle": 1800}
                if self.dialect in ("mysql", "mariadb"):
                    # MySQL's default takes gap locks, over which concurrent inserts deadlock.
                    options["isolation_level"] = "READ COMMITTED"
                engine = sa.create_engine(self.url, **options)
                _ask_after_rest(engine)
        except (NoSuchModuleError, ImportError) as error:
            raise InvalidSettings(
                f"The driver {self.url.drivername!r} of the store URL is not installed.",
                remedy="Install headgate[postgres] or headgate[mysql], or name an installed driver.",
            ) from error
        # A connection that two processes share garbles both: the child of a fork opens its own.
        os.register_at_fork(after_in_child=partial(_forget_connections, weakref.ref(engine)))
        return engine

    def _sqlite_engine(self) -> Engine:
        file = Path(str(self.url.database))
        if file.is_dir():
            raise InvalidSettings(
                f"The store URL names {file}, which is a folder.",
                remedy="Name a file in it: sqlite:///path/to/headgate.db.",
            )
        folder = file.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSettings(
                f"The folder {folder} of the store can't be made: {error.strerror}.",
                remedy="Name another file with HEADGATE_STORE_URL or --store.",
            ) from error
        engine = sa.create_engine(self.url, connect_args={"timeout": self._settings.busy_timeout})
        pragmas = (
            f"busy_timeout={int(self._settings.busy_timeout * 1000)}",
            "journal_mode=WAL",
            f"synchronous={self._settings.sqlite_synchronous}",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "mmap_size=268435456",
            "case_sensitive_like=ON",
        )

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _: Any) -> None:
            # The driver's own transaction control is switched off: BEGIN is said below.
            connection.isolation_level = None
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            said = "BEGIN" if options.get("headgate_read_only", False) else "BEGIN IMMEDIATE"
            wait = options.get("headgate_wait", True)
            driver: Any = connection.connection.driver_connection
            try:
                if not wait:
                    driver.execute("PRAGMA busy_timeout=0")
                driver.execute(said)
            except sqlite3.Error as error:
                raise as_sqlalchemys(connection, said, error) from error
            finally:
                if not wait:
                    driver.execute(f"PRAGMA {pragmas[0]}")

        return engine


def _ask_after_rest(engine: Engine) -> None:
    """Ask a pooled connection that has rested whether it still stands, before it is used.

    SQLAlchemy's ``pool_pre_ping`` asks every time, in three round trips; one that writes metrics has five of its own.
    """

    @event.listens_for(engine, "checkin")
    def _rest(_: Any, record: Any) -> None:
        record.info[_RESTING_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, record: Any, _: Any) -> None:
        since = record.info.get(_RESTING_SINCE)
        if since is None or time.monotonic() - since < _REST_SECONDS:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            alive = False
        if not alive:
            raise InvalidatePoolError("the database closed the connection")


def _forget_connections(reference: weakref.ref[Engine]) -> None:
    engine = reference()
    if engine is not None:
        engine.dispose(close=False)
