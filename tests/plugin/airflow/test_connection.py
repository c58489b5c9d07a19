"""Which store a task writes to: a connection in any of its forms, or the environment; and its secrets stay secret."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import DAG, Connection

from headgate.airflow import HeadgateHook, RunProjectOperator
from headgate.airflow.connection import access_of, open_store_of, store_access
from headgate.store import Store, open_store
from headgate.store.errors import InvalidSettings
from headgate.store.settings import Settings
from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., DagRun]
CANARY = "c4n4ry-s3cr3t"
PROJECT = "../../environments/project"


def connection(**fields: object) -> Connection:
    extra = fields.pop("extra", None)
    return Connection(
        conn_id="headgate_default", conn_type="headgate", extra=None if extra is None else json.dumps(extra), **fields
    )


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (connection(extra={"store_url": "sqlite:////srv/headgate.db"}), "sqlite:////srv/headgate.db"),
        (
            connection(login="ml", password="p@ss/word", extra={"store_url": "postgresql://db/headgate"}),
            "postgresql://ml:p%40ss%2Fword@db/headgate",
        ),
        (connection(password="x", extra={"store_url": "postgresql://ml:y@db/h"}), "postgresql://ml:y@db/h"),
        (connection(host="db", schema="h", login="ml", password="x"), "postgresql://ml:x@db/h"),
        (connection(host="db", port=3306, schema="h", extra={"dialect": "mysql"}), "mysql://db:3306/h"),
        (connection(host="postgresql://db/h", login="ml"), "postgresql://ml@db/h"),
        (
            Connection.from_uri("headgate://ml:p%40ss@db:5433/h?artifact_root=s3%3A%2F%2Fb%2Fp", conn_id="x"),
            "postgresql://ml:p%40ss@db:5433/h",
        ),
        (connection(extra={"artifact_root": "s3://b/p"}), None),
    ],
)
def test_a_connection_in_any_of_its_forms(given: Connection, url: str | None) -> None:
    assert access_of(given).url == url


def test_everything_else_of_a_connection() -> None:
    extra = {"artifact_root": "s3://b/p", "workspace": "team", "s3_secret_access_key": CANARY, "home": ""}
    access = access_of(connection(host="db", extra=extra))
    assert access.artifact_root == "s3://b/p"
    assert access.settings == {"workspace": "team", "s3_secret_access_key": CANARY}
    assert CANARY not in repr(access)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Connection(conn_id="pg", conn_type="postgres", host="db"), "'pg' is of type 'postgres'"),
        (connection(extra={"store_url": "nonsense"}), "can't be read"),
        (connection(host="db", extra={"dialect": "oracle"}), "the dialect 'oracle'"),
        (connection(extra={"store_urll": "sqlite:///x"}), "unknown fields: store_urll"),
    ],
)
def test_a_connection_that_makes_no_store(given: Connection, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words) as caught:
        access_of(given)
    assert caught.value.conn_id == given.conn_id


def test_the_connection_comes_before_the_environment(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/of_the_connection.db"
    monkeypatch.setenv("AIRFLOW_CONN_HEADGATE_DEFAULT", connection(extra={"store_url": url}).as_json())
    with open_store_of() as store:
        assert store.url == url
    monkeypatch.delenv("AIRFLOW_CONN_HEADGATE_DEFAULT")


def test_another_connection_that_is_missing_is_an_error(store_url: str) -> None:
    with pytest.raises(InvalidSettings, match="no Airflow connection 'of_the_team'") as caught:
        store_access("of_the_team")
    assert "airflow connections add of_the_team --conn-type headgate" in caught.value.remedy


def test_without_anything_no_store_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGATE_HOME")
    monkeypatch.setattr("headgate.airflow.connection._said", {})
    with pytest.raises(InvalidSettings, match="the environment names no store either"):
        store_access("headgate_default")


def test_the_hook_opens_the_store_and_tests_it(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HeadgateHook().open_store() as store:
        assert store.url == store_url
    works, message = HeadgateHook().test_connection()
    assert (works, message.startswith("The store at sqlite:///")) == (True, True)
    url = f"postgresql://ml:{CANARY}@127.0.0.1:9/h"
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", connection(extra={"store_url": url, "artifact_root": "/x"}).as_json())
    works, message = HeadgateHook("down").test_connection()
    assert (works, CANARY in message, "did not answer" in message) == (False, False, True)


def test_a_connection_in_airflows_database_serves_tasks_and_listener(
    run_dag: RunDag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models import Connection as Model
    from airflow.utils.session import create_session

    url = f"sqlite:///{tmp_path}/of_the_connection.db"
    with create_session() as session:
        session.add(Model(conn_id="team_store", conn_type="headgate", extra=json.dumps({"store_url": url})))
    with DAG("uses_connection", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=PROJECT, headgate_conn_id="team_store")
    ran = run_dag(dag)
    assert ran.states == {"train": "success"}
    with open_store(url) as store:
        info = store.runs.get_info(ran.xcom("train")["run_id"])
        assert store.runs.get_info(str(info.parent_run_id)).status == "FINISHED"


def test_no_secret_of_the_connection_is_in_any_log_or_record(
    run_dag: RunDag,
    postgresql_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """PostgreSQL takes any password of a user that it trusts: so the canary is in the URL of a store that works."""
    from sqlalchemy import make_url

    from tests.databases import empty

    empty(postgresql_database)
    url = make_url(postgresql_database).set(password=None)
    extra = {
        "store_url": url.render_as_string(hide_password=False),
        "artifact_root": str(tmp_path / "artifacts"),
        "s3_secret_access_key": CANARY + "-s3",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SECRET_STORE", connection(password=CANARY, extra=extra).as_json())
    (tmp_path / "MLproject").write_text("name: curious\nentry_points:\n  main:\n    command: 'env; env >&2; exit 1'\n")
    with DAG("curious", schedule=None) as dag:
        RunProjectOperator(task_id="train", project=str(tmp_path), headgate_conn_id="secret_store")
    ran = run_dag(dag)
    assert ran.states == {"train": "failed"}
    said = capfd.readouterr()
    assert "HEADGATE_STORE_URL=" in said.out  # the entry point did print its environment
    assert CANARY not in said.out + said.err
    with open_store(postgresql_database, artifact_root=str(tmp_path / "artifacts")) as store:
        (experiment,) = [found for found in store.experiments.list().items if found.name == "curious"]
        runs = store.runs.search([experiment.experiment_id]).items
    kept = [path.read_text() for path in (tmp_path / "artifacts").rglob("*.txt")]
    assert kept
    assert CANARY not in "".join([*kept, *map(repr, runs)])


def test_an_engine_survives_the_fork_of_a_task(store: Store) -> None:
    store.experiments.create("before the fork")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, store.experiments.create("in the child").name.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"in the child"
    os.waitpid(pid, 0)
    assert store.experiments.get_by_name("in the child") is not None
    store.experiments.create("after the fork")


def test_every_setting_of_the_form_is_one(store_url: str) -> None:
    from headgate.airflow.provider import _CONNECTION_FORM

    assert set(_CONNECTION_FORM) - {"store_url"} <= set(Settings.model_fields)
