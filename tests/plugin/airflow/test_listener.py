"""What Airflow tells of tasks and DAG runs that ended without us ends their runs, and never disturbs Airflow."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task
from airflow.utils.session import create_session

from headgate.airflow import ReapRunsOperator, RunProjectOperator, tracked
from headgate.airflow.identity import TASK_INSTANCE_TAG, TRY_NUMBER_TAG
from headgate.airflow.settling import Heard, Settler, serve, settle
from headgate.airflow.stores_used import conn_id_of
from headgate.store import RunContext, Store, open_store
from headgate.store.clock import now_ms
from headgate.store.entities import RunStatus
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.tasks.task_names import CHAMPION_SUFFIX
from tests.plugin.airflow.dag_runs import DagRun, create_dag_run, serialize
from tests.plugin.airflow.supervised import wait_until

PROJECT = "../../environments/project"
HEARD = Heard("screening", "manual__1", at=1_000, message="Airflow: it is over.", status="FAILED")
TASK = replace(HEARD, status="KILLED", task_id="train", try_number=2, task_instance_id="019a-7")

CHAMPION = f"train{CHAMPION_SUFFIX}"

RunDag = Callable[..., DagRun]


def opened(store: Store, dag_id: str, run_id: str, task: str | None = None, **options: object) -> str:
    work = RunContext("airflow", dag_id, run_id, task)
    return store.runs.open("0", context=work, start_time=500, **options).info.run_id  # type: ignore[arg-type]


def statuses(store: Store, *run_ids: str) -> list[str]:
    return [str(store.runs.get_info(run_id).status) for run_id in run_ids]


def one_task(dag_id: str) -> DAG:
    with DAG(dag_id, schedule=None) as dag:
        RunProjectOperator(task_id="train", project=PROJECT)
    return dag


def waiting_dag_run(dag_id: str, store: Store) -> tuple[DAG, str, str]:
    """Make a DAG run whose task runs somewhere and has opened its runs; return the DAG and the ids of these."""
    from airflow.models.taskinstance import TaskInstance

    dag = one_task(dag_id)
    create_dag_run(dag, "manual__1")
    with create_session() as session:
        instance = session.query(TaskInstance).filter_by(dag_id=dag_id).one()
        instance.state, instance.try_number = "running", 1
        tags = {TASK_INSTANCE_TAG: str(instance.id), TRY_NUMBER_TAG: "1"}
    parent = opened(store, dag_id, "manual__1")
    return dag, parent, opened(store, dag_id, "manual__1", "train", parent_run_id=parent, tags=tags)


def test_a_task_that_is_marked_failed_in_the_ui(
    airflow_database: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.core_api.services.public.task_instances import _emit_state_listener_hooks
    from airflow.models.taskinstance import TaskInstance

    _, parent, run = waiting_dag_run("marked_failed", store)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as in the API server, which calls this
    with create_session() as session:
        instance = session.query(TaskInstance).filter_by(dag_id="marked_failed").one()
        _emit_state_listener_hooks([instance], "failed")
    wait_until(lambda: statuses(store, run) == ["KILLED"], "the process beside the server to end the run")
    assert "manually set" in store.runs.get(run).tags[STATUS_MESSAGE_TAG]
    assert statuses(store, parent) == ["RUNNING"]


@pytest.mark.parametrize(("state", "status"), [("failed", "KILLED"), ("success", "FINISHED")])
def test_a_dag_run_that_is_marked_in_the_ui(airflow_database: None, store: Store, state: str, status: str) -> None:
    from airflow.api_fastapi.core_api.datamodels.dag_run import DagRunMutableStates
    from airflow.api_fastapi.core_api.services.public.dag_run import patch_dag_run_state
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun as Model

    _, parent, run = waiting_dag_run(f"marked_whole_{state}", store)
    with create_session() as session:
        found = session.query(Model).filter_by(dag_id=f"marked_whole_{state}").one()
        dag = DBDagBag().get_latest_version_of_dag(found.dag_id, session=session)
        assert dag is not None
        patch_dag_run_state(dag=dag, dag_run=found, state=DagRunMutableStates(state), session=session)
    assert statuses(store, parent, run) == [status, "KILLED"]


def test_a_store_that_does_not_answer_is_no_problem_of_airflows(
    run_dag: RunDag, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HEADGATE_STORE_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", "/nowhere")
    with DAG("store_is_down", schedule=None) as dag:
        ReapRunsOperator(task_id="reap")
    ran = run_dag(dag)
    assert (ran.state, ran.states) == ("failed", {"reap": "failed"})
    assert caplog.text.count("can't record what Airflow has told") == 2  # of the task, and of the DAG run


def test_a_dag_without_us_is_nobodys_business(run_dag: RunDag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store_file = tmp_path / "untouched.db"
    monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{store_file}")
    with DAG("without_us", schedule=None) as dag:
        EmptyOperator(task_id="nothing")
    assert run_dag(dag).state == "success"
    assert not store_file.exists()


@pytest.mark.parametrize(("fails", "ends"), [(False, ("success", "FINISHED")), (True, ("failed", "FAILED"))])
def test_a_dag_whose_only_run_is_that_of_a_tracked_function(
    run_dag: RunDag, store: Store, fails: bool, ends: tuple[str, str]
) -> None:
    with DAG(f"only_tracked_{fails}", schedule=None) as dag:

        @task
        @tracked
        def train() -> None:
            if fails:
                raise OSError("no space left")

        train()
    ran = run_dag(dag)
    parent = store.runs.find_by_context(RunContext("airflow", ran.dag_id, ran.run_id))
    assert parent is not None
    assert (ran.state, parent.info.status) == ends


def ended(store: Store, ran: DagRun) -> None:
    parent = store.runs.find_by_context(RunContext("airflow", ran.dag_id, ran.run_id))
    assert parent is not None
    assert (ran.state, parent.info.status) == ("success", "FINISHED")


def test_a_dag_whose_connection_is_a_template(run_dag: RunDag, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = f"{store_url}.other"
    monkeypatch.setenv(
        "AIRFLOW_CONN_THE_OTHER", json.dumps({"conn_type": "headgate", "extra": {"store_url": elsewhere}})
    )
    with DAG("connection_is_a_template", schedule=None, params={"store": "the_other"}) as dag:
        RunProjectOperator(task_id="train", project=PROJECT, headgate_conn_id="{{ params.store }}")
        RunProjectOperator.partial(task_id="mapped", project=PROJECT, headgate_conn_id="{{ params.store }}").expand(
            parameters=[{}]
        )
    with DAG("connection_is_mapped", schedule=None) as mapped:
        RunProjectOperator.partial(task_id="train", project=PROJECT).expand(headgate_conn_id=["the_other"])
    with open_store(elsewhere) as other:
        ended(other, run_dag(mapped))
        ran = run_dag(dag)
        ended(other, ran)
    assert ran.xcom("train", key="headgate_conn_ids") == ["the_other"]


def test_which_connection_a_task_of_the_scheduler_uses(airflow_database: None) -> None:
    from airflow.models.dagbag import DBDagBag

    with DAG("connections", schedule=None) as dag:
        RunProjectOperator(task_id="default", project=PROJECT)
        RunProjectOperator(task_id="other", project=PROJECT, headgate_conn_id="other")
        RunProjectOperator(task_id="template", project=PROJECT, headgate_conn_id="{{ var.value.store }}")
        RunProjectOperator.partial(task_id="mapped", project=PROJECT).expand(parameters=[{}])
        RunProjectOperator.partial(task_id="mapped_other", project=PROJECT, headgate_conn_id="other").expand(
            parameters=[{}]
        )
        EmptyOperator(task_id="nothing")
    serialize(dag)
    with create_session() as session:
        scheduled = DBDagBag().get_latest_version_of_dag("connections", session=session)
    assert scheduled is not None
    assert {name: conn_id_of(task) for name, task in scheduled.task_dict.items()} == {
        "default": "headgate_default",
        "other": "other",
        "template": None,
        "mapped": "headgate_default",
        "mapped_other": "other",
        "nothing": None,
    }


def test_only_the_try_that_ended_is_settled(store: Store) -> None:
    tags = {TASK_INSTANCE_TAG: "019a-7", TRY_NUMBER_TAG: "2"}
    run = opened(store, "screening", "manual__1", "train", tags=tags)
    for other in (replace(TASK, try_number=1), replace(TASK, task_instance_id="019a-3"), replace(TASK, map_index=0)):
        assert settle(other) == ()
    assert settle(TASK) == (run,)
    assert statuses(store, run) == ["KILLED"]
    assert settle(TASK) == ()


def test_the_run_of_a_champion_is_settled_with_its_task(store: Store) -> None:
    tags = {TASK_INSTANCE_TAG: "019a-7", TRY_NUMBER_TAG: "2"}
    candidate, champion = (opened(store, "screening", "manual__1", task, tags=tags) for task in ("train", CHAMPION))
    store.runs.finish(candidate, RunStatus.FINISHED)
    other = opened(store, "screening", "manual__1", "train.second", tags=tags)
    assert settle(TASK) == (champion,)
    assert statuses(store, candidate, champion, other) == ["FINISHED", "KILLED", "RUNNING"]


def test_runs_of_a_later_life_of_the_dag_run_are_left_alone(store: Store) -> None:
    parent = opened(store, "screening", "manual__1")
    before = opened(store, "screening", "manual__1", "train", parent_run_id=parent)
    later = opened(store, "screening", "manual__1", "evaluate", parent_run_id=parent)
    store.database.transact(
        lambda connection: connection.exec_driver_sql(f"UPDATE headgate_run SET start_time=2000 WHERE run_id='{later}'")
    )
    assert settle(HEARD) == (before, parent)
    assert statuses(store, parent, before, later) == ["FAILED", "KILLED", "RUNNING"]


def test_the_process_beside_a_server_ends_when_there_is_nothing_to_do(store: Store) -> None:
    parent = opened(store, "screening", "manual__1")
    ours, theirs = socket.socketpair()
    settler = Settler()
    settler._ear = ours
    settler.tell(HEARD)
    serving = threading.Thread(target=serve, args=(theirs, 0.2))
    serving.start()
    serving.join(120)
    assert not serving.is_alive()
    assert statuses(store, parent) == ["FAILED"]
    with pytest.raises(BrokenPipeError):
        ours.send(b"anybody there?")
    ours.close()
    theirs.close()


def test_a_process_that_has_gone_is_started_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[socket.socket] = []
    settler = Settler()

    def start() -> None:
        ours, theirs = socket.socketpair()
        settler._ear = ours
        started.append(theirs)

    monkeypatch.setattr(settler, "_start", start)
    settler.tell(HEARD)
    started[0].close()
    settler.tell(TASK)
    assert started[1].recv(10_000).count(b"\n") == 1
    for end in (started[1], settler._ear):
        assert end is not None
        end.close()


def test_the_reaper_ends_what_nobody_told(run_dag: RunDag, store: Store) -> None:
    forgotten = one_task("forgotten")
    create_dag_run(forgotten, "manual__1")
    with create_session() as session:
        from airflow.models.dagrun import DagRun as Model

        session.query(Model).filter_by(dag_id="forgotten").one().state = "success"
    parent = opened(store, "forgotten", "manual__1")
    lost = opened(store, "forgotten", "manual__1", "train", parent_run_id=parent)
    dead = store.runs.open("0", lease_owner="gone", lease_seconds=1, now=1_000).info.run_id
    unknown = opened(store, "deleted long ago", "manual__1")
    elsewhere = store.runs.open("0", context=RunContext("airflow", "elsewhere", "manual__1")).info.run_id
    with DAG("reaps", schedule=None) as dag:
        ReapRunsOperator(task_id="reap")
    ran = run_dag(dag)
    assert set(ran.xcom("reap")) == {parent, lost, dead, unknown}
    assert statuses(store, parent, lost, dead, unknown) == ["FINISHED", "KILLED", "KILLED", "KILLED"]
    assert statuses(store, elsewhere) == ["RUNNING"]
    assert store.runs.get_info(elsewhere).start_time > now_ms() - 3_600_000
