"""People who answer required actions, through the API of Airflow as its user interface does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

PATIENCE = 180.0
_LOOK_SECONDS = 0.1


@dataclass
class Person:
    """Waits, in a thread of their own, for the question of a task, and answers it.

    Args:
        name: of a user of Airflow.
        option: what they choose; empty, they say nothing.
        reason: what they write in the form; None leaves it empty.
        before: done when they see the question, before they answer.
        dialog: what they saw, afterwards.
        refused: the status of the API's answer, if it was none of success.
        failed: why there was no answer at all.
    """

    name: str
    option: str
    reason: str | None = None
    role: str = "admin"
    before: Callable[[], Any] | None = None
    dialog: dict[str, Any] = field(default_factory=dict)
    refused: int | None = None
    failed: BaseException | None = None

    def answers(self, dag_id: str, task_id: str = "approve") -> threading.Thread:
        """Begin to wait for the question of a task in the newest run of a DAG; join the thread for the end."""
        thread = threading.Thread(target=self._answer, args=(dag_id, task_id), name=f"answers-{dag_id}", daemon=True)
        thread.start()
        return thread

    def _answer(self, dag_id: str, task_id: str) -> None:
        try:
            question = waiting(dag_id, task_id)
            assert question is not None, "nobody asked in time"
            self.dialog = question
            if self.before is not None:
                self.before()
            if self.option:
                self.refused = respond(question, self.name, self.option, self.reason, role=self.role)
            assert self.refused is None, f"the answer was refused: {self.refused}"
            if self.option or self.before is not None:
                _see_through(dag_id, task_id)
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread, once the task has ended
            self.failed = error
            _end_parked(dag_id, task_id)


def waiting(dag_id: str, task_id: str, *, seconds: float = PATIENCE) -> dict[str, Any] | None:
    """Return the open question of a task as the API tells it, once its task is parked; None when none comes in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = _asked(
            "GET",
            f"/api/v2/dags/{quote(dag_id)}/dagRuns/~/hitlDetails",
            params={"response_received": False, "task_id": task_id},
            headers=_authorization("admin", "admin"),
        )
        found.raise_for_status()
        parked = [
            each
            for each in found.json()["hitl_details"]
            if each["task_instance"]["state"] in ("awaiting_input", "deferred")
        ]
        if parked:
            return dict(parked[-1])
        time.sleep(_LOOK_SECONDS)
    return None


def respond(question: dict[str, Any], name: str, option: str, reason: str | None, *, role: str = "admin") -> int | None:
    """Answer a question as a user; return the status with which the API refused it, if it did."""
    instance = question["task_instance"]
    where = "/".join(quote(instance[part], safe="") for part in ("dag_id", "dag_run_id", "task_id"))
    dag_id, run_id, task_id = where.split("/")
    answer = _asked(
        "PATCH",
        f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/{instance['map_index']}/hitlDetails",
        json={"chosen_options": [option], "params_input": {} if reason is None else {"reason": reason}},
        headers=_authorization(name, role),
    )
    return None if answer.is_success else answer.status_code


def api(method: str, path: str, body: dict[str, Any]) -> Any:
    """Call Airflow's API as an admin, and return the answer."""
    answer = _asked(method, path, json=body, headers=_authorization("admin", "admin"))
    answer.raise_for_status()
    return answer.json()


def _asked(method: str, path: str, **said: Any) -> Any:
    """Call Airflow's API, again where it failed: its SQLite may be busy with what ``dag.test()`` writes."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = _client().request(method, path, **said)
        if answer.status_code < 500 or time.monotonic() > until:
            return answer
        time.sleep(_LOOK_SECONDS)


def _see_through(dag_id: str, task_id: str) -> None:
    """Wait until an answered task has ended, and wake it where ``dag.test()`` has put it to sleep again.

    An answer wakes a parked task. ``dag.test()`` writes once more that it is parked, when the call that parked it has
    returned; an answer that comes between the two would be waited for without end.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import select, update

    one = TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id
    asleep = (*one, TaskInstance.state == "awaiting_input")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with create_session() as session:
            states = set(session.scalars(select(TaskInstance.state).where(*one)))
            if states <= State.finished:
                return
            if "awaiting_input" in states:
                session.execute(update(TaskInstance).where(*asleep).values(state="scheduled"))
        time.sleep(_LOOK_SECONDS)
    raise AssertionError(f"{dag_id} {task_id} did not end after its answer")


def _end_parked(dag_id: str, task_id: str) -> None:
    """Let a task that nobody will answer fail: ``dag.test()`` would wait for its answer without end."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        parked = TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id
        session.execute(update(TaskInstance).where(*parked).values(state="failed"))


@cache
def _client() -> Any:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    return TestClient(create_app(apps="core"), raise_server_exceptions=False)


def _authorization(name: str, role: str) -> dict[str, str]:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    _client()  # makes the auth manager
    user = SimpleAuthManagerUser(username=name, role=role)
    return {"Authorization": f"Bearer {get_auth_manager().generate_jwt(user)}"}
