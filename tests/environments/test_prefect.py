"""Headgate beside a real Prefect: a flow's task runs a project, and the store has the run under the task's name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from headgate.store import open_store
from tests.environments.readme import write_files

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parents[1] / ".ci" / "constraints" / "prefect.txt"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's home folder: its first server makes the database, which takes a third of its start."""
    return tmp_path_factory.mktemp("prefect")


def test_the_versions_are_the_pinned_ones() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE))
    assert {name: version(name) for name in ("prefect", "fastapi", "sqlmodel")} == {
        name: pinned[name] for name in ("prefect", "fastapi", "sqlmodel")
    }


def test_a_flow_runs_a_project(tmp_path: Path, home: Path) -> None:
    store_url = f"sqlite:///{tmp_path}/headgate.db"
    said = json.loads(_run_flow(tmp_path, home, store_url).rstrip().rpartition("\n")[2])
    assert said["metrics"] == {"score": 1.0}
    with open_store(store_url) as store:
        run = store.runs.get(said["run_id"])
    assert run.info.status == "FINISHED"
    assert (run.info.context.origin, run.info.context.pipeline) == ("prefect", "headgate-environment")
    assert (run.info.context.task, run.info.context.attempt) == ("train", 1)


def test_the_flow_of_the_readme(tmp_path: Path, home: Path) -> None:
    write_files(tmp_path)
    store_url = f"sqlite:///{tmp_path}/headgate.db"
    _run_flow(tmp_path, home, store_url, tmp_path / "prefect_flow.py")
    with open_store(store_url) as store:
        champion = store.registry.get_version_by_alias("coin", "champion")
        run = store.runs.get(str(champion.run_id))
        assert (run.info.status, run.info.context.pipeline, run.params["bias"]) == ("FINISHED", "retraining", "0.5")
        assert store.runs.open_pipeline_runs("prefect") == ()


def test_the_pipeline_flow_of_the_readme(tmp_path: Path, home: Path) -> None:
    write_files(tmp_path)
    flow = tmp_path / "pipeline_flow.py"
    flow.write_text(flow.read_text() + '\nif __name__ == "__main__":\n    coin()\n')
    store_url = f"sqlite:///{tmp_path}/headgate.db"
    _run_flow(tmp_path, home, store_url, flow)
    with open_store(store_url) as store:
        champion = store.registry.get_version_by_alias("coin", "champion")
        assert store.runs.get(str(champion.run_id)).params == {"bias": "0.5"}


def _run_flow(folder: Path, home: Path, store_url: str, flow: Path = HERE / "prefect_flow.py") -> str:
    """Run the flow against a temporary Prefect server, phoning nobody; return what it printed."""
    machine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {
        **machine,
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "HEADGATE_STORE_URL": store_url,
        "PROJECT": str(HERE / "project"),
    }
    ran = subprocess.run([sys.executable, str(flow)], env=environment, capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout
