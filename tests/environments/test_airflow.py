"""Headgate beside a real Airflow: a DAG's task runs a project, and the store has the run under the task's name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from headgate.store import open_store
from tests.environments.readme import write_files

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parents[1] / ".ci" / "constraints" / "airflow.txt"


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a migrated database, to be copied: migrating one costs six seconds."""
    home = tmp_path_factory.mktemp("airflow-home")
    _run(["-m", "airflow", "db", "migrate"], {**_machine(), "AIRFLOW_HOME": str(home)})
    return home


@pytest.fixture
def airflow(tmp_path: Path, airflow_home: Path) -> dict[str, str]:
    """The environment of an Airflow of this test's own, its database migrated, phoning nobody."""
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(HERE / "airflow_dag.py", dags)
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copy(airflow_home / "airflow.db", home)
    return {
        **_machine(),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "HEADGATE_STORE_URL": f"sqlite:///{tmp_path}/headgate.db",
        "PROJECT": str(HERE / "project"),
    }


def test_the_versions_are_the_pinned_ones() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE))
    assert {name: version(name) for name in ("apache-airflow", "sqlmodel")} == {
        name: pinned[name] for name in ("apache-airflow", "sqlmodel")
    }


def test_a_dag_runs_a_project(airflow: dict[str, str]) -> None:
    output = _run([f"{airflow['AIRFLOW__CORE__DAGS_FOLDER']}/airflow_dag.py"], airflow)
    said = json.loads(output.rstrip().rpartition("\n")[2])
    assert said["state"] == "success"
    assert said["result"]["metrics"] == {"score": 1.0}
    with open_store(airflow["HEADGATE_STORE_URL"]) as store:
        run = store.runs.get(said["result"]["run_id"])
    assert run.info.status == "FINISHED"
    assert (run.info.context.origin, run.info.context.pipeline) == ("airflow", "headgate_environment")
    assert (run.info.context.task, run.info.context.attempt) == ("train", 1)


def test_the_dag_with_two_tasks_of_the_readme(airflow: dict[str, str]) -> None:
    run_readme_dag("airflow_dag", airflow, called="retraining()")
    with open_store(airflow["HEADGATE_STORE_URL"]) as store:
        champion = store.registry.get_version_by_alias("coin", "champion")
        run = store.runs.get(str(champion.run_id))
    assert (run.info.status, run.info.context.pipeline, run.info.context.task) == ("FINISHED", "retraining", "toss")


def test_the_dag_of_the_readmes_pipeline(airflow: dict[str, str]) -> None:
    run_readme_dag("pipeline_dag", airflow, called="PipelineDag")
    with open_store(airflow["HEADGATE_STORE_URL"]) as store:
        champion = store.registry.get_version_by_alias("coin", "champion")
        assert store.runs.get(str(champion.run_id)).params == {"bias": "0.5"}


def run_readme_dag(name: str, airflow: dict[str, str], *, called: str) -> None:
    """Write the README's files into the folder of DAGs, and test one of its DAGs to a good end.

    Args:
        called: the call that makes the DAG, which the README does not name or names ``dag``.
    """
    folder = Path(airflow["AIRFLOW__CORE__DAGS_FOLDER"])
    write_files(folder)
    file = folder / f"{name}.py"
    text = re.sub(rf"^{re.escape(called)}$", f"dag = {called}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text + '\nif __name__ == "__main__":\n    print(dag.test().state)\n')
    assert _run([str(file)], airflow).rstrip().rpartition("\n")[2] == "success"


def _machine() -> dict[str, str]:
    """The environment without what leads to another Airflow, such as that of the tests beside these."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout
