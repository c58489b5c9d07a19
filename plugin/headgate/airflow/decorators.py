"""``@task.headgate``: a Python function as a task whose every try is a recorded run.

The arguments become params; numbers in a mapping that the function returns become metrics, models LoggedModels and
``pathlib.Path`` objects artifacts. Inside of the function, ``headgate.tasks.tracking`` and ``mlflow.*`` log to the run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from headgate.airflow.connection import DEFAULT_CONN_ID
from headgate.airflow.links import RunLink
from headgate.airflow.operators.base import StoreTask
from headgate.tasks.functions.returns import checked_returns

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator

    from headgate.store.store import Store
    from headgate.tasks.functions.tracked import Options, Place


class HeadgateDecoratedOperator(StoreTask, DecoratedOperator, PythonOperator):
    """Call a function, and record the call as a run below the run of its DAG run.

    Args:
        python_callable, op_args, op_kwargs: the function and its arguments, as ``@task`` gives them.
        headgate_conn_id: of the connection that names the store.
        experiment: its name; made when it is missing. None is the DAG's id.
        run_name: None is the task's id, with the label of a mapped one.
        tags: of the run.
        environment: lead ``mlflow.*`` and child processes to the run by variables of the task's process.
        returns: what the task hands on, see :class:`headgate.tasks.functions.returns.Returns`.
    """

    template_fields: Sequence[str] = (
        *PythonOperator.template_fields,
        *("headgate_conn_id", "experiment", "run_name", "tags"),
    )
    custom_operator_name = "@task.headgate"
    operator_extra_links = (RunLink(),)
    ui_color = "#e3f2ec"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        headgate_conn_id: str = DEFAULT_CONN_ID,
        experiment: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        environment: bool = True,
        returns: str = "auto",
        **kwargs: Any,
    ) -> None:
        upstream = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(
            python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, kwargs_to_upstream=upstream, **kwargs
        )
        self.headgate_conn_id = headgate_conn_id
        self.experiment = experiment
        self.run_name = run_name
        self.tags = tags
        self.environment = environment
        self.returns = returns
        checked_returns(returns)

    def execute(self, context: Context) -> Any:
        """Call the function; how the task may end is said at :meth:`StoreTask.at_work`."""
        self._context = context
        # What Airflow adds to these by name (``ti``, ``ds``, …) is the task's surroundings, and no params.
        self._said = frozenset(self.op_kwargs)
        with self.at_work(context):
            return super().execute(context)

    def execute_callable(self) -> Any:
        """Call the function as a recorded run, by Airflow's own means: it may yield asset metadata, too."""
        from headgate.airflow.tracked import handed_on
        from headgate.tasks.functions.tracked import call_tracked

        @functools.wraps(self.python_callable)
        def calling(*_: Any, **__: Any) -> Any:
            return super(HeadgateDecoratedOperator, self).execute_callable()

        with self.open_store() as store:
            called = call_tracked(calling, self.op_args, self.op_kwargs, self._options(), self._place(store))  # type: ignore[arg-type]
            return handed_on(self._context, called, checked_returns(self.returns), self.trace)

    async def aexecute_callable(self) -> Any:
        """Await a coroutine function as a recorded run."""
        from headgate.airflow.tracked import handed_on
        from headgate.tasks.functions.tracked import call_tracked_async

        @functools.wraps(self.python_callable)
        async def awaiting(*_: Any, **__: Any) -> Any:
            return await super(HeadgateDecoratedOperator, self).aexecute_callable()

        with self.open_store() as store:
            called = await call_tracked_async(
                awaiting, tuple(self.op_args), self.op_kwargs, self._options(), self._place(store)
            )
            return handed_on(self._context, called, checked_returns(self.returns), self.trace)

    def _options(self) -> Options:
        from headgate.tasks.functions.tracked import Options

        return Options(self.experiment, self.run_name, self.tags, self.environment)

    def _place(self, store: Store) -> Place:
        from headgate.airflow.tracked import place_in_task

        injected = {name: value for name, value in self.op_kwargs.items() if name not in self._said}
        return place_in_task(
            store, self._context, self.experiment, injected=injected, stop=self._stop, handle_signals=False
        )


def headgate_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Make a function a task whose every try is a recorded run; registered as ``@task.headgate``.

    Args:
        python_callable: the function.
        multiple_outputs: hand on each item of the mapping that the function returns as an XCom of its own, too.
        **kwargs: of :class:`HeadgateDecoratedOperator` and of any operator (``retries``, ``pool``, ``outlets``, …).
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=HeadgateDecoratedOperator,
        **kwargs,
    )
