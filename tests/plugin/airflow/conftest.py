"""An Airflow of this test process's own: its home, its migrated database, and DAGs that really run in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.plugin.airflow.standalone import standalone as standalone

if find_spec("airflow") is None:
    collect_ignore_glob = ["*"]
elif TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.airflow.dag_runs import DagRun

# The ids of the tests to come that need the running Airflow.
_TO_COME = pytest.StashKey[set[str]]()

# Airflow reads its settings when it is first imported, which a test module does while it is collected.
HOME = Path(tempfile.mkdtemp(prefix="headgate-airflow-"))
SETTINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__API_AUTH__JWT_SECRET": "for tests only, and long enough for the signature: " + "x" * 32,
}
os.environ.update(SETTINGS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "oldest_airflow: also run beside the oldest Airflow that is allowed")


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """The home folder of this process's Airflow; it goes in the end."""
    (HOME / "dags").mkdir(exist_ok=True)
    yield HOME
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_database(airflow_home: Path) -> None:
    """The metadata database of Airflow, migrated."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a SQLite store of this test's own, which the environment of Airflow's processes names."""
    url = f"sqlite:///{tmp_path}/headgate.db"
    monkeypatch.setenv("HEADGATE_STORE_URL", url)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """The store of this test."""
    from headgate.store import open_store

    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def run_dag(airflow_database: None, store_url: str) -> Callable[..., DagRun]:
    """Run a DAG to its end in this process, with ``dag.test()``: ``run_dag(dag, run_conf=…, logical_date=…)``."""
    from tests.plugin.airflow.dag_runs import run_dag

    return run_dag


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Set apart what Airflow warns of, and share the tests out to pytest's workers.

    Airflow and its server warn of themselves: here only warnings about Headgate's own code are errors. All tests that
    need the running Airflow stay together and come first, because they take longest; the other tests of a file stay
    together. The groups have to stand before pytest-xdist reads them, and the order after pytest-randomly shuffled it:
    hence a wrapper.
    """
    here = Path(__file__).parent
    ours = ("ignore", "error:::headgate", "error::pytest.PytestUnhandledThreadExceptionWarning")
    mine = [item for item in items if here in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.filterwarnings(*ours), append=False)
        item.add_marker(pytest.mark.xdist_group("standalone" if _needs_the_running_airflow(item) else item.path.stem))
    yield
    if getattr(config.option, "loadgroup", False) and not all("@" in item.nodeid for item in mine):
        raise pytest.UsageError("pytest-xdist took no note of the groups: its version does not go with pytest's.")
    items.sort(key=lambda item: not _needs_the_running_airflow(item))
    config.stash[_TO_COME] = {item.nodeid for item in items if _needs_the_running_airflow(item)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Stop the running Airflow after the last test that needs it: idle, it takes time from all the others."""
    running = getattr(item, "funcargs", {}).get("standalone")
    yield
    to_come = item.config.stash[_TO_COME]
    to_come.discard(item.nodeid)
    if running is not None and not to_come:
        running.stop()


def _needs_the_running_airflow(item: pytest.Item) -> bool:
    return "standalone" in getattr(item, "fixturenames", ())
