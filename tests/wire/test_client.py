"""The real ``mlflow`` clients through everything that scripts do, in processes of their own.

The newest is this environment's. The oldest 3.x, ``mlflow-skinny`` and ``mlflow-tracing`` have environments of their
own, ``.venv-mlflow-*``, that ``make test-core`` builds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wire.conftest import ServedStore

ROOT = Path(__file__).parents[2]
PARTS = [
    "runs",
    "tables",
    "files",
    "asynchronous",
    "datasets",
    "models",
    "external",
    "automatic",
    "registry",
    "experiments",
    "project",
]
VERSIONS = {"newest": "3.17.", "oldest": "3.0.", "skinny": "3.17."}


def python_of(client: str) -> str:
    """Return the Python of a client's environment."""
    if client == "newest":
        return sys.executable
    python = ROOT / f".venv-mlflow-{client}" / "bin" / "python"
    assert python.exists(), f"The environment of the {client} mlflow client is missing: make test-core builds it."
    return str(python)


def client_said(client: str, script: str, url: str, folder: Path, *parts: str) -> dict[str, Any]:
    """Run a client's script, or parts of it, against a server and return what it found."""
    folder.mkdir()
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1",  # it would import everything again for each model
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # an error is to be seen, not to be tried for minutes
        "GIT_PYTHON_REFRESH": "quiet",
    }
    words = [python_of(client), str(Path(__file__).with_name(script)), *parts]
    ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def assert_all_of_it_worked(client: str, served: ServedStore, folder: Path) -> None:
    said = client_said(client, "client_script.py", served.url, folder)

    assert said["parts"] == PARTS
    assert str(said["mlflow"]).startswith(VERSIONS[client])
    assert list(folder.glob("ml*")) == [], "nothing was written beside the server"
    names = {run.info.name for run in served.store.runs.search([experiment(served, "client")]).items}
    assert {"parent", "child"} <= names


@pytest.mark.parametrize("client", ["newest", "oldest"])
def test_the_real_client_works(client: str, served: ServedStore, tmp_path: Path) -> None:
    assert_all_of_it_worked(client, served, tmp_path / "client")


def test_the_client_without_a_server_works(sqlite_served: ServedStore, tmp_path: Path) -> None:
    assert_all_of_it_worked("skinny", sqlite_served, tmp_path / "client")


def test_the_client_that_only_traces_is_told_at_once_that_traces_are_not_kept(
    sqlite_served: ServedStore, tmp_path: Path
) -> None:
    said = client_said("tracing", "tracing_script.py", sqlite_served.url, tmp_path / "client")

    assert said == {
        "only tracing": True,
        "in": "traced",
        "refused": dict.fromkeys(("search", "tag", "feedback", "expectation"), "ENDPOINT_NOT_FOUND"),
    }
    assert experiment(sqlite_served, "traced")


def experiment(served: ServedStore, name: str) -> str:
    found = served.store.experiments.get_by_name(name)
    assert found is not None
    return found.experiment_id
