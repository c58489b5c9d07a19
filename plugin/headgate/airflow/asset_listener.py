"""Notes in the outbox, once a task has succeeded, that its success told the event of its promotion."""

from __future__ import annotations

import logging
import sys
from typing import Any

from airflow.listeners import hookimpl

_log = logging.getLogger("airflow.task.headgate")


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """Confirm what this process emitted. In most tasks that is nothing, and costs nothing: no module is imported."""
    emitting = sys.modules.get("headgate.airflow.asset_events")
    if emitting is None:
        return
    try:
        emitting.confirm_emitted(task_instance)
    except Exception:  # noqa: BLE001 - a listener must not fail what has succeeded
        # The task has succeeded, and its event is told: a watcher confirms what could not be confirmed here.
        _log.warning("The delivery of an asset event could not be confirmed.", exc_info=True)
