"""Links from a task instance to what it made: its run, or its verdict.

Airflow asks for a link when the task ends, in the worker, and keeps the answer. What a task did not come to, such as a
verdict when the store was down, has no page: the link then leads to the task instance's own tab. So does that of a task
that works with another store than the one that the pages show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.airflow.references import REFERENCE_KEY
from headgate.airflow.tabs import NAV_ROUTE, PREFIX, TASK_INSTANCE_ROUTE

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import RuntimeTaskInstanceProtocol


class RunLink(BaseOperatorLink):
    """To the run that a task recorded."""

    name = "Headgate run"
    xcom_key = "headgate_run_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return _page(operator, ti_key, "run_id", "runs")


class VerdictLink(BaseOperatorLink):
    """To the verdict that a gate gave, or by which a task promoted."""

    name = "Headgate verdict"
    xcom_key = "headgate_verdict_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return _page(operator, ti_key, "verdict_id", "verdicts")


def _page(operator: BaseOperator, instance: RuntimeTaskInstanceProtocol, name: str, folder: str) -> str:
    """Return where, within Airflow's user interface, the thing is shown that a task's XCom names."""
    base = _base_path()
    # A task that calls a function hands on what that returned; the reference to its run stands beside it.
    shown = getattr(operator, "headgate_conn_id", DEFAULT_CONN_ID) == DEFAULT_CONN_ID
    for key in ("return_value", REFERENCE_KEY) if shown else ():
        reference = instance.xcom_pull(task_ids=instance.task_id, map_indexes=_index(instance), key=key)
        if isinstance(reference, Mapping) and reference.get(name):
            # Airflow shows below a view's own address whatever path is within its frame.
            return f"{base}/plugin/{NAV_ROUTE}{base}{PREFIX}/{folder}/{_quoted(reference[name])}"
    parts = f"dags/{_quoted(instance.dag_id)}/runs/{_quoted(instance.run_id)}/tasks/{_quoted(instance.task_id)}"
    mapped = f"/mapped/{_index(instance)}" if _index(instance) >= 0 else ""
    return f"{base}/{parts}{mapped}/plugin/{TASK_INSTANCE_ROUTE}"


def _index(instance: RuntimeTaskInstanceProtocol) -> int:
    return -1 if instance.map_index is None else instance.map_index


def _base_path() -> str:
    from airflow.sdk.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def _quoted(text: str) -> str:
    return quote(text, safe="")
