"""What leads ``mlflow.*`` and child processes to the run of a function: variables of this process, for its duration.

An environment belongs to the whole process. So one function at a time can have it, and those that it calls.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from headgate.store.entities import RunStatus
from headgate.store.errors import InvalidInput
from headgate.tasks.run_ends import status_after
from headgate.tasks.run_variables import run_variables

if TYPE_CHECKING:
    from headgate.store.entities import RunInfo
    from headgate.store.store import Store
    from headgate.wire.loopback import Loopback

_lock = threading.Lock()
_holders = 0
_held: ContextVar[bool] = ContextVar("headgate_holds_environment", default=False)


@contextmanager
def environment_of(store: Store, info: RunInfo, user: str) -> Iterator[None]:
    """Let ``mlflow.*`` and child processes log to a run inside of the ``with`` block, and put everything back after it.

    Where mlflow can be imported, its client finds an endpoint on this machine that only it is let in to; the server
    behind it is loaded when the first request comes, so that a function that never calls mlflow pays nothing for it.

    Args:
        store: where the run is; open for as long as the block lasts.
        info: the run.
        user: who runs it, for the records.

    Raises:
        InvalidInput: another function has the environment, in another thread.
    """
    with _held_environment():
        variables = run_variables(store, info)
        if importlib.util.find_spec("mlflow") is None:
            with _variables(variables):
                yield
            return
        from headgate.wire.loopback import Loopback, new_token

        with (
            Loopback(store, info, user, new_token()) as endpoint,
            _variables({**variables, **endpoint.environment}),
            _mlflow_at(endpoint),
        ):
            yield


@contextmanager
def _held_environment() -> Iterator[None]:
    global _holders
    with _lock:
        if _holders and not _held.get():
            raise InvalidInput(
                "Another function is being tracked in this process, in another thread, and mlflow and child processes "
                "know of one run per process.",
                remedy="Track it with environment=False (then only headgate's own logging calls reach its run), or run "
                "the functions in processes of their own.",
            )
        _holders += 1
    token = _held.set(True)
    try:
        yield
    finally:
        _held.reset(token)
        with _lock:
            _holders -= 1


@contextmanager
def _variables(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _mlflow_at(endpoint: Loopback) -> Iterator[None]:
    """Take a server that was chosen in code, and runs that the function left open, out of mlflow's way."""
    chosen, active = _choose(endpoint.url), _active_run_id()
    try:
        yield
    except BaseException as error:
        from_outside = status_after(error) is RunStatus.KILLED
        _leave_noting(endpoint, active, chosen, RunStatus.KILLED if from_outside else RunStatus.FAILED, error)
        raise
    else:
        _leave(endpoint, active, chosen, RunStatus.FINISHED)


def _choose(url: str) -> str | None:
    """Choose our server where the program chose one with ``mlflow.set_tracking_uri``, which beats any variable.

    Returns:
        The one that it had chosen; None when it had chosen none.
    """
    mlflow = _imported_mlflow()
    if mlflow is None or mlflow.get_tracking_uri() == url:
        return None
    chosen = str(mlflow.get_tracking_uri())
    mlflow.set_tracking_uri(url)
    return chosen


def _active_run_id() -> str | None:
    mlflow = _imported_mlflow()
    run = None if mlflow is None else mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def _leave(endpoint: Loopback, active: str | None, chosen: str | None, status: RunStatus) -> None:
    mlflow = _imported_mlflow()
    if mlflow is None:
        return
    try:
        if endpoint.was_used:
            mlflow.flush_async_logging()
            while (run := mlflow.active_run()) is not None and run.info.run_id != active:
                mlflow.end_run(str(status))
    finally:
        if chosen is not None:
            mlflow.set_tracking_uri(chosen)


def _leave_noting(
    endpoint: Loopback, active: str | None, chosen: str | None, status: RunStatus, error: BaseException
) -> None:
    """Leave after an error, which is what counts: what goes wrong now is a note to it."""
    mlflow_error = getattr(sys.modules.get("mlflow.exceptions"), "MlflowException", ())
    try:
        _leave(endpoint, active, chosen, status)
    except mlflow_error as problem:
        error.add_note(f"mlflow's runs could not be ended: {problem}")


def _imported_mlflow() -> Any:
    mlflow = sys.modules.get("mlflow")
    return mlflow if hasattr(mlflow, "get_tracking_uri") else None
