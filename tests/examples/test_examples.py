"""Every example runs as its documentation says: through the command line, on a store of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def headgate(home: Path, *words: str, code: int = 0) -> Any:
    """Run a command with the Python of the tests first on PATH; return the JSON document that it prints."""
    environment = {**os.environ, "HEADGATE_HOME": str(home)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, "-m", "headgate.cli", *words, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=home)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else json.loads(done.stderr[done.stderr.index('{\n  "error"') :])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_tumor_screening_promotes_and_then_beats_its_champion(home: Path) -> None:
    project = str(EXAMPLES / "tumor-screening")

    first = headgate(home, "run", project, "--env", "local", "-P", "max_depth=2")["pipeline"]
    second = headgate(home, "run", project, "--env", "local")["pipeline"]

    assert [each["verdict"]["outcome"] for each in (first, second)] == ["pass", "pass"]
    assert second["verdict"]["champion_version"] == 1
    improvement = second["verdict"]["checks"][1]
    assert improvement["actual"] > improvement["champion_value"]
    history = headgate(home, "models", "history", "tumor-screening")["promotions"]
    assert [(each["from_version"], each["to_version"]) for each in history] == [(None, 1), (1, 2)]
    lineage = headgate(home, "lineage", "show", "tumor-screening@champion")
    assert {"dataset", "run", "logged_model", "verdict", "promotion"} <= {node["kind"] for node in lineage["nodes"]}


def test_co2_forecast_keeps_its_champion_in_a_backfill(home: Path) -> None:
    project = str(EXAMPLES / "co2-forecast")

    headgate(home, "run", project, "--env", "local", "--logical-date", "1999-06-01")
    backfill = headgate(home, "run", project, "--env", "local", "--logical-date", "1996-01-01", code=3)["pipeline"]

    assert backfill["verdict"]["outcome"] == "pass"
    assert "earlier logical date" in json.dumps(backfill)
    (promotion,) = headgate(home, "models", "history", "co2-forecast")["promotions"]
    assert promotion["to_version"] == 1


@pytest.mark.parametrize("pipeline", sorted(EXAMPLES.glob("*/pipeline.yaml")), ids=lambda path: path.parent.name)
def test_every_pipeline_can_be_planned(pipeline: Path, home: Path) -> None:
    plan = headgate(home, "plan", str(pipeline))
    assert plan["steps"]
