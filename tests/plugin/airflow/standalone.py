"""A real Airflow, started once for all tests that need a scheduler, a triggerer or the user interface.

``airflow standalone`` with the LocalExecutor on loopback, its metadata in PostgreSQL, its DAGs in a folder that tests
drop files into. A test takes the fixture ``standalone`` and speaks to it as a client does, over the REST API.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from headgate.store import Store, open_store
from headgate.store.settings import Settings
from tests.services import database_of_its_own

PATIENCE = 600  # seconds until what Airflow should have done counts as not happening: the machine may be slow and busy
PASSWORDS = {"admin": "admin-of-the-tests", "viewer": "viewer-of-the-tests"}
DONE = ("success", "failed")
TASK_DONE = (*DONE, "upstream_failed", "skipped", "removed")

GUARDIAN = Path(__file__).parents[2] / "guardian.py"
_LOOK_SECONDS = 0.5
_SHOWN_OF_LOG = 6000


@dataclass
class Standalone:
    """A running Airflow and the store that its tasks and its view use.

    Args:
        url: of the API server, without a slash at the end.
        home: ``AIRFLOW_HOME``.
        dags: the folder of DAG files.
        store_url: the store of ``HEADGATE_STORE_URL``.
        artifact_root: the artifacts of ``HEADGATE_ARTIFACT_ROOT``.
        stop: end it before its time, when nobody needs it any more. May run twice.
    """

    url: str
    home: Path
    dags: Path
    store_url: str
    artifact_root: Path
    log: Path
    stop: Callable[[], None] = lambda: None
    _sessions: dict[str, requests.Session] = field(default_factory=dict)

    @cached_property
    def store(self) -> Store:
        """The store that tasks write to; closed at the end of the test run."""
        return open_store(self.store_url, artifact_root=str(self.artifact_root), settings=Settings())

    def token(self, user: str = "admin") -> str:
        """Return a new token of ``admin`` or ``viewer``."""
        asked = {"username": user, "password": PASSWORDS[user]}
        answer = requests.post(f"{self.url}/auth/token", json=asked, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def session(self, user: str = "admin") -> requests.Session:
        """Return a client of the server that is signed in."""
        if user not in self._sessions:
            session = requests.Session()
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {self.token(user)}"
            self._sessions[user] = session
        return self._sessions[user]

    def api(self, method: str, path: str, *, user: str = "admin", **json_body: Any) -> Any:
        """Call ``/api/v2`` and return the answer; a refusal fails the test with what Airflow said."""
        answer = self.session(user).request(method, f"{self.url}/api/v2{path}", json=json_body or None, timeout=60)
        if not answer.ok:
            pytest.fail(f"{method} {path}: {answer.status_code} {answer.text[:_SHOWN_OF_LOG]}")
        return answer.json() if answer.content else None

    def add_dag(self, dag_id: str, source: str | Path) -> None:
        """Put a file into the folder of DAGs and wait until ``dag_id`` is known; its import error fails the test.

        Args:
            dag_id: a DAG that the file defines, unlike any other test's.
            source: the text, or a file to copy.
        """
        text = source.read_text() if isinstance(source, Path) else source
        written = self.dags / f".{dag_id}.new"
        written.write_text(text)
        written.rename(self.dags / f"{dag_id}.py")  # at once: half a file would be an import error
        self.wait_for_dag(dag_id)

    def wait_for_dag(self, dag_id: str) -> None:
        def known() -> bool:
            answer = self.session().get(f"{self.url}/api/v2/dags/{dag_id}", timeout=60)
            if answer.status_code == 404:
                for error in self.api("GET", "/importErrors")["import_errors"]:
                    if error["filename"].endswith(f"{dag_id}.py"):
                        pytest.fail(f"{dag_id} can't be imported:\n{error['stack_trace']}")
            return answer.ok

        self.wait_until(known, f"the DAG {dag_id} is known")

    def add_connection(self, conn_id: str, conn_type: str, **fields: Any) -> None:
        """Add a connection, in place of one with the same id; ``extra`` may be a mapping."""
        if isinstance(fields.get("extra"), Mapping):
            fields["extra"] = json.dumps(fields["extra"])
        self.session().delete(f"{self.url}/api/v2/connections/{quote(conn_id, safe='')}", timeout=60)
        self.api("POST", "/connections", connection_id=conn_id, conn_type=conn_type, **fields)

    def trigger(self, dag_id: str, *, logical_date: str | None = None, **fields: Any) -> str:
        """Start a run of a DAG and return its id; ``fields`` are those of the REST API, such as ``conf``."""
        asked = {"logical_date": logical_date, **fields}
        return str(self.api("POST", f"/dags/{dag_id}/dagRuns", **asked)["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, the oldest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/dags/{dag_id}/dagRuns?order_by=run_after")["dag_runs"]
        return found

    def wait_for_run(self, dag_id: str, run_id: str, states: Collection[str] = DONE) -> str:
        """Wait until a DAG run is in one of ``states``; return which."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}"
        return self._wait_for_state(
            lambda: self.api("GET", path)["state"], states, f"{dag_id} {run_id}", dag_id, run_id
        )

    def run(self, dag_id: str, *, expect: str = "success", **fields: Any) -> str:
        """Start a run of a DAG, wait for its end and return its id; another end than expected fails the test."""
        run_id = self.trigger(dag_id, **fields)
        state = self.wait_for_run(dag_id, run_id)
        if state != expect:
            pytest.fail(f"{dag_id} {run_id} ended as {state}:\n{self.report(dag_id, run_id)}")
        return run_id

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, states: Collection[str], *, map_index: int = -1
    ) -> dict[str, Any]:
        """Wait until a task instance is in one of ``states``; return it."""
        found: dict[str, Any] = {}

        def state() -> str | None:
            found.update(self.task(dag_id, run_id, task_id, map_index=map_index))
            return found["state"]  # type: ignore[no-any-return]

        self._wait_for_state(state, states, f"{dag_id} {run_id} {task_id}", dag_id, run_id)
        return found

    def task(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}"
        found: dict[str, Any] = self.api("GET", path if map_index < 0 else f"{path}/{map_index}")
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a DAG run."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances?limit=100"
        found: list[dict[str, Any]] = self.api("GET", path)["task_instances"]
        return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", f"{path}?map_index={map_index}&deserialize=false")["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, attempt: int = 1) -> str:
        """Return what a try of a task wrote to its log."""
        folder = f"dag_id={dag_id}/run_id={run_id}/task_id={task_id}"
        if map_index >= 0:
            folder += f"/map_index={map_index}"
        file = self.home / "logs" / folder / f"attempt={attempt}.log"
        return file.read_text() if file.exists() else ""

    def report(self, dag_id: str, run_id: str) -> str:
        """Return the states of a run's tasks, and the ends of their logs, for the message of a failed test."""
        parts = []
        for task in self.tasks(dag_id, run_id):
            name = f"{task['task_id']}[{task['map_index']}]"
            parts.append(f"{name} {task['state']} (try {task['try_number']})")
            log = self.task_log(
                dag_id, run_id, task["task_id"], map_index=task["map_index"], attempt=max(task["try_number"], 1)
            )
            if task["state"] != "success":
                parts.append(log[-_SHOWN_OF_LOG:])
        return "\n".join(parts)

    def wait_until(self, condition: Callable[[], bool], what: str, report: Callable[[], str] | None = None) -> None:
        """Wait until a condition holds; fail the test with a report, or the end of Airflow's log, when it won't."""
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                said = self.tail() if report is None else report()
                pytest.fail(f"It did not come to it within {PATIENCE} s that {what}.\n{said}")
            time.sleep(_LOOK_SECONDS)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-_SHOWN_OF_LOG:]

    def _wait_for_state(
        self, read: Callable[[], str | None], states: Collection[str], what: str, dag_id: str, run_id: str
    ) -> str:
        seen: list[str | None] = []

        def there() -> bool:
            seen.append(read())
            if seen[-1] in TASK_DONE and seen[-1] not in states:
                pytest.fail(f"{what} ended as {seen[-1]}, not {', '.join(states)}:\n{self.report(dag_id, run_id)}")
            return seen[-1] in states

        self.wait_until(there, f"{what} is {' or '.join(states)}", lambda: self.report(dag_id, run_id))
        return str(seen[-1])


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory, postgresql_server: str) -> Iterator[Standalone]:
    """A real Airflow for all tests that take it, with the users ``admin`` and ``viewer``; it ends after the last."""
    folder = tmp_path_factory.mktemp("standalone")
    with ExitStack() as stack:
        metadata = stack.enter_context(database_of_its_own(postgresql_server))
        running = stack.enter_context(run_airflow(folder, metadata))
        running.stop = stack.close
        yield running


@contextmanager
def run_airflow(folder: Path, metadata_url: str, **settings: str) -> Iterator[Standalone]:
    """Run ``airflow standalone`` until the context ends.

    Args:
        folder: everything is kept below it.
        metadata_url: an empty database for Airflow's metadata.
        settings: further environment variables.
    """
    dags = folder / "dags"
    dags.mkdir()
    port, *log_ports = _free_ports(3)
    running = Standalone(
        url=f"http://127.0.0.1:{port}",
        home=folder / "airflow",
        dags=dags,
        store_url=f"sqlite:///{folder}/headgate.db",
        artifact_root=folder / "artifacts",
        log=folder / "standalone.log",
    )
    running.home.mkdir()
    (folder / "passwords.json").write_text(json.dumps(PASSWORDS))
    environment = _environment(running, folder, metadata_url, log_ports) | settings
    # The programs of this environment come first: `airflow standalone` starts its parts by the name `airflow`.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, "-I", str(GUARDIAN), sys.executable, "-m", "airflow", "standalone"]
    with running.log.open("wb") as log:
        guardian = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )
    assert guardian.stdin is not None
    try:
        _wait_until_healthy(running, guardian)
        yield running
    finally:
        guardian.stdin.close()
        guardian.wait()
        if "store" in vars(running):
            running.store.close()


def _environment(running: Standalone, folder: Path, metadata_url: str, log_ports: list[int]) -> dict[str, str]:
    machine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW", "HEADGATE_", "MLFLOW_"))
    }
    options = {
        "api": {"host": "127.0.0.1", "port": running.url.rpartition(":")[2], "base_url": running.url, "workers": 1},
        "api_auth": {"jwt_secret": secrets.token_hex(64)},
        "core": {
            "executor": "LocalExecutor",
            "parallelism": 4,
            "dags_folder": running.dags,
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "dagbag_import_timeout": 120,
            "simple_auth_manager_users": "admin:admin,viewer:viewer",
            "simple_auth_manager_passwords_file": folder / "passwords.json",
        },
        "database": {"sql_alchemy_conn": metadata_url, "sql_alchemy_conn_async": metadata_url},
        "dag_processor": {
            # The folder is looked through often; a file that did not change is parsed again rarely.
            "refresh_interval": 2,
            "bundle_refresh_check_interval": 2,
            "min_file_process_interval": 600,
            "dag_file_processor_timeout": 180,
        },
        "headgate": {"poll_interval": 1},
        "logging": {"worker_log_server_port": log_ports[0], "trigger_log_server_port": log_ports[1]},
        # A worker that was killed is missed soon, a slow one is not mistaken for it.
        "scheduler": {"task_instance_heartbeat_timeout": 40, "task_instance_heartbeat_timeout_detection_interval": 5},
        "usage_data_collection": {"enabled": False},
        "workers": {"execution_api_timeout": 30},
    }
    return {
        **machine,
        **{
            f"AIRFLOW__{s}__{name}".upper(): str(value)
            for s, values in options.items()
            for name, value in values.items()
        },
        "AIRFLOW_HOME": str(running.home),
        "HEADGATE_HOME": str(folder / "headgate"),
        "HEADGATE_STORE_URL": running.store_url,
        "HEADGATE_ARTIFACT_ROOT": str(running.artifact_root),
        "PYTHONUNBUFFERED": "1",
    }


def _wait_until_healthy(running: Standalone, guardian: subprocess.Popen[bytes]) -> None:
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")

    def healthy() -> bool:
        if guardian.poll() is not None:
            pytest.fail(f"Airflow did not start:\n{running.tail()}")
        try:
            answer = requests.get(f"{running.url}/api/v2/monitor/health", timeout=60)
        except requests.RequestException:  # nobody listens yet, or answers within the minute
            return False
        return answer.ok and all(answer.json()[part]["status"] == "healthy" for part in parts)

    running.wait_until(healthy, "Airflow is healthy")


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, below those that the system gives to outgoing connections."""
    found: set[int] = set()
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)  # pytest-randomly seeds `random` alike in every process
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return list(found)


def _quoted(run_id: str) -> str:
    return quote(run_id, safe="")
