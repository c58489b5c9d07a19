"""What every task of Headgate shares: how it is made, submitted and retried."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE

from headgate.prefect.processes import watch_signals
from headgate.prefect.retries import retry_infrastructure

P = ParamSpec("P")
R = TypeVar("R")

TAG = "headgate"


class HeadgateTask(Task[P, R]):
    """A task whose work is stopped with its flow, also when it was submitted or mapped."""

    if not TYPE_CHECKING:  # Prefect's own overloads stand

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            watch_signals()
            return super().submit(*args, **kwargs)

        def map(self, *args: Any, **kwargs: Any) -> Any:
            watch_signals()
            return super().map(*args, **kwargs)

        def with_options(self, **options: Any) -> Any:
            changed = super().with_options(**options)
            changed.__class__ = type(self)  # Prefect makes a plain task of it
            return changed


def headgate_task(**options: Any) -> Callable[[Callable[P, R]], HeadgateTask[P, R]]:
    """Make a function a task of Headgate's; options are those of a task, all of which ``with_options`` may change.

    Nothing is cached by Prefect: what was done already, the store knows. Retries are spent on infrastructure alone.
    """
    given = {"tags": [TAG], "cache_policy": NO_CACHE, "retry_condition_fn": retry_infrastructure, **options}
    return lambda function: HeadgateTask(function, **given)
