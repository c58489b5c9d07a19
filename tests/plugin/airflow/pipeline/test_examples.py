"""The examples as DAGs: really run, with the Python of the core tests, which has what their scripts import."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headgate.airflow import PipelineDag

if TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., "DagRun"]
ROOT = Path(__file__).parents[4]


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """Copies an example. Its commands run with the Python that has mlflow, scikit-learn and statsmodels."""
    python = ROOT / ".venv" / "bin" / "python"
    assert python.exists(), "make environments builds it"

    def copy(name: str) -> Path:
        folder = Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name))
        project = folder / "MLproject"
        project.write_text(project.read_text().replace('command: "python ', f'command: "{python} '))
        return folder

    return copy


def test_tumor_screening_promotes(store: Store, run_dag: RunDag, example: Callable[[str], Path]) -> None:
    ran = run_dag(PipelineDag(example("tumor-screening"), env="local", schedule=None))
    assert ran.state == "success", ran.states
    promoted = ran.xcom("promotion.promote")
    assert (promoted["version"], promoted["target"]) == (1, "@champion")
    assert promoted["model_id"] in ran.xcom("train.choose")["model_ids"]
    holder = store.promotions.holder("tumor-screening", "@champion")
    assert holder is not None
    assert holder.model_id == promoted["model_id"]


def test_co2_forecast_trains_for_the_logical_date(
    store: Store, run_dag: RunDag, example: Callable[[str], Path]
) -> None:
    dag = PipelineDag(example("co2-forecast"), env="local", schedule=None)
    ran = run_dag(dag, logical_date=datetime(1999, 6, 1, tzinfo=UTC))
    assert ran.state == "success", ran.states
    run = store.runs.get(ran.xcom("train")["run_id"])
    assert run.params["until"] == "1999-06-01T00:00:00+00:00"
    holder = store.promotions.holder("co2-forecast", "@champion")
    assert holder is not None
    assert holder.version == 1
