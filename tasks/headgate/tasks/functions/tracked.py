"""``tracked``: a function whose every call is a recorded run; and the same for a door that knows more of the call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

from headgate.store.entities import RunContext, RunStatus
from headgate.tasks.functions.arguments import params_of_call, secrets_of_call
from headgate.tasks.stopping import StopRequest, killed_by_signals

if TYPE_CHECKING:
    from headgate.store.store import Store
    from headgate.tasks.functions.run import CallToRecord, TrackedRun
    from headgate.tasks.run_result import RunResult

FUNCTION_TAG = "headgate.function"

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """What whoever wrote the function says of its runs.

    Args:
        experiment: its name; made when it is missing. None leaves it to the place of the call.
        run_name: None is the function's name.
        tags: of each run.
        environment: whether ``mlflow.*`` and child processes log to the run, too.
    """

    experiment: str | None = None
    run_name: str | None = None
    tags: Mapping[str, str] | None = None
    environment: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """What a door knows of a call: where it is recorded, and which piece of its work it is.

    Args:
        store: open for as long as the call lasts.
        context: the piece of work.
        experiment: where the run goes unless the function says otherwise; None is ``Default``.
        parent_run_id: the run that this one is part of.
        run_name: where the function says none.
        tags: of the run, below those of the function.
        user: who runs it.
        injected: arguments that the door adds by these names, which are no params.
        stop: says that the work was told to stop.
        handle_signals: end the run on SIGTERM and SIGHUP where this is the main thread; not for coroutines.
        end_of: how the run ends by an exception of the door's own; None is as by any other.
    """

    store: Store
    context: RunContext = field(default_factory=RunContext)
    experiment: str | None = None
    parent_run_id: str | None = None
    run_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    injected: Mapping[str, Any] = field(default_factory=dict)
    stop: StopRequest | None = None
    handle_signals: bool = False
    end_of: Callable[[BaseException], RunStatus | None] | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call.

    Args:
        value: what the function returned.
        handed_on: the same with ``models:/…`` in place of each model and a URI in place of each file.
        run: the run, which has ended.
    """

    value: Any
    handed_on: Any
    run: TrackedRun

    def result(self) -> RunResult:
        """Return what came of the run, read from the store while that is open: a call as such needs none of it."""
        return self.run.result()


def call_tracked(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Options, place: Place
) -> Called:
    """Call a function as a recorded run; errors are those of :func:`headgate.tasks.functions.run.tracked_run`.

    Raises:
        RunKilled: by a signal, a request or a lost lease.
        BaseException: what the function raises, once the end is recorded.
    """
    stop = place.stop or StopRequest()
    subject = f"The function {getattr(function, '__qualname__', repr(function))!r}"
    with (
        killed_by_signals(stop, subject, handle_signals=place.handle_signals),
        _run_of(function, args, kwargs, options, place, stop) as run,
    ):
        value = function(*args, **kwargs)
        handed_on = run.record(value)
    return Called(value, handed_on, run)


async def call_tracked_async(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Options, place: Place
) -> Called:
    """Await a coroutine function as a recorded run; the same as :func:`call_tracked` otherwise."""
    with _run_of(function, args, kwargs, options, place, place.stop or StopRequest()) as run:
        value = await function(*args, **kwargs)
        handed_on = run.record(value)
    return Called(value, handed_on, run)


@overload
def tracked(function: _F, /) -> _F: ...
@overload
def tracked(
    *,
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    environment: bool = True,
) -> Callable[[_F], _F]: ...
def tracked(
    function: Callable[..., Any] | None = None,
    /,
    *,
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    environment: bool = True,
) -> Any:
    """Make every call of a function a recorded run: ``@tracked``, or ``tracked(train)(depth=6)``.

    Its arguments become params: plain values as text, lists and dictionaries as JSON, other objects described by type
    and shape; secrets, by their type, name or look, as ``***``. Numbers in a mapping that it returns become metrics,
    models LoggedModels, and ``pathlib.Path`` objects artifacts. Inside, :mod:`headgate.tasks.tracking` and ``mlflow.*``
    log to the run without any setting. The call returns what the function returns.

    It goes to the store that :mod:`headgate.tasks.tracking` logs to; inside of another run, below that. The run ends
    FINISHED, FAILED by an exception, or KILLED by a signal or an interrupt. Each call is a run of its own.

    Args:
        function: a function or a coroutine function.
        experiment: its name; made when it is missing. None is that of the run around it, or else the chosen one.
        run_name: None is the function's name.
        tags: of each run.
        environment: lead ``mlflow.*`` and child processes to the run by variables of this process. One function at a
            time can have them, with those that it calls: with False, functions may be tracked in threads side by side.
    """
    options = Options(experiment, run_name, tags, environment)
    if function is None:
        return lambda decorated: tracked_at(place_of_script, decorated, options)
    return tracked_at(place_of_script, function, options)


def tracked_at(
    place_of_call: Callable[[], AbstractContextManager[Place]],
    function: Callable[..., Any],
    options: Options,
    *,
    returns: Callable[[Called], Any] = lambda called: called.value,
) -> Callable[..., Any]:
    """Return a function whose every call is a run at the place that a door knows for it.

    Args:
        place_of_call: gives the place for the length of a ``with`` block.
        function: a function or a coroutine function.
        options: what is said of its runs.
        returns: what the call returns.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            with place_of_call() as place:
                return returns(await call_tracked_async(function, args, kwargs, options, place))

        return awaiting

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        with place_of_call() as place:
            return returns(call_tracked(function, args, kwargs, options, place))

    return calling


def _run_of(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Options,
    place: Place,
    stop: StopRequest,
) -> AbstractContextManager[TrackedRun]:
    from headgate.tasks.functions.run import end_of_call, tracked_run

    def end_of(error: BaseException) -> RunStatus:
        return (None if place.end_of is None else place.end_of(error)) or end_of_call(error)

    call = _call_to_record(function, args, kwargs, options, place)
    return tracked_run(place.store, call, stop=stop, environment=options.environment, end_of=end_of)


def _call_to_record(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Options, place: Place
) -> CallToRecord:
    from headgate.tasks.functions.run import CallToRecord
    from headgate.tasks.tracking.source import source_tags_of

    plain = inspect.unwrap(function)
    name = getattr(plain, "__name__", type(plain).__name__)
    code = getattr(plain, "__code__", None)
    where = f"{getattr(plain, '__module__', '')}:{getattr(plain, '__qualname__', name)}"
    source = source_tags_of(None if code is None else code.co_filename)
    return CallToRecord(
        function=name,
        params=params_of_call(function, args, kwargs, without=place.injected),
        secrets=tuple(secrets_of_call(function, args, kwargs, without=place.injected)),
        context=place.context,
        experiment=options.experiment or place.experiment,
        run_name=options.run_name or place.run_name,
        parent_run_id=place.parent_run_id,
        tags={**source, FUNCTION_TAG: where, **place.tags, **(options.tags or {})},
        user=place.user or source.get("mlflow.user", ""),
    )


@contextmanager
def place_of_script() -> Iterator[Place]:
    """Give the place of a call outside of any orchestrator: below the active run, if there is one."""
    from headgate.tasks.tracking.active_runs import active_run
    from headgate.tasks.tracking.session import current_experiment_id, current_store

    store, above = current_store(), active_run()
    experiment_id = current_experiment_id() if above is None else above.info.experiment_id
    around = RunContext() if above is None else above.info.context
    yield Place(
        store,
        context=RunContext(
            origin=around.origin,
            pipeline=around.pipeline,
            logical_date=around.logical_date,
            data_interval_start=around.data_interval_start,
            data_interval_end=around.data_interval_end,
        ),
        experiment=store.experiments.get(experiment_id).name,
        parent_run_id=None if above is None else above.run_id,
        handle_signals=True,
    )
