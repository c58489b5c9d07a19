"""Headgate's core beside whatever this environment holds: run in the core's, in Airflow's and in Prefect's."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from headgate.store import open_store
from headgate.store.settings import Settings
from tests.services import database_of_its_own

PROJECT = Path(__file__).parent / "project"
DECISION = "72b47f63a2276e390aa3e6c0b2e2bf8b90e2d806c375fc1496161ecbd1791154"
"""Of one decision as JSON, byte for byte, in each environment: what a gate says is a matter of records for years."""


def test_every_declared_requirement_is_met() -> None:
    import uv

    checked = subprocess.run(
        [uv.find_uv_bin(), "pip", "check", "--python", sys.executable], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_a_store_opens_on_sqlite_and_on_postgresql(postgresql_server: str, tmp_path: Path) -> None:
    settings = Settings(auto_migrate=True, artifact_root=str(tmp_path))
    with database_of_its_own(postgresql_server) as database:
        for url in (f"sqlite:///{tmp_path}/headgate.db", database):
            with open_store(url, settings=settings) as store:
                assert store.experiments.get_by_name("Default").experiment_id == "0"


def test_a_project_runs_in_this_environment(tmp_path: Path) -> None:
    from headgate.tasks import run_project

    with open_store(f"sqlite:///{tmp_path}/headgate.db") as store:
        result = run_project(str(PROJECT), parameters={"rate": "0.25"}, store=store)
        assert result.status == "FINISHED"
        assert result.metrics == {"score": 0.5}
        assert store.runs.get(result.run_id).params == {"rate": "0.25"}


def test_a_gate_decides_here_as_everywhere(tmp_path: Path) -> None:
    from headgate.store.entities import Metric
    from headgate.tasks import Evidence, decide, decision_json, load_gate

    def measured(value: float) -> tuple[Metric, ...]:
        facts = {"run_id": "a" * 32, "dataset_name": "holdout", "dataset_digest": "feed1234"}
        return tuple(Metric(key, value, 1_000, **facts) for key in ("recall", "accuracy"))

    gate = tmp_path / "gate.yaml"
    gate.write_text(
        "name: screening\nwhen_no_champion: pass\nchecks:\n  all_of:\n"
        "    - {metric: recall, at_least: 0.9, owner: clinic, reason: No tumor may be missed.}\n"
        "    - {metric: accuracy, improves_on: champion, by: 1%}\n"
        "    - {metric: recall, above: 0.95, severity: warn}\n"
    )
    candidate, champion = Evidence("m-2", measurements=measured(0.94)), Evidence("m-1", measurements=measured(0.93))
    verdict = decide(load_gate(gate), candidate, champion, 2_000, model_name="screening", target="@champion")
    said = decision_json(verdict)
    assert hashlib.sha256(said.encode()).hexdigest() == DECISION, said


def test_the_command_line_runs_a_project_and_lists_the_run(tmp_path: Path) -> None:
    store = ["--store", f"sqlite:///{tmp_path}/headgate.db"]
    ran = _headgate("run", str(PROJECT), "-P", "rate=2", "--json", *store)
    assert ran.returncode == 0, ran.stderr
    listed = _headgate("runs", "list", "--json", *store)
    assert [run["status"] for run in json.loads(listed.stdout)["runs"]] == ["FINISHED"]


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="headgate")
    assert command.value == "headgate.cli:main"


def _headgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("headgate")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True)
