"""``examples/prefect_retraining.py`` on a real worker: a retraining, and the flow that its promotion starts."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client

from headgate.prefect import promoted
from headgate.store import open_store
from headgate.store.entities import RunContext
from tests.databases import database_of_its_own
from tests.plugin.prefect.pipeline.worker import first_run, running_worker, start, until
from tests.plugin.prefect.projects import GATE, measured
from tests.plugin.prefect.server import PrefectServer

ROOT = Path(__file__).parents[4]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example and its project. Its commands run with the Python that has mlflow and statsmodels."""
    python = ROOT / ".venv" / "bin" / "python"
    assert python.exists(), "make environments builds it"
    shutil.copy(ROOT / "examples" / "prefect_retraining.py", tmp_path)
    folder = Path(shutil.copytree(ROOT / "examples" / "co2-forecast", tmp_path / "co2-forecast"))
    for name, before, after in (
        ("MLproject", 'command: "python ', f'command: "{python} '),
        ("pipeline.yaml", "experiment: co2-forecast\n", "experiment: co2-forecast\nenv: local\n"),
    ):
        text = (folder / name).read_text()
        assert before in text
        (folder / name).write_text(text.replace(before, after))
    return tmp_path


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_promotion_starts_what_follows_it(
    prefect_server: PrefectServer, example: Path, request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    if database == "sqlite":
        _retrain(prefect_server, example, f"sqlite:///{tmp_path}/headgate.db", tmp_path, database)
        return
    with database_of_its_own(request.getfixturevalue("postgresql_server")) as url:
        _retrain(prefect_server, example, url, tmp_path, database)


def _retrain(server: PrefectServer, example: Path, url: str, folder: Path, pool: str) -> None:
    artifacts = str(folder / "artifacts")
    environment = {"HEADGATE_STORE_URL": url, "HEADGATE_ARTIFACT_ROOT": artifacts, "PYTHONPATH": ""}
    with running_worker(server, folder, environment, pool):
        retraining = _deploy(example, "retraining", f"monthly-{pool}", pool)
        followed = _deploy(
            example, "roll_out", f"on-promotion-{pool}", pool, triggers=[promoted("co2-forecast", alias="champion")]
        )
        with get_client(sync_client=True) as client:
            (schedule,) = client.read_deployment(retraining).schedules
            assert schedule.schedule.cron == "0 6 1 * *"
            flow_run = client.create_flow_run_from_deployment(retraining)
        until(flow_run, "COMPLETED")
        rolled_out = until(first_run(followed), "COMPLETED")
        with open_store(url, artifact_root=artifacts) as store:
            parent = store.runs.find_by_context(RunContext("prefect", "co2-forecast", str(flow_run.id)))
            assert parent is not None
            assert parent.tags["prefect.deployment"] == str(retraining)
            (promotion,) = store.promotions.history("co2-forecast", "@champion")
        assert rolled_out.parameters == {
            "model": "co2-forecast",
            "version": promotion.to_version,
            "verdict_id": promotion.verdict_id,
        }
        with get_client(sync_client=True) as client:
            client.delete_deployment(followed)


def test_the_example_serves_what_tells_of_promotions_from_elsewhere(
    prefect_server: PrefectServer, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("prefect.serve", lambda *deployments: served.extend(deployments))
    runpy.run_path(str(example / "prefect_retraining.py"), run_name="__main__")
    assert [(each.flow_name, each.name) for each in served] == [
        ("co2-forecast", "monthly"),
        ("roll-out", "on-promotion"),
        ("promotions-from-elsewhere", "every-minute"),
    ]
    (every_minute,) = served[-1].schedules
    assert every_minute.schedule.interval == timedelta(seconds=60)


def test_a_promotion_from_outside_of_prefect_rolls_out(prefect_server: PrefectServer, example: Path) -> None:
    """Flow runs of the example's two other deployments; the promotion is made in a shell."""
    url, pool = f"sqlite:///{example}/outside.db", "outside"
    with running_worker(prefect_server, example, {"HEADGATE_STORE_URL": url, "PYTHONPATH": ""}, pool):
        followed = _deploy(
            example, "roll_out", f"on-promotion-{pool}", pool, triggers=[promoted("co2-forecast", alias="champion")]
        )
        telling = _deploy(example, "promotions_from_elsewhere", f"every-minute-{pool}", pool)
        until(start(telling), "COMPLETED")  # from now on
        with open_store(url) as store:
            model_id = measured(store, 0.9)
            gate = example / "outside.yaml"
            gate.write_text(json.dumps(GATE))
            promote = ["models", "promote", "co2-forecast", model_id, "--gate", gate, "--to", "@champion"]
            subprocess.run([sys.executable, "-m", "headgate.cli", *promote, "--store", url], check=True)
            (promotion,) = store.promotions.history("co2-forecast", "@champion")
        until(start(telling), "COMPLETED")
        rolled_out = until(first_run(followed), "COMPLETED")
        with get_client(sync_client=True) as client:
            client.delete_deployment(followed)
    assert rolled_out.parameters == {"model": "co2-forecast", "version": 1, "verdict_id": promotion.verdict_id}


def _deploy(example: Path, name: str, deployment: str, pool: str, **options: Any) -> Any:
    flow = Flow.from_source(source=str(example), entrypoint=f"prefect_retraining.py:{name}")
    return flow.to_deployment(deployment, work_pool_name=pool, **options).apply()
