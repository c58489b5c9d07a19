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


def test_the_demo_promotes_and_then_beats_its_champion(home: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(home)}
    done = subprocess.run(
        [EXAMPLES / "demo.sh"], env=environment, capture_output=True, text=True, check=False, cwd=home
    )
    assert done.returncode == 0, done.stderr

    (store,) = home.glob("headgate-demo.*")
    history = headgate(store, "models", "history", "tumor-screening")["promotions"]
    assert [(each["from_version"], each["to_version"]) for each in history] == [(None, 1), (1, 2)]
    verdicts = [headgate(store, "gate", "explain", each["verdict_id"]) for each in history]
    assert [each["outcome"] for each in verdicts] == ["pass", "pass"]
    assert verdicts[1]["champion_version"] == 1
    improvement = verdicts[1]["checks"][1]
    assert improvement["actual"] > improvement["champion_value"]
    lineage = headgate(store, "lineage", "show", "tumor-screening@champion")
    assert {"dataset", "run", "logged_model", "verdict", "promotion"} <= {node["kind"] for node in lineage["nodes"]}
    last = done.stdout[done.stdout.rindex("gate explain") :]  # what it ends with
    for shown in (
        f"PASS: gate tumor-screening on {verdicts[1]['candidate_model_id']}",
        "models history",
        "lineage show",
    ):
        assert shown in last
    assert f"HEADGATE_HOME={store}" in last


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
