"""A store that the client finds through the environment, and scripts in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headgate.store.store import Store, open_store
from headgate.tasks import tracking
from headgate.tasks.tracking import active_runs, runs, session

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about its own type hints
    import mlflow.pyfunc  # noqa: F401

RunScript = Callable[..., str]


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let the client start anew, as in a new process, with a store below the test's folder."""
    monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/headgate.db")
    monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    monkeypatch.chdir(tmp_path)
    yield
    tracking.clear_active_model()
    while active_runs.innermost() is not None:
        tracking.end_run("KILLED")
    runs.forget()
    session.forget()


@pytest.fixture
def store(_a_process_of_its_own: None) -> Iterator[Store]:
    """The same store, to look at what was recorded."""
    with open_store() as opened:
        yield opened


@pytest.fixture
def given_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that was opened for this process, as ``headgate run`` does."""
    experiment = store.experiments.get_or_create("screening")
    run = store.runs.open(experiment.experiment_id, name="train")
    monkeypatch.setenv("HEADGATE_RUN_ID", run.info.run_id)
    monkeypatch.setenv("HEADGATE_EXPERIMENT_ID", experiment.experiment_id)
    return run.info.run_id


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Run a script against the test's store and return what it prints."""

    def run(script: str, *, code: int = 0, **environment: str) -> str:
        file = tmp_path / "script.py"
        file.write_text(f"from headgate.tasks import tracking\n{script}")
        done = subprocess.run(
            [sys.executable, str(file)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    return run
