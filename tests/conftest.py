"""What every test has: settings of its own, and the database servers it asks for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.services import MARIADB, POSTGRESQL, bring_postgresql, nothing_left_out

if find_spec("hypothesis") is not None:  # beside an orchestrator there is none
    from hypothesis import HealthCheck, settings

    # On a busy machine anything may take long. What else Hypothesis chose for CI, no chance above all, stands.
    settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")

_LEFT_OUT = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _settings_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the machine's Headgate and MLflow settings out of the test, and the test out of the user's home folder."""
    for name in list(os.environ):
        if name.startswith(("HEADGATE_", "MLFLOW_")) and not name.startswith("HEADGATE_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a PostgreSQL database in which a test may create and drop databases of its own."""
    if POSTGRESQL.reachable():
        return POSTGRESQL.url().render_as_string(hide_password=False)
    if nothing_left_out():
        pytest.fail(POSTGRESQL.missing())
    shared_by_workers = tmp_path_factory.getbasetemp().parent
    return bring_postgresql(shared_by_workers / "postgresql")


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    """URL of a MariaDB database in which a test may create and drop databases of its own."""
    if not MARIADB.reachable():
        pytest.fail(MARIADB.missing())
    return MARIADB.url().render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgresql_database(postgresql_server: str) -> Iterator[str]:
    """URL of a migrated PostgreSQL database of this test process; a test that takes it empties it first."""
    from tests.databases import database_of_its_own

    with database_of_its_own(postgresql_server) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_database(mariadb_server: str) -> Iterator[str]:
    """URL of a migrated MariaDB database of this test process; a test that takes it empties it first."""
    from tests.databases import database_of_its_own

    with database_of_its_own(mariadb_server) as url:
        yield url


def pytest_configure(config: pytest.Config) -> None:
    # nohup ignores SIGHUP and a shell's background job SIGINT and SIGQUIT, and what tests start would inherit that.
    defaults = {
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: signal.SIG_DFL,
    }
    for number, default in defaults.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
    if not nothing_left_out() and not MARIADB.reachable():
        config.stash[_LEFT_OUT] = f"every test on MariaDB ({MARIADB.missing()})"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _LEFT_OUT not in config.stash:
        return
    left_out = [item for item in items if _needs_mariadb(item)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _needs_mariadb(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec is not None else ()
    return "mariadb_server" in getattr(item, "fixturenames", ()) or "mariadb" in [p for p in parameters if p]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _LEFT_OUT in config.stash:
        terminalreporter.section("left out")
        terminalreporter.line(config.stash[_LEFT_OUT])
