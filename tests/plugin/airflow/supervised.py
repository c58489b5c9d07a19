"""Tasks run as Airflow's workers run them: a supervisor, forked from this process, that forks the task's process.

The supervisor talks to an Execution API inside of itself, over Airflow's real database. What ``dag.test()`` can't show
is shown here: signals, dead processes, heartbeats, and states that somebody sets meanwhile.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest

LONG = 120.0


@dataclass(frozen=True)
class SupervisedTask:
    """A task whose supervisor runs."""

    dag_id: str
    run_id: str
    task_id: str
    supervisor: BaseProcess
    log_file: Path

    @property
    def task_pid(self) -> int:
        """The process that runs the task."""
        (child,) = psutil.Process(self.supervisor.pid).children()
        return child.pid

    def wait(self) -> None:
        """Wait for the supervisor to end."""
        self.supervisor.join(LONG)
        assert self.supervisor.exitcode is not None, f"still running\n{self.log}"

    @property
    def state(self) -> str | None:
        """What Airflow's database says of the task instance."""
        from airflow.utils.session import create_session

        with create_session() as session:
            return _state(_instance(session, self.dag_id, self.run_id, self.task_id))

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""


def start_task(dag_id: str, task_id: str, run_id: str = "manual__1", try_number: int = 1) -> SupervisedTask:
    """Queue a task of a DAG in the DAGs folder, its DAG run made when it is missing, and start its supervisor."""
    return supervise(queue_task(dag_id, task_id, run_id, try_number))


def queue_task(
    dag_id: str, task_id: str, run_id: str = "manual__1", try_number: int = 1, bundle: str = "dags-folder"
) -> Any:
    """Return the workload of a task that a supervisor can start, as the scheduler queues it for an executor.

    Args:
        bundle: whose DAGs are read before that, at its newest version.
    """
    _warm_up()
    _sync_dags(bundle)
    return _queue(dag_id, task_id, run_id, try_number)


def supervise(workload: Any) -> SupervisedTask:
    """Start the supervisor of a task that is queued, with its DAG's file from the version that the workload names."""
    instance = workload.ti
    dag_id, run_id, task_id, try_number = instance.dag_id, instance.run_id, instance.task_id, instance.try_number
    log_file = f"{dag_id}-{run_id}-{task_id}-{try_number}.log"
    fork = multiprocessing.get_context("fork")
    supervisor = fork.Process(target=_supervise, args=(workload, log_file))
    supervisor.start()
    return SupervisedTask(dag_id, run_id, task_id, supervisor, Path(os.environ["AIRFLOW_HOME"], "logs", log_file))


def set_state(task: SupervisedTask, state: str) -> None:
    """Set the state of a task instance in Airflow's database and tell nobody: its supervisor learns it by heartbeat."""
    from airflow.utils.session import create_session

    with create_session() as session:
        _instance(session, task.dag_id, task.run_id, task.task_id).state = state


def notice_death(task: SupervisedTask) -> None:
    """Have Airflow's scheduler do what it does when its executor says that a task's process ended without a word."""
    from airflow.utils.session import create_session

    with _scheduler_of(task) as scheduler:
        with create_session() as session:
            key = _instance(session, task.dag_id, task.run_id, task.task_id).key
        scheduler.executor.change_state(key, "failed", remove_running=True)


def miss_heartbeat(task: SupervisedTask, timeout_seconds: int = 1) -> None:
    """Wait until a task's supervisor has been silent for too long, and have Airflow's scheduler do what it does then.

    Args:
        task: its supervisor is stopped, or dead.
        timeout_seconds: ``[scheduler] task_instance_heartbeat_timeout``.
    """

    def missed() -> bool:
        scheduler._find_and_purge_task_instances_without_heartbeats()
        return bool(scheduler.executor.event_buffer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", str(timeout_seconds))
        with _scheduler_of(task) as scheduler:
            wait_until(missed, "the scheduler to miss the heartbeat")


@contextmanager
def _scheduler_of(task: SupervisedTask) -> Iterator[Any]:
    """Give a scheduler whose executor started a task; in the end it goes through what the executor says."""
    from airflow.callbacks.database_callback_sink import DatabaseCallbackSink
    from airflow.executors.local_executor import LocalExecutor
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.utils.session import create_session

    executor = LocalExecutor()
    executor.callback_sink = DatabaseCallbackSink()
    scheduler: Any = SchedulerJobRunner(Job(), executors=[executor])
    with create_session() as session:
        session.add(scheduler.job)
        session.flush()
        _instance(session, task.dag_id, task.run_id, task.task_id).queued_by_job_id = scheduler.job.id
    yield scheduler
    with create_session() as session:
        scheduler._process_executor_events(executor=executor, session=session)


def end_dag_run(dag_id: str, run_id: str = "manual__1") -> str:
    """Have the DAG run look at its tasks, as the scheduler does, and return its state; its tasks have all ended."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one()
        run.dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
        run.update_state(session=session)
        return str(run.state)


def wait_until(done: Callable[[], object], what: str, seconds: float = LONG) -> None:
    """Wait for something to become true."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


def resume_deferred(task: SupervisedTask) -> None:
    """Do what the triggerer does for a deferred task: run its trigger to its event, and hand that on."""
    import asyncio

    from airflow.models.trigger import Trigger
    from airflow.providers.standard.triggers import hitl
    from airflow.sdk._shared.module_loading import import_string
    from airflow.utils.session import create_session

    client = _warm_up()
    with create_session() as session:
        row = _instance(session, task.dag_id, task.run_id, task.task_id).trigger
        trigger_id, trigger = row.id, import_string(row.classpath)(**row.kwargs)

    async def first() -> Any:
        return await anext(trigger.run())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hitl, "get_hitl_detail_content_detail", lambda ti_id: client.hitl.get_detail_response(ti_id))
        event = asyncio.run(first())
    Trigger.submit_event(trigger_id, event)


@cache
def _warm_up() -> Any:
    """Have the Execution API built and asked once in this process: forks then need not build it again."""
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    client = _client(in_process_api_server())
    wait_until(lambda: _status_of_nothing(client) == HTTPStatus.NOT_FOUND, "the Execution API to start")
    return client


def _status_of_nothing(client: Any) -> int:
    """Ask for a DAG run that there is not; Airflow 3.2 answers before its API has started, with an error of its own."""
    from airflow.sdk.api.client import ServerResponseError

    with pytest.raises(ServerResponseError) as raised:
        client.dag_runs.get_state("no such DAG", "no such run")
    return raised.value.response.status_code


def _client(api: Any) -> Any:
    from airflow.sdk.api.client import Client

    client = Client(base_url=None, token="", dry_run=True, transport=api.transport)
    client.base_url = "http://in-process.invalid./"  # type: ignore[assignment]
    return client


def clear_task(task: SupervisedTask) -> None:
    """Clear a task that has ended, as the button in Airflow's UI does: its DAG run keeps the version of its bundle."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.session import create_session

    with create_session() as session:
        clear_task_instances([_instance(session, task.dag_id, task.run_id, task.task_id)], session)


def _supervise(workload: Any, log_file: str) -> None:
    from airflow import settings
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
    from airflow.sdk.execution_time import supervisor

    supervise_task: Any = getattr(supervisor, "supervise_task", None) or supervisor.supervise  # its name in 3.2
    settings.dispose_orm(do_log=False)  # connections of the process that this one was forked from
    settings.configure_orm()
    api = InProcessExecutionAPI()  # with a thread of its own; the application is the one that stands already
    api._app = supervisor.in_process_api_server().app
    supervise_task(
        ti=workload.ti,
        bundle_info=workload.bundle_info,
        dag_rel_path=workload.dag_rel_path,
        token="",
        client=_client(api),
        log_path=log_file,
    )


def _sync_dags(name: str) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.session import create_session

    with create_session() as session:
        manager = DagBundlesManager()
        manager.sync_bundles_to_db(session=session)
    bundle = manager.get_bundle(name)
    bundle.initialize()
    with pytest.MonkeyPatch.context() as patch:
        # The bag leaves the bundle there; a worker has its own version of it only.
        patch.setattr(sys, "path", [*sys.path])
        bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    assert not bag.import_errors, bag.import_errors
    version: Any = bundle.get_current_version()
    sync_bag_to_db(bag, bundle.name, getattr(version, "version", version))  # 3.2 has plain texts


def _queue(dag_id: str, task_id: str, run_id: str, try_number: int) -> Any:
    from airflow.executors.workloads import ExecuteTask
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from airflow.sdk import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one_or_none()
        if run is None:
            dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
            assert dag is not None
            dag.create_dagrun(
                run_id=run_id,
                run_after=timezone.utcnow(),
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                session=session,
            )
        instance = _instance(session, dag_id, run_id, task_id)
        instance.state = TaskInstanceState.QUEUED
        instance.try_number = try_number
        session.flush()
        return ExecuteTask.make(instance)


def _instance(session: Any, dag_id: str, run_id: str, task_id: str) -> Any:
    from airflow.models.taskinstance import TaskInstance

    return session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id).one()


def _state(instance: Any) -> str | None:
    return None if instance.state is None else str(instance.state)
