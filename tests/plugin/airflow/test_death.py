"""However a task dies, its entry point dies with it, its run says so, and the task is never green."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from headgate.store import RunContext, Store
from headgate.store.entities import Run
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from tests.plugin.airflow.supervised import (
    SupervisedTask,
    end_dag_run,
    miss_heartbeat,
    notice_death,
    set_state,
    start_task,
    wait_until,
)

DAG_FILE = """\
from datetime import timedelta
from airflow.sdk import DAG
from headgate.airflow import RunProjectOperator

with DAG({dag_id!r}, schedule=None):
    RunProjectOperator(task_id="train", project={project!r}, {options})
"""
# The entry point does not care for SIGTERM, nor does what it starts.
MLPROJECT = """\
name: stubborn
entry_points:
  main:
    command: "trap '' TERM; echo $$ > {pids}; sleep 600 & echo $! >> {pids}; echo begun; wait; wait; sleep 600"
"""


@dataclass
class Work:
    """A task that runs, and what it has started."""

    task: SupervisedTask
    pids: Path
    store: Store

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

    def nothing_lives(self) -> bool:
        return not any(_alive(int(pid)) for pid in self.pids.read_text().split())


Begin = Callable[..., Work]


@pytest.fixture
def begin(
    request: pytest.FixtureRequest, airflow_database: None, airflow_home: Path, store: Store, tmp_path: Path
) -> Iterator[Begin]:
    """Start a task that would run for ten minutes, and wait until its entry point runs; each call is its next try."""
    started: list[Work] = []
    dag_id = request.node.name.replace("[", "_").replace("]", "")
    dag_file = airflow_home / "dags" / f"{dag_id}.py"

    def start(options: str = "retries=1") -> Work:
        pids, project = tmp_path / "pids", tmp_path / "project"
        project.mkdir(exist_ok=True)
        (project / "MLproject").write_text(MLPROJECT.format(pids=pids))
        dag_file.write_text(DAG_FILE.format(dag_id=dag_id, project=str(project), options=options))
        work = Work(start_task(dag_id, "train", try_number=len(started) + 1), pids, store)
        started.append(work)
        wait_until(lambda: "begun" in work.task.log, f"the entry point to begin:\n{work.task.log}")
        return work

    yield start
    dag_file.unlink(missing_ok=True)
    for work in started:
        if work.task.supervisor.is_alive():
            work.task.supervisor.kill()


def test_a_worker_that_is_told_to_stop(begin: Begin) -> None:
    work = begin()
    work.task.supervisor.terminate()
    work.task.wait()
    assert work.task.state == "up_for_retry"
    wait_until(work.nothing_lives, "the entry point to end")
    assert (work.run.info.status, work.run.tags[STATUS_MESSAGE_TAG]) == ("KILLED", "the process got SIGTERM")


@pytest.mark.oldest_airflow
def test_a_task_that_was_marked_failed_while_it_ran(begin: Begin) -> None:
    work = begin()
    set_state(work.task, "failed")
    work.task.wait()
    assert work.task.state == "failed"
    wait_until(work.nothing_lives, "the entry point to end")
    assert end_dag_run(work.task.dag_id) == "failed"
    assert (work.run.info.status, work.parent.info.status) == ("KILLED", "FAILED")


def test_a_task_that_was_marked_a_success_while_it_ran(begin: Begin) -> None:
    work = begin()
    set_state(work.task, "success")
    work.task.wait()
    wait_until(work.nothing_lives, "the entry point to end")
    assert end_dag_run(work.task.dag_id) == "success"
    assert (work.run.info.status, work.parent.info.status) == ("KILLED", "FINISHED")


def test_a_task_that_ran_for_too_long(begin: Begin) -> None:
    work = begin("execution_timeout=timedelta(hours=1)")
    os.kill(work.task.task_pid, signal.SIGALRM)  # what the clock would send after an hour
    work.task.wait()
    assert work.task.state == "failed"
    wait_until(work.nothing_lives, "the entry point to end")
    assert work.run.info.status == "KILLED"
    assert work.run.tags[STATUS_MESSAGE_TAG].startswith("AirflowTaskTimeout")


def test_a_task_process_that_is_killed(begin: Begin) -> None:
    work = begin("retries=0")
    os.killpg(work.task.task_pid, signal.SIGKILL)
    work.task.wait()
    assert work.task.state == "failed"
    wait_until(work.nothing_lives, "the entry point to end")
    assert end_dag_run(work.task.dag_id) == "failed"
    assert (work.run.info.status, work.parent.info.status) == ("KILLED", "FAILED")


def test_a_retry_after_a_killed_task_process_takes_over(begin: Begin) -> None:
    first = begin()
    os.kill(first.task.task_pid, signal.SIGKILL)
    first.task.wait()
    wait_until(first.nothing_lives, "the entry point to end")
    killed = first.run.info.run_id
    assert first.run.info.status == "RUNNING"  # nobody was left to say otherwise
    notice_death(first.task)
    assert first.task.state == "up_for_retry"
    assert first.run.info.status == "KILLED"
    assert first.run.tags[STATUS_MESSAGE_TAG].startswith("Airflow: the task failed. ")
    second = begin()
    assert (second.run.info.context.attempt, second.run.info.previous_attempt_id) == (2, killed)
    assert second.run.info.parent_run_id == first.parent.info.run_id
    second.task.supervisor.terminate()
    second.task.wait()
    wait_until(second.nothing_lives, "the entry point to end")


@pytest.mark.oldest_airflow
def test_a_supervisor_that_is_killed(begin: Begin) -> None:
    work = begin()
    task_pid = work.task.task_pid
    work.task.supervisor.kill()
    work.task.wait()
    wait_until(lambda: not _alive(task_pid), "the task's process to end")
    wait_until(work.nothing_lives, "the entry point to end")
    assert work.run.info.status == "KILLED"


def test_a_supervisor_that_is_not_heard_of_any_more(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_LEASE_SECONDS", "3")
    first = begin()
    supervisor = psutil.Process(first.task.supervisor.pid)
    supervisor.suspend()
    try:
        killed = first.run.info.run_id
        miss_heartbeat(first.task)
        assert first.task.state == "up_for_retry"
        assert (first.run.info.status, first.parent.info.status) == ("KILLED", "RUNNING")
        assert first.run.tags[STATUS_MESSAGE_TAG].startswith("Airflow: the task failed. ")
        wait_until(first.nothing_lives, "the entry point to end, of which its supervisor knows nothing")
        second = begin()
    finally:
        supervisor.resume()
    first.task.wait()
    assert (second.run.info.status, second.run.info.previous_attempt_id) == ("RUNNING", killed)
    assert second.task.state == "running"
    second.task.supervisor.terminate()
    second.task.wait()
    wait_until(second.nothing_lives, "the entry point to end")


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
