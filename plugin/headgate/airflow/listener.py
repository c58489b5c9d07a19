"""Hears from Airflow which tasks and DAG runs have ended, and has their runs ended where they did not do it themselves.

Where Airflow calls it: in the process of a task when that fails; in the API server when somebody sets a state by hand;
in the scheduler when a DAG run ends, and when a task died without a word. Whatever goes wrong here is logged, and never
Airflow's problem.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow.listeners import hookimpl

from headgate.airflow.settling import Heard, Settler, settle
from headgate.airflow.stores_used import conn_id_of, stores_of_dag_run, stores_of_task
from headgate.airflow.task_ids import CLOSE_TASK
from headgate.airflow.versions import in_server, in_task
from headgate.store.errors import HeadgateError

log = logging.getLogger(__name__)

_UNTOLD = "Headgate can't record what Airflow has told, ReapRunsOperator will"
_BY_HAND = "manually set"
# By process id: a fork must not speak through the socket of the process that it came from.
_settlers: dict[int, Settler] = {}


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    _guarded(lambda: _task_ended(task_instance, f"Airflow: the task failed. {error or ''}".strip()))


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    if previous_state is None:  # set by hand; a task that succeeds has ended its run
        _guarded(lambda: _task_ended(task_instance, "Airflow: the task was marked as a success while it ran."))


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    if previous_state is None:
        _guarded(lambda: _task_ended(task_instance, "Airflow: the task was marked as skipped while it ran."))


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    _guarded(lambda: _dag_run_ended(dag_run, "FINISHED", msg))


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    killed = _BY_HAND in msg or msg == "timed_out"
    _guarded(lambda: _dag_run_ended(dag_run, "KILLED" if killed else "FAILED", msg))


def _task_ended(instance: Any, message: str) -> None:
    known = conn_id_of(_task_of(instance))
    # From inside of a task nobody can be asked; there, what is tracked has ended its run itself.
    noted = set() if in_task() else stores_of_task(instance)
    map_index = instance.map_index
    heard = Heard(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        at=time.time_ns() // 1_000_000,
        message=message.partition("\n")[0],
        task_id=instance.task_id,
        map_index=-1 if map_index is None else map_index,
        try_number=instance.try_number,
        task_instance_id=str(instance.id),
    )
    for conn_id in sorted(noted if known is None else {known, *noted}):
        _tell(replace(heard, conn_id=conn_id))


def _dag_run_ended(dag_run: Any, status: str, message: str) -> None:
    at = time.time_ns() // 1_000_000
    dag = getattr(dag_run, "dag", None)
    tasks = {} if dag is None else dag.task_dict
    known = {found for task in tasks.values() if (found := conn_id_of(task)) is not None}
    for conn_id in sorted(known | stores_of_dag_run(dag_run)):
        heard = Heard(dag_run.dag_id, dag_run.run_id, at, f"Airflow: {message}", conn_id, status)
        _tell(replace(heard, closes_itself=CLOSE_TASK in tasks))


def _tell(heard: Heard) -> None:
    if not in_server():
        settle(heard)
        return
    _settlers.setdefault(os.getpid(), Settler()).tell(heard)


def _guarded(hear: Callable[[], None]) -> None:
    try:
        hear()
    except HeadgateError as error:
        log.error("%s: %s", _UNTOLD, error)  # noqa: TRY400 - says it all
    except Exception:
        log.exception(_UNTOLD)


def _task_of(instance: Any) -> Any:
    """Return the task of a task instance: the API server has only the instance, and its DAG in the database."""
    task = getattr(instance, "task", None)
    if task is not None:
        return task
    version = getattr(instance, "dag_version", None)
    if version is None or version.serialized_dag is None:
        return None
    return version.serialized_dag.dag.task_dict.get(instance.task_id)
