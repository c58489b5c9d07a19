"""The user's own Python functions as recorded runs: ``tracked``, and what ``@task.headgate`` shares with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from headgate.airflow.connection import DEFAULT_CONN_ID, open_store_of
from headgate.tasks.functions.returns import Returns, checked_returns

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.entities import RunStatus
    from headgate.store.store import Store
    from headgate.tasks.functions.tracked import Called, Place
    from headgate.tasks.stopping import StopRequest

_LONGEST_VALUE = 48_000
_log = logging.getLogger("airflow.task.headgate")

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def tracked(function: _F, /) -> _F: ...
@overload
def tracked(
    *,
    headgate_conn_id: str = DEFAULT_CONN_ID,
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    environment: bool = True,
    returns: str = "auto",
) -> Callable[[_F], _F]: ...
def tracked(
    function: Callable[..., Any] | None = None,
    /,
    *,
    headgate_conn_id: str = DEFAULT_CONN_ID,
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    environment: bool = True,
    returns: str = "auto",
) -> Any:
    """Record the calls of a function that runs in a task: below ``@task``, or in ``PythonOperator``.

    ``PythonOperator(task_id="train", python_callable=tracked(train), op_kwargs={"depth": 6})`` records what
    ``@task.headgate`` does: see :mod:`headgate.airflow.decorators`. Outside of a task, as in a notebook or a test of
    the function, it is :func:`headgate.tasks.tracked`.

    Args:
        function: a function or a coroutine function.
        headgate_conn_id: of the connection that names the store.
        experiment: its name; made when it is missing. None is the DAG's id.
        run_name: None is the task's id, with the label of a mapped one.
        tags: of the run.
        environment: lead ``mlflow.*`` and child processes to the run by variables of the task's process.
        returns: what the call returns in a task, and so its XCom: ``auto``, ``value`` or ``reference``;
            see :class:`headgate.tasks.functions.returns.Returns`. A value that is large or not plain, ``auto`` replaces
            by the reference to the run.

    Raises:
        InvalidInput: ``returns`` is none of these.
    """
    from headgate.tasks.functions.tracked import Options, tracked_at

    kind = checked_returns(returns)
    options = Options(experiment, run_name, tags, environment)

    def decorated(inner: Callable[..., Any]) -> Callable[..., Any]:
        place = partial(_place_of_call, headgate_conn_id, experiment)
        return tracked_at(place, inner, options, returns=partial(_handed_on_here, kind))

    return decorated if function is None else decorated(function)


def place_in_task(
    store: Store,
    context: Context,
    experiment: str | None,
    *,
    injected: Mapping[str, Any],
    stop: StopRequest | None,
    handle_signals: bool,
) -> Place:
    """Return what Airflow knows of a call that a task makes."""
    from headgate.airflow.identity import actor_of, commit_tags, task_run
    from headgate.tasks.functions.tracked import Place

    task = task_run(store, context, experiment)
    return Place(
        store,
        context=task.context,
        experiment=task.experiment,
        parent_run_id=task.parent_run_id,
        run_name=task.name,
        tags={**commit_tags(context), **task.tags},
        user=actor_of(context),
        injected=injected,
        stop=stop,
        handle_signals=handle_signals,
        end_of=end_of_task,
    )


def end_of_task(error: BaseException) -> RunStatus | None:
    """Return how a run ends by an exception that only says what follows the task: it has done its work."""
    from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

    from headgate.store.entities import RunStatus

    return RunStatus.FINISHED if isinstance(error, AirflowSkipException | DownstreamTasksSkipped) else None


def handed_on(
    context: Context, called: Called, returns: Returns, trace: Callable[[Mapping[str, Any]], None] | None = None
) -> Any:
    """Return what a task hands on that made a call; the reference to the run is its XCom ``headgate_run`` as well.

    Args:
        trace: is told the reference, whatever is handed on.
    """
    from headgate.airflow.references import REFERENCE_KEY, run_reference

    reference = run_reference(called.result(), called.run.info.experiment_id)
    context["ti"].xcom_push(key=REFERENCE_KEY, value=reference)
    if trace is not None:
        trace(reference)
    value = called.handed_on
    if returns is Returns.VALUE or (returns is Returns.AUTO and _is_asset(value)):
        return value
    if returns is Returns.REFERENCE or value is None:
        return reference
    try:
        plain = _plain(value)
        if len(json.dumps(plain)) <= _LONGEST_VALUE:
            return plain
        why = "is large"
    except TypeError as error:
        why = f"holds {error}"
    _log.warning(
        "What the function returned %s: the task hands on the reference to run %s instead. Return the path of a file "
        'that holds it, or say returns="value".',
        why,
        called.run.run_id,
    )
    return reference


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; raise TypeError, naming its type, for one that JSON can't have."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = value.item()  # a numpy scalar
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        from headgate.store.canonical import to_plain

        return to_plain(float(value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__}")


def _is_asset(value: Any) -> bool:
    """Say whether a function returned assets, which Airflow takes for outlets of the task."""
    from airflow.sdk import Asset

    values = value if isinstance(value, list) else [value]
    return any(isinstance(each, Asset) for each in values)


@contextmanager
def _place_of_call(headgate_conn_id: str, experiment: str | None) -> Iterator[Place]:
    from airflow.sdk import get_current_context
    from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS
    from airflow.sdk.exceptions import AirflowFailException

    from headgate.airflow.stores_used import note_store
    from headgate.airflow.supervision import stopped_with_supervisor
    from headgate.store.errors import Terminal
    from headgate.tasks.functions.tracked import place_of_script

    try:
        context = get_current_context()
    except RuntimeError:  # no task runs in this process
        with place_of_script() as place:
            yield place
        return
    injected = {name: context[name] for name in KNOWN_CONTEXT_KEYS if name in context}  # type: ignore[literal-required]
    note_store(context, headgate_conn_id)
    try:
        with open_store_of(headgate_conn_id) as store, stopped_with_supervisor():
            yield place_in_task(store, context, experiment, injected=injected, stop=None, handle_signals=True)
    except Terminal as error:
        raise AirflowFailException(str(error)) from error


def _handed_on_here(returns: Returns, called: Called) -> Any:
    from airflow.sdk import get_current_context

    try:
        context = get_current_context()
    except RuntimeError:
        return called.value
    return handed_on(context, called, returns)
