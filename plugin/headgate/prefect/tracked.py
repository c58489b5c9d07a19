"""``tracked``: the user's own task functions as recorded runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from headgate.store.errors import InvalidInput
from headgate.tasks.functions.returns import Returns, checked_returns

if TYPE_CHECKING:
    from headgate.tasks.functions.tracked import Called, Place

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def tracked(function: _F, /) -> _F: ...
@overload
def tracked(
    *,
    store: str | None = None,
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
    store: str | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    environment: bool = True,
    returns: str = "auto",
) -> Any:
    """Record the calls of a function that runs in a task: below ``@task``.

    Its arguments become params; numbers in a mapping that it returns become metrics, models LoggedModels, and
    ``pathlib.Path`` objects artifacts. Inside, :mod:`headgate.tasks.tracking` and ``mlflow.*`` log to the run. Each try
    of the task run is an attempt of the same work. Outside of Prefect, as in a notebook or a test of the function, it
    is :func:`headgate.tasks.tracked`.

    Args:
        function: a function or a coroutine function.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.
        experiment: its name; made when it is missing. None is the flow's name.
        run_name: None is the task run's name.
        tags: of the run.
        environment: lead ``mlflow.*`` and child processes to the run by variables of this process. One function at a
            time can have them: say False for functions that are submitted or mapped side by side.
        returns: what the call hands on in a task: ``auto``, ``value`` or ``reference``; see
            :class:`headgate.tasks.functions.returns.Returns`.

    Raises:
        InvalidInput: ``returns`` is none of these, or what is decorated is a task already.
    """
    from headgate.tasks.functions.tracked import Options, tracked_at

    kind = checked_returns(returns)
    options = Options(experiment, run_name, tags, environment)

    def decorated(inner: Callable[..., Any]) -> Callable[..., Any]:
        if hasattr(inner, "submit"):
            raise InvalidInput(
                f"{getattr(inner, 'name', inner)!r} is a Prefect task already, and its calls can't be tracked.",
                remedy="Write @task above @tracked, not below it.",
            )
        place = partial(_place_of_call, store, experiment)
        return tracked_at(place, inner, options, returns=partial(_handed_on, kind))

    return decorated if function is None else decorated(function)


@contextmanager
def _place_of_call(block: str | None, experiment: str | None) -> Iterator[Place]:
    from prefect.context import FlowRunContext, TaskRunContext

    from headgate.prefect.identity import actor, task_run
    from headgate.prefect.processes import at_work
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.functions.tracked import Place, place_of_script

    if TaskRunContext.get() is None and FlowRunContext.get() is None:
        with place_of_script() as place:
            yield place
        return
    with open_store_of(block) as store, at_work() as stop:
        task = task_run(store, experiment)
        yield Place(
            store,
            context=task.context,
            experiment=task.experiment,
            parent_run_id=task.parent_run_id,
            run_name=task.name,
            tags=task.tags,
            user=actor(),
            stop=stop,
        )


def _handed_on(returns: Returns, called: Called) -> Any:
    from prefect.context import TaskRunContext

    if TaskRunContext.get() is None:
        return called.value
    if returns is Returns.REFERENCE or (returns is Returns.AUTO and called.handed_on is None):
        return called.result()
    return called.handed_on
