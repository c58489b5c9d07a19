"""The example flow that two tasks are added to, as its user would run it, on each database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from prefect.flows import load_flow_from_entrypoint

from headgate.prefect.store_access import close_stores
from headgate.store import Store
from tests.plugin.prefect.server import PrefectServer
from tests.services import database_of_its_own

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_server: str
) -> Iterator[str]:
    """URL of a store of this test's own, on each database."""
    monkeypatch.setenv("HEADGATE_AUTO_MIGRATE", "true")
    monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    monkeypatch.setenv("ORDERS_FOLDER", str(tmp_path))
    if request.param == "sqlite":
        monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/headgate.db")
        yield f"sqlite:///{tmp_path}/headgate.db"
        close_stores()
        return
    with database_of_its_own(postgresql_server) as url:
        monkeypatch.setenv("HEADGATE_STORE_URL", url)
        yield url
        close_stores()


def test_two_tasks_are_added_to_a_flow(prefect_server: PrefectServer, store: Store) -> None:
    nightly = load_flow_from_entrypoint(f"{EXAMPLES / 'prefect_existing_flow.py'}:nightly_orders")
    nightly(until=date(2026, 3, 1))
    champion = store.registry.get_version_by_alias("order-forecast", "champion")
    assert champion.version == 1
    run = store.runs.get(str(champion.run_id))
    assert (run.info.context.pipeline, run.info.context.task) == ("nightly-orders", "run_project")

    nightly(until=date(2026, 3, 2))
    assert store.registry.get_version_by_alias("order-forecast", "champion").version == 2


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_it_runs_as_a_script(prefect_server: PrefectServer, store: Store, tmp_path: Path) -> None:
    environment = {**prefect_server.environment, "HEADGATE_STORE_URL": store.url, "ORDERS_FOLDER": str(tmp_path)}
    file = EXAMPLES / "prefect_existing_flow.py"
    ran = subprocess.run([sys.executable, str(file)], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert store.registry.get_version_by_alias("order-forecast", "champion").version == 1
