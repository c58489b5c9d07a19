"""Connections that the database has closed while they rested in the pool."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.store import database
from headgate.store.entities import Metric
from headgate.store.errors import StoreUnavailable
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store


def close_connections(store: Store) -> None:
    admin = sa.create_engine(store.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    admin.dispose()


def log(store: Store, run_id: str, step: int) -> None:
    store.metrics.log(run_id, [Metric("m", 0.5, 1_790_000_000_000, step)])


def test_a_connection_that_was_closed_while_it_rested_is_replaced(
    postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_REST_SECONDS", 0.0)
    with open_store(postgresql_database, artifact_root=str(tmp_path), settings=Settings()) as store:
        run_id = store.runs.open("0").info.run_id
        close_connections(store)
        log(store, run_id, 1)
        assert len(store.metrics.history(run_id, "m").items) == 1


def test_a_connection_that_was_closed_in_use_is_an_error_once(
    postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_REST_SECONDS", 3600.0)
    with open_store(postgresql_database, artifact_root=str(tmp_path), settings=Settings()) as store:
        run_id = store.runs.open("0").info.run_id
        close_connections(store)
        with pytest.raises(StoreUnavailable, match="did not answer") as raised:
            log(store, run_id, 1)
        assert raised.value.retryable
        log(store, run_id, 1)
        assert len(store.metrics.history(run_id, "m").items) == 1
