"""A store that tracked functions find through the environment, in a process that is like new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store.entities import Run
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.tasks import tracking
from headgate.tasks.tracking import active_runs, runs, session


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    """The store that functions log to, to look at what was recorded."""
    for name in ("HEADGATE_RUN_ID", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/headgate.db")
    monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    monkeypatch.chdir(tmp_path)
    with open_store(settings=Settings()) as opened:
        yield opened
    tracking.clear_active_model()
    assert active_runs.innermost() is None
    runs.forget()
    session.forget()


def recorded(store: Store) -> list[Run]:
    """Every run, in the order in which they were made."""
    return sorted(store.runs.search(["0"]).items, key=lambda run: (run.info.start_time, run.info.run_id))


def only_run(store: Store) -> Run:
    (run,) = recorded(store)
    return run


def values(run: Run) -> dict[str, float]:
    return {key: metric.value for key, metric in run.metrics.items()}
