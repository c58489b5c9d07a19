"""A task around a trivial entry point, beside Airflow's BashOperator

Both run as workers run them: a supervisor, forked from a process that has imported Airflow, forks the process of the
task. Each row is from the start of the supervisor to its end, once by the clock and once in processor time, in which
the load of the machine hardly shows.
"""

from __future__ import annotations

import itertools
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Figure, durations, more_than

MLPROJECT = """\
name: echo
entry_points:
  main:
    command: "echo hello"
"""
DAG_FILE = """\
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from headgate.airflow import RunProjectOperator

with DAG("compared", schedule=None):
    BashOperator(task_id="bash", bash_command="echo hello")
    RunProjectOperator(task_id="headgate", project={project!r})
"""


def measure(repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        _prepare(Path(folder))
        return [
            more_than(ours.what, ours, bash, at_most=300)
            for ours, bash in (
                durations(
                    repeats,
                    (f"RunProjectOperator, {name}", _task("headgate", clock)),
                    (f"BashOperator, {name}", _task("bash", clock)),
                )
                for name, clock in (("echo", time.perf_counter), ("processor time", _processor_seconds))
            )
        ]


def _prepare(folder: Path) -> None:
    for path, text in (("project/MLproject", MLPROJECT), ("dags/compared.py", DAG_FILE)):
        (folder / path).parent.mkdir()
        (folder / path).write_text(text.format(project=str(folder / "project")))
    os.environ.update(
        AIRFLOW_HOME=str(folder),
        AIRFLOW__CORE__DAGS_FOLDER=str(folder / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
        HEADGATE_STORE_URL=f"sqlite:///{folder}/headgate.db",
    )
    from airflow.utils.db import initdb

    initdb()


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _task(task_id: str, clock: Callable[[], float]) -> Callable[[], float]:
    from tests.plugin.airflow.supervised import queue_task, supervise

    numbers = itertools.count()

    def run() -> float:
        instance = queue_task("compared", task_id, run_id=f"manual__{clock.__name__}_{task_id}_{next(numbers)}")
        start = clock()
        task = supervise(instance)
        task.wait()
        seconds = clock() - start
        if task.state != "success":
            raise SystemExit(f"{task_id} is {task.state}:\n{task.log}")
        return seconds

    return run
