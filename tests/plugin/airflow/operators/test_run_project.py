"""``RunProjectOperator``: an entry point of a project as a task of a DAG that really runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, setup, task, teardown

from headgate.airflow import RunProjectOperator
from headgate.store import RunContext, Store
from headgate.store.entities import Run
from tests.plugin.airflow.dag_runs import DagRun

# Relative to the DAG's file, which is this one.
PROJECT = "../../../environments/project"
NOW = timedelta(0)

RunDag = Callable[..., DagRun]


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], str]:
    """Make a project with one entry point, ``main``."""

    def make(command: str) -> str:
        (tmp_path / "project").mkdir(exist_ok=True)
        text = "name: screening\nentry_points:\n  main:\n    parameters:\n      rate: {type: float, default: 1}\n"
        (tmp_path / "project" / "MLproject").write_text(f"{text}    command: {command!r}\n")
        return str(tmp_path / "project")

    return make


def run_of(store: Store, ran: DagRun, task_id: str | None, map_index: int = -1) -> Run:
    found = store.runs.find_by_context(RunContext("airflow", ran.dag_id, ran.run_id, task_id, map_index))
    assert found is not None
    return found


def test_a_task_runs_a_project_and_hands_on_a_reference(run_dag: RunDag, store: Store) -> None:
    with DAG("trains", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=PROJECT, parameters={"rate": 0.25})
    ran = run_dag(dag)
    assert ran.states == {"train": "success"}
    reference = ran.xcom("train")
    run = store.runs.get(reference["run_id"])
    assert reference == {
        "run_id": run.info.run_id,
        "status": "FINISHED",
        "metrics": {"score": 0.5},
        "model_ids": [],
        "artifact_uri": run.info.artifact_uri,
        "experiment_id": run.info.experiment_id,
    }
    assert (run.info.name, run.params) == ("train", {"rate": "0.25"})
    assert store.experiments.get(run.info.experiment_id).name == "trains"


def test_it_is_part_of_the_run_of_its_dag_run(run_dag: RunDag, store: Store) -> None:
    with DAG("has_parent", schedule=None) as dag:
        first = RunProjectOperator(task_id="first", project=PROJECT)
        first >> RunProjectOperator(task_id="second", project=PROJECT)
    ran = run_dag(dag)
    parent = run_of(store, ran, None)
    children = store.runs.children(parent.info.run_id)
    assert [child.context.task for child in children] == ["first", "second"]
    assert (parent.info.status, parent.info.name) == ("FINISHED", "has_parent")
    assert parent.info.user_id == "airflow:has_parent (dag_test)"
    assert parent.tags["airflow.run_type"] == "manual"


def test_every_argument_is_a_template(run_dag: RunDag, store: Store) -> None:
    with DAG("templates", schedule=None, params={"rate": 0.75}) as dag:
        RunProjectOperator(
            task_id="train",
            project="{{ '" + PROJECT + "' }}",
            entry_point="{{ 'main' }}",
            parameters={"rate": "{{ params.rate }}"},
            experiment="{{ dag.dag_id }}-of-team",
            env="{{ 'local' }}",
            run_name="{{ ti.task_id }} of {{ dag.dag_id }}",
            tags={"team": "{{ 'screening' }}"},
        )
    run = run_of(store, run_dag(dag), "train")
    assert (run.info.name, run.params) == ("train of templates", {"rate": "0.75"})
    assert run.tags["team"] == "screening"
    assert store.experiments.get(run.info.experiment_id).name == "templates-of-team"


def test_templates_may_be_of_any_type(run_dag: RunDag, store: Store) -> None:
    with DAG("native", schedule=None, render_template_as_native_obj=True, params={"rate": 0.75}) as dag:
        RunProjectOperator(task_id="train", project=PROJECT, parameters="{{ {'rate': params.rate} }}")  # type: ignore[arg-type]
    assert run_of(store, run_dag(dag), "train").params == {"rate": "0.75"}


def test_a_sweep_is_one_run_per_mapped_task(run_dag: RunDag, store: Store) -> None:
    with DAG("sweeps", schedule=None) as dag:
        trained = RunProjectOperator.partial(
            task_id="train", project=PROJECT, map_index_template="rate={{ task.parameters['rate'] }}"
        ).expand(parameters=[{"rate": rate} for rate in (0.1, 0.2, 0.3)])

        @task
        def best(runs: list[dict[str, Any]]) -> str:
            return str(max(runs, key=lambda run: float(run["metrics"]["score"]))["run_id"])

        best(trained.output)
    ran = run_dag(dag)
    assert ran.states == {"train[0]": "success", "train[1]": "success", "train[2]": "success", "best": "success"}
    runs = [run_of(store, ran, "train", index) for index in range(3)]
    assert [run.params["rate"] for run in runs] == ["0.1", "0.2", "0.3"]
    assert [run.info.name for run in runs] == ["train[rate=0.1]", "train[rate=0.2]", "train[rate=0.3]"]
    assert {run.info.parent_run_id for run in runs} == {run_of(store, ran, None).info.run_id}
    assert ran.xcom("best") == runs[2].info.run_id


def test_the_output_is_in_the_log_line_by_line(
    run_dag: RunDag, store: Store, project: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with DAG("talks", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=project("echo epoch 1; echo careful >&2; echo epoch 2"))
    run = run_of(store, run_dag(dag), "train")
    lines = [line for line in capsys.readouterr().out.splitlines() if "RunProjectOperator]" in line]
    assert f"Run {run.info.run_id} (train) in experiment {run.info.experiment_id}" in lines[0]
    said = sorted(line.partition("] ")[2].partition("[")[0].strip() for line in lines[1:])
    assert said == ["careful", "epoch 1", "epoch 2"]


def test_the_entry_point_has_its_variables(run_dag: RunDag, store: Store, project: Callable[[str], str]) -> None:
    command = "test $REGION-$AIRFLOW_CTX_DAG_ID-$AIRFLOW_CTX_TASK_ID-$AIRFLOW_CTX_MAP_INDEX = north-varied-train-0"
    with DAG("varied", schedule=None) as dag:
        RunProjectOperator.partial(task_id="train", project=project(command)).expand(env_vars=[{"REGION": "north"}])
    assert run_dag(dag).states == {"train[0]": "success"}


def test_a_failed_entry_point_spends_a_retry_and_each_try_is_an_attempt(
    run_dag: RunDag, store: Store, project: Callable[[str], str], tmp_path: Path
) -> None:
    flaky = project(f"test -e {tmp_path}/second || (touch {tmp_path}/second; echo no luck; exit 3)")
    with DAG("retries", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=flaky, retries=2, retry_delay=NOW)
    ran = run_dag(dag)
    assert ran.states == {"train": "success"}
    first, second = store.runs.attempts(RunContext("airflow", ran.dag_id, ran.run_id, "train"))
    assert [(info.context.attempt, info.status) for info in (first, second)] == [(1, "FAILED"), (2, "FINISHED")]
    assert second.previous_attempt_id == first.run_id
    assert ran.xcom("train")["run_id"] == second.run_id
    assert [child.run_id for child in store.runs.children(str(second.parent_run_id))] == [second.run_id]


def test_what_a_retry_would_repeat_spends_none(
    run_dag: RunDag, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with DAG("hopeless", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=PROJECT, parameters={"rate": "much"}, retries=5, retry_delay=NOW)
    ran = run_dag(dag)
    assert (ran.state, ran.states) == ("failed", {"train": "failed"})
    assert store.runs.attempts(RunContext("airflow", ran.dag_id, ran.run_id, "train")) == ()
    assert run_of(store, ran, None).info.status == "FAILED"
    assert "Parameter 'rate' of entry point 'main': 'much' is not a number" in capsys.readouterr().out


def test_a_task_that_takes_too_long_is_killed(run_dag: RunDag, store: Store, project: Callable[[str], str]) -> None:
    clock = f"kill -ALRM {os.getpid()}; sleep 600"  # what the clock would send after an hour
    with DAG("slow", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=project(clock), execution_timeout=timedelta(hours=1))
    ran = run_dag(dag)
    assert ran.states == {"train": "failed"}
    assert run_of(store, ran, "train").info.status == "KILLED"


def test_no_reference_where_none_is_wanted(run_dag: RunDag, store: Store) -> None:
    with DAG("silent", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=PROJECT, do_xcom_push=False)
    ran = run_dag(dag)
    assert ran.states == {"train": "success"}
    assert ran.xcom("train") is None


def test_groups_set_up_tear_down_pools_and_callbacks(
    run_dag: RunDag, store: Store, project: Callable[[str], str]
) -> None:
    heard: list[str] = []
    with DAG("everything", schedule=None) as dag:

        @setup
        def rent() -> None:
            return None

        @teardown
        def give_back() -> None:
            return None

        with TaskGroup("night"):
            trained = RunProjectOperator(
                task_id="train",
                project=project("exit 1"),
                pool="default_pool",
                on_failure_callback=lambda context: heard.append(f"{type(context['exception']).__name__}"),
            )
        rented = rent()
        rented >> trained >> give_back().as_teardown(setups=rented)
    ran = run_dag(dag)
    assert ran.states == {"rent": "success", "night.train": "failed", "give_back": "success"}
    assert heard == ["EntryPointFailed"]
    assert run_of(store, ran, "night.train").info.status == "FAILED"
    assert run_of(store, ran, None).info.status == "FAILED"
