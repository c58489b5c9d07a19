"""The example DAGs: each runs by ``dag.test()``, and in a running Airflow, as its user would run it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from headgate.store import open_store
from headgate.store.settings import Settings
from tests.services import database_of_its_own

if TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.airflow.dag_runs import DagRun
    from tests.plugin.airflow.standalone import Standalone

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(EXAMPLES.glob("airflow_*.py"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ModuleType]:
    """Import an example by its name, from a folder; what it writes goes to a folder of the test's own."""
    monkeypatch.setenv("ORDERS_FOLDER", str(tmp_path))

    def load(name: str, folder: Path = EXAMPLES) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_server: str
) -> Iterator[str]:
    """URL of a store of this test's own, on each database."""
    monkeypatch.setenv("HEADGATE_AUTO_MIGRATE", "true")
    monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    if request.param == "sqlite":
        monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/headgate.db")
        yield f"sqlite:///{tmp_path}/headgate.db"
        return
    with database_of_its_own(postgresql_server) as url:
        monkeypatch.setenv("HEADGATE_STORE_URL", url)
        yield url


def test_two_tasks_are_added_to_a_dag(
    load: Callable[..., ModuleType], run_dag: Callable[..., DagRun], store: Store
) -> None:
    dag = load("airflow_existing_dag").dag
    ran = run_dag(dag)
    assert ran.states == dict.fromkeys(("extract", "report", "train", "promote"), "success")
    champion = store.registry.get_version_by_alias("order-forecast", "champion")
    assert champion.version == ran.xcom("promote")["version"] == 1
    assert champion.run_id == ran.xcom("train")["run_id"]
    assert store.runs.get_info(str(champion.run_id)).context.pipeline == "nightly_orders"

    again = run_dag(dag)
    assert again.xcom("promote")["version"] == 2


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_the_retraining(
    load: Callable[..., ModuleType], run_dag: Callable[..., DagRun], store: Store, tmp_path: Path
) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "dags")
    # The commands run with the Python of the core tests, which has mlflow and scikit-learn.
    python = EXAMPLES.parent / ".venv" / "bin" / "python"
    assert python.exists(), "make environments builds it"
    project = folder / "tumor-screening" / "MLproject"
    text = project.read_text().replace("python_env: python_env.yaml", "")
    project.write_text(text.replace('command: "python ', f'command: "{python} '))

    ran = run_dag(load("airflow_retraining", folder).retraining)

    done = ("prepare", "train", "evaluate", "decide", "doubts", "promote")
    assert ran.states == {
        **dict.fromkeys(done, "success"),
        **dict.fromkeys(("approve", "promote_approved"), "skipped"),
    }
    assert ran.xcom("decide")["warnings"] == []
    champion = store.registry.get_version_by_alias("tumor-screening", "champion")
    assert champion.model_id == ran.xcom("evaluate")["model_id"]


def test_the_examples_in_a_running_airflow(standalone: Standalone) -> None:
    for project in ("order-forecast", "tumor-screening"):
        shutil.copytree(EXAMPLES / project, standalone.dags / project, dirs_exist_ok=True)
    for file in FILES:
        shutil.copy(file, standalone.dags)

    # Each schedule is due once, as its last time has passed when Airflow first sees it.
    nightly = ended_well(standalone, "nightly_orders")
    weekly = ended_well(standalone, "tumor_screening_retraining")
    deployment = ended_well(standalone, "tumor_screening_deployment")

    assert standalone.xcom("nightly_orders", nightly, "promote")["model_name"] == "order-forecast"
    states = {task["task_id"]: task["state"] for task in standalone.tasks("tumor_screening_retraining", weekly)}
    assert states == {
        **dict.fromkeys(("prepare", "train", "evaluate", "decide", "doubts", "promote"), "success"),
        **dict.fromkeys(("approve", "promote_approved"), "skipped"),
    }
    promotion = standalone.xcom("tumor_screening_retraining", weekly, "promote")
    assert standalone.xcom("tumor_screening_deployment", deployment, "roll_out") == {
        "model": "models:/tumor-screening/1",
        "digest": promotion["digest"],
        "promotion": promotion["promotion_id"],
    }


def test_an_example_in_a_running_airflow_with_a_store_on_postgresql(
    standalone: Standalone, postgresql_server: str, tmp_path: Path
) -> None:
    with database_of_its_own(postgresql_server) as url:
        artifacts = str(tmp_path / "artifacts")
        with open_store(url, artifact_root=artifacts, settings=Settings(auto_migrate=True)):
            pass  # a database of a server is migrated before anybody uses it
        extra = {"store_url": url, "artifact_root": artifacts}
        standalone.add_connection("headgate_team", "headgate", extra=extra)
        shutil.copytree(EXAMPLES / "order-forecast", standalone.dags / "order-forecast", dirs_exist_ok=True)
        text = (EXAMPLES / "airflow_existing_dag.py").read_text().replace("nightly_orders", "nightly_orders_of_a_team")
        for operator in ("RunProjectOperator(", "PromoteModelOperator("):
            text = text.replace(operator, f'{operator}headgate_conn_id="headgate_team", ')
        standalone.add_dag("nightly_orders_of_a_team", text)

        run_id = ended_well(standalone, "nightly_orders_of_a_team")

        with open_store(url, artifact_root=artifacts, settings=Settings()) as store:
            champion = store.registry.get_version_by_alias("order-forecast", "champion")
        assert champion.run_id == standalone.xcom("nightly_orders_of_a_team", run_id, "train")["run_id"]


def ended_well(standalone: Standalone, dag_id: str) -> str:
    """Wait until the first run of a DAG has succeeded; return its id."""
    standalone.wait_for_dag(dag_id)
    standalone.wait_until(lambda: bool(standalone.runs(dag_id)), f"{dag_id} runs")
    run_id = str(standalone.runs(dag_id)[0]["dag_run_id"])
    if (state := standalone.wait_for_run(dag_id, run_id)) != "success":
        pytest.fail(f"{dag_id} {run_id} ended as {state}:\n{standalone.report(dag_id, run_id)}")
    return run_id


def test_every_example_dag_is_here_and_is_imported(load: Callable[..., ModuleType]) -> None:
    from airflow.sdk import DAG

    dags = [value for file in FILES for value in vars(load(file.stem)).values() if isinstance(value, DAG)]
    assert {dag.dag_id for dag in dags} >= {
        "nightly_orders",
        "tumor_screening_retraining",
        "tumor_screening_deployment",
    }
