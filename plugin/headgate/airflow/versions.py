"""The differences between Airflow's versions, and what its public interface does not say: asked for here only.

* 3.3 gives each task a process group of its own and kills that; 3.2 leaves it in the worker's and kills the process.
* 3.3 parks a task that asks somebody as awaiting input, 3.2 defers it. Both keep the question of its first try.
* 3.3 lets the triggers of one store share a stream, and says when it has written their events; 3.2 runs each alone.
* 3.3 keeps what a task notes over its tries; before, nothing that it leaves outlives the try.
* A process of Airflow is a task, a server (scheduler, API server, triggerer) or neither (``dag.test()``, a shell).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.tasks.process import ProcessScope


def process_scope() -> ProcessScope:
    """Return where an entry point is to live, so that whoever kills the task finds it.

    A task that leads its process group is killed with the group: its entry point stays in there. In the group of a
    worker, it would be beside other tasks: there it has a session of its own.
    """
    from headgate.tasks.process import ProcessScope

    return ProcessScope.CALLERS_GROUP if os.getpgrp() == os.getpid() else ProcessScope.OWN_SESSION


def group_documentation(markdown: str) -> dict[str, Any]:
    """Return the argument by which a task group takes its documentation; none where it takes no documentation."""
    from inspect import signature

    from airflow.sdk import TaskGroup

    return {"doc_md": markdown} if "doc_md" in signature(TaskGroup).parameters else {}


def shared_stream_producer() -> type[Any]:
    """Return the base class of a stream that triggers share; where none is shared, any class will do."""
    from importlib.util import find_spec

    if find_spec("airflow.triggers.shared_stream") is None:
        return object
    from airflow.triggers.shared_stream import SharedStreamProducer

    return SharedStreamProducer


def note_over_tries(context: Context, key: str) -> None:
    """Leave a key behind with a task instance, for as long as its DAG run is there. May run twice."""
    state: Any = context.get("task_state_store")
    if state is not None:
        state.set(key, True)


def noted_over_tries(prefix: str, **of: Any) -> set[str]:
    """Return the keys that task instances left behind, without their prefix; not from inside of a task.

    Args:
        of: columns and values of these: ``dag_run_id``, or ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    """
    from importlib.util import find_spec

    if find_spec("airflow.models.task_state_store") is None:
        return set()
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    where = TaskStateStoreModel.key.startswith(prefix, autoescape=True)
    with create_session(scoped=False) as session:
        found = session.scalars(select(TaskStateStoreModel.key).where(where).filter_by(**of)).all()
    return {key.removeprefix(prefix) for key in found}


def in_task() -> bool:
    """Say whether Airflow runs a task in this process; ``dag.test()`` does for as long as one of its tasks runs."""
    return _supervisor_comms() is not None


def in_supervised_task() -> bool:
    """Say whether this process runs a task and nothing else, below a supervisor that is its parent."""
    comms = _supervisor_comms()
    return comms is not None and type(comms).__name__ == "CommsDecoder"


def in_server() -> bool:
    """Say whether this is a server of Airflow's; a task in a worker that a scheduler has forked is none."""
    return os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "server" and not in_task()


def dag_run_state(dag_id: str, run_id: str) -> str | None:
    """Return the state of a DAG run, asked for from inside of a task; None when Airflow knows no such DAG run."""
    from airflow.sdk.api.client import ServerResponseError
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        state: Any = RuntimeTaskInstance.get_dagrun_state(dag_id, run_id)
    except AirflowRuntimeError as error:
        detail: Any = error.error.detail or {}
        if detail.get("status_code") == HTTPStatus.NOT_FOUND:
            return None
        raise
    except ServerResponseError as error:  # in dag.test() nothing stands between the task and the API
        if error.response.status_code == HTTPStatus.NOT_FOUND:
            return None
        raise
    return str(getattr(state, "value", state))


def _supervisor_comms() -> Any:
    # Never imported for the question: a process that runs a task has imported it.
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None)


@contextmanager
def parked_with(**kwargs: Any) -> Iterator[None]:
    """Give a task that parks itself in the block something to resume with, in whichever way it is parked.

    From 3.3 on it awaits input; before, it is deferred to the triggerer.
    """
    from airflow.sdk import exceptions

    kinds = tuple(
        kind for name in ("TaskAwaitingInput", "TaskDeferred") if (kind := getattr(exceptions, name, None)) is not None
    )
    try:
        yield
    except kinds as parked:
        parked.kwargs = {**(parked.kwargs or {}), **kwargs}
        raise


def dialog_shown(operator: Any, context: Context) -> str:
    """Return subject and body of the required action that Airflow shows for a task instance, made when there is none.

    Airflow keeps the text of the first try for all the tries of a task instance, and takes no other.
    """
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    shown: Any = SUPERVISOR_COMMS.send(
        CreateHITLDetailPayload(
            ti_id=context["ti"].id,
            options=operator.options,
            subject=operator.subject,
            body=operator.body,
            defaults=operator.defaults,
            multiple=operator.multiple,
            params=operator.serialized_params,
            assigned_users=operator.assigned_users or [],
        )
    )
    return f"{shown.subject}\n{shown.body}"
