"""A Prefect of this test process's own: its home, its server, and flows that really run against it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if find_spec("prefect") is None:
    collect_ignore_glob = ["*"]
else:
    from tests.plugin.prefect.server import SETTINGS, PrefectServer, running_server

    # Prefect reads its settings when it is first imported, which a test module does while it is collected.
    HOME = Path(tempfile.mkdtemp(prefix="headgate-prefect-"))
    os.environ.update({**SETTINGS, "PREFECT_HOME": str(HOME / "home")})

if TYPE_CHECKING:
    from headgate.store.store import Store


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[PrefectServer]:
    """The server of this test process; flows that are called in the test run against it.

    A sync flow ends a second faster without Prefect's heartbeats, which wait for their thread.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with (
        running_server(HOME) as server,
        temporary_settings({PREFECT_API_URL: server.api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield server
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a SQLite store of this test's own, which the environment of flows names."""
    from headgate.prefect.store_access import close_stores

    url = f"sqlite:///{tmp_path}/headgate.db"
    monkeypatch.setenv("HEADGATE_STORE_URL", url)
    yield url
    close_stores()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """The store of this test."""
    from headgate.store import open_store

    with open_store(store_url) as opened:
        yield opened


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "oldest_prefect: also run beside the oldest Prefect that is allowed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set apart what Prefect warns of: here only warnings about Headgate's own code are errors."""
    here = Path(__file__).parent
    ours = ("ignore", "error:::headgate", "error::pytest.PytestUnhandledThreadExceptionWarning")
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(*ours), append=False)
