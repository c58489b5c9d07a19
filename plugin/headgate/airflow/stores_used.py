"""Which stores a task works with, where its DAG does not say so: noted by the task, read by the listener.

The listener knows a task of Headgate's by its field ``headgate_conn_id``. A function that is ``tracked`` inside of any
other task, and a field that is a template or mapped, tell it nothing: such a task leaves an XCom before it opens a run,
and, as a retry begins by deleting those, a note in its task state where Airflow has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgate.airflow.connection import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context

XCOM_KEY = "headgate_conn_ids"

_STATE_PREFIX = f"{XCOM_KEY}/"
_FIELD = "headgate_conn_id"
# By task instance: its process pushes no store twice.
_noted: dict[str, list[str]] = {}


def conn_id_of(task: Any) -> str | None:
    """Return which connection a task of Headgate's uses; None for any other task, and where that is a template.

    The serialised form of an operator keeps its template fields, and of a mapped one what it was given by ``partial``.
    """
    if task is None or _FIELD not in getattr(task, "template_fields", ()):
        return None
    partial = getattr(task, "partial_kwargs", None) or {}
    said = getattr(task, _FIELD, None) or partial.get(_FIELD) or DEFAULT_CONN_ID
    return None if "{{" in said or "{%" in said else str(said)


def note_store(context: Context, headgate_conn_id: str) -> None:
    """Leave behind that the task that runs is about to work with a store. May run twice."""
    from headgate.airflow.versions import note_over_tries

    noted = _noted.setdefault(str(context["ti"].id), [])
    if headgate_conn_id not in noted:
        noted.append(headgate_conn_id)
        context["ti"].xcom_push(key=XCOM_KEY, value=noted)
        note_over_tries(context, f"{_STATE_PREFIX}{headgate_conn_id}")


def stores_of_dag_run(dag_run: Any) -> set[str]:
    """Return the connections that the tasks of a DAG run noted; not from inside of a task."""
    return _noted_where(dag_run_id=dag_run.id)


def stores_of_task(instance: Any) -> set[str]:
    """Return the connections that a task instance noted; not from inside of a task."""
    return _noted_where(
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        run_id=instance.run_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
    )


def _noted_where(**of: Any) -> set[str]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from headgate.airflow.versions import noted_over_tries

    # Not the session of whoever calls the listener: what goes wrong here must not undo their work.
    with create_session(scoped=False) as session:
        found = session.scalars(select(XComModel.value).filter_by(key=XCOM_KEY, **of)).all()
    by_xcom = {conn_id for noted in found if isinstance(noted, list) for conn_id in noted if isinstance(conn_id, str)}
    return by_xcom | noted_over_tries(_STATE_PREFIX, **of)
