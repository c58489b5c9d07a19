"""What a retry is spent on: on infrastructure, and never on a verdict or what else would come out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgate.store.errors import Terminal

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun


# Prefect calls a plain function only: a partial or an object that can be called counts as "no retry".
def retry_infrastructure(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Say whether a retry may help: no for a Terminal error of Headgate's, and in a flow that is over; yes otherwise.

    The ``retry_condition_fn`` of Headgate's tasks; give it to your own tasks that call Headgate.
    """
    error = state.result(raise_on_failure=False)
    return not (isinstance(error, Terminal) or getattr(error, "flow_ended", False))
