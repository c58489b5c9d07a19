"""However a task dies that calls a function of the user's own, its run says so, and the task is never green."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from headgate.store import RunContext, Store
from headgate.store.entities import Run
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from tests.plugin.airflow.supervised import SupervisedTask, end_dag_run, notice_death, set_state, start_task, wait_until

DAG_FILE = """\
from datetime import timedelta
from airflow.sdk import DAG, task
from headgate.airflow import tracked

with DAG({dag_id!r}, schedule=None):

    {decorators}
    def train():
        import time
        print("begun", flush=True)
        try:
            time.sleep(600)
        except Exception:
            pass  # functions that swallow everything exist

    train()
"""
DIES_EARLY = """\
import os
import signal

from airflow.sdk import DAG, get_current_context, task
from headgate.airflow import tracked

@tracked
def fails():
    raise OSError("no space left")

with DAG("dies_early", schedule=None):

    @task(retries=1)
    def train():
        if get_current_context()["ti"].try_number > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        fails()

    train()
"""
DECORATED = "@task.headgate({options})"
WRAPPED = "@task({options})\n    @tracked"


class Work:
    """A task that calls a function which would take ten minutes."""

    def __init__(self, task: SupervisedTask, store: Store) -> None:
        self.task = task
        self.store = store

    @property
    def run(self) -> Run:
        found = self.store.runs.find_by_context(RunContext("airflow", self.task.dag_id, self.task.run_id, "train"))
        assert found is not None
        return found

    @property
    def parent(self) -> Run:
        found = self.store.runs.find_by_context(RunContext("airflow", self.task.dag_id, self.task.run_id))
        assert found is not None
        return found


Begin = Callable[..., Work]


@pytest.fixture
def begin(request: pytest.FixtureRequest, airflow_database: None, airflow_home: Path, store: Store) -> Iterator[Begin]:
    """Start the task, and wait until its function runs."""
    started: list[Work] = []
    dag_id = request.node.name.replace("[", "_").replace("]", "")
    dag_file = airflow_home / "dags" / f"{dag_id}.py"

    def start(decorators: str, options: str = "retries=1") -> Work:
        dag_file.write_text(DAG_FILE.format(dag_id=dag_id, decorators=decorators.format(options=options)))
        work = Work(start_task(dag_id, "train"), store)
        started.append(work)
        wait_until(lambda: "begun" in work.task.log, f"the function to begin:\n{work.task.log}")
        return work

    yield start
    dag_file.unlink(missing_ok=True)
    for work in started:
        if work.task.supervisor.is_alive():
            work.task.supervisor.kill()


@pytest.mark.parametrize("decorators", [DECORATED, WRAPPED], ids=["decorated", "wrapped"])
def test_a_worker_that_is_told_to_stop(begin: Begin, decorators: str) -> None:
    work = begin(decorators)
    work.task.supervisor.terminate()
    work.task.wait()
    assert work.task.state == "up_for_retry"
    assert (work.run.info.status, work.run.tags[STATUS_MESSAGE_TAG]) == ("KILLED", "the process got SIGTERM")


@pytest.mark.parametrize("decorators", [DECORATED, WRAPPED], ids=["decorated", "wrapped"])
def test_a_function_that_ran_for_too_long(begin: Begin, decorators: str) -> None:
    work = begin(decorators, "execution_timeout=timedelta(hours=1)")
    os.kill(work.task.task_pid, signal.SIGALRM)  # what the clock would send after an hour
    work.task.wait()
    assert work.task.state == "failed"
    assert work.run.info.status == "KILLED"
    assert work.run.tags[STATUS_MESSAGE_TAG].startswith("AirflowTaskTimeout")


@pytest.mark.parametrize("decorators", [DECORATED, WRAPPED], ids=["decorated", "wrapped"])
def test_a_supervisor_that_is_killed(begin: Begin, decorators: str) -> None:
    work = begin(decorators)
    process = psutil.Process(work.task.task_pid)
    work.task.supervisor.kill()
    work.task.wait()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the task to end")
    assert work.run.info.status == "KILLED"


@pytest.mark.parametrize("decorators", [DECORATED, WRAPPED], ids=["decorated", "wrapped"])
def test_a_task_process_that_is_killed(begin: Begin, decorators: str) -> None:
    work = begin(decorators, "retries=0")
    os.kill(work.task.task_pid, signal.SIGKILL)
    work.task.wait()
    assert work.task.state == "failed"
    assert end_dag_run(work.task.dag_id) == "failed"
    assert (work.run.info.status, work.parent.info.status) == ("KILLED", "FAILED")


@pytest.mark.parametrize("decorators", [DECORATED, WRAPPED], ids=["decorated", "wrapped"])
def test_a_try_whose_process_was_killed_ends_before_its_retry(begin: Begin, decorators: str) -> None:
    work = begin(decorators)
    os.kill(work.task.task_pid, signal.SIGKILL)
    work.task.wait()
    assert work.run.info.status == "RUNNING"  # nobody was left to say otherwise
    notice_death(work.task)
    assert work.task.state == "up_for_retry"
    assert work.run.info.status == "KILLED"
    assert work.run.tags[STATUS_MESSAGE_TAG].startswith("Airflow: the task failed. ")


@pytest.mark.parametrize("decorators", [DECORATED, WRAPPED], ids=["decorated", "wrapped"])
def test_a_task_that_was_marked_failed_while_it_ran(begin: Begin, decorators: str) -> None:
    work = begin(decorators)
    set_state(work.task, "failed")
    work.task.wait()
    assert work.task.state == "failed"
    assert end_dag_run(work.task.dag_id) == "failed"
    assert (work.run.info.status, work.parent.info.status) == ("KILLED", "FAILED")


def test_a_retry_that_dies_before_it_calls_anything_leaves_no_run_open(
    airflow_database: None, airflow_home: Path, store: Store
) -> None:
    dag_file = airflow_home / "dags" / "dies_early.py"
    dag_file.write_text(DIES_EARLY)
    try:
        first = Work(start_task("dies_early", "train"), store)
        first.task.wait()
        assert first.task.state == "up_for_retry", first.task.log
        assert (first.run.info.status, first.parent.info.status) == ("FAILED", "RUNNING")
        second = start_task("dies_early", "train", try_number=2)
        second.wait()
        assert second.state == "failed", second.log
        assert end_dag_run("dies_early") == "failed"
    finally:
        dag_file.unlink()
    assert (first.run.info.status, first.parent.info.status) == ("FAILED", "FAILED")
