"""The run around a call of a function: opened before it, in context during it, and ended after it, whatever happens."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.entities import Run, RunContext, RunInfo, RunStatus
from headgate.store.errors import HeadgateError, RunKilled
from headgate.store.run_opening import check_context, name_of_run
from headgate.store.validation import check_params, check_tags
from headgate.tasks.functions.environment import environment_of
from headgate.tasks.functions.returned import record_returned
from headgate.tasks.leased_run import LeasedRun, open_leased
from headgate.tasks.projects.secrets import Redactor, secret_variables, url_passwords
from headgate.tasks.run_ends import status_after
from headgate.tasks.run_result import RunResult, result_of
from headgate.tasks.stopping import StopRequest
from headgate.tasks.tracking.active_runs import attached_to

if TYPE_CHECKING:
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class CallToRecord:
    """A call of a function, as its run records it.

    Args:
        function: its name.
        params: the arguments, as :func:`headgate.tasks.functions.arguments.params_of_call` gives them.
        secrets: texts that must not turn up in the record.
        context: which piece of an orchestrator's work the call is.
        experiment: its name; None is ``Default``.
        run_name: None is the function's name.
        tags: of the run.
    """

    function: str
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    context: RunContext = field(default_factory=RunContext)
    experiment: str | None = None
    run_name: str | None = None
    parent_run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


class TrackedRun:
    """The run of a call, while the call lasts.

    Attributes:
        info: the run as it was opened.
    """

    def __init__(self, store: Store, info: RunInfo, function: str) -> None:
        self.info = info
        self._store = store
        self._function = function

    @property
    def run_id(self) -> str:
        return self.info.run_id

    def record(self, returned: Any) -> Any:
        """Record what the function returned; see :func:`headgate.tasks.functions.returned.record_returned`."""
        return record_returned(self._store, self.info, self._function, returned)

    def result(self) -> RunResult:
        """Return what came of the run so far, read from the store."""
        return result_of(self._store, self._store.runs.get(self.run_id))


def end_of_call(error: BaseException) -> RunStatus:
    """Return how the run of a call ends by an exception: by ``sys.exit()``, as the exit code says."""
    if isinstance(error, SystemExit):
        return RunStatus.FINISHED if error.code in (None, 0) else RunStatus.FAILED
    return status_after(error)


@contextmanager
def tracked_run(
    store: Store,
    call: CallToRecord,
    *,
    stop: StopRequest | None = None,
    environment: bool = True,
    end_of: Callable[[BaseException], RunStatus] = end_of_call,
    clock: Callable[[], int] = now_ms,
) -> Iterator[TrackedRun]:
    """Open the run of a call, let what is logged inside of the ``with`` block go there, and record how it ended.

    On retry: a new attempt of the same work fences the one before off. A call that is made again under an attempt that
    has ended is recorded as the next one: what the first returned was lost with whoever made it.

    Args:
        store: where the run is recorded.
        call: what is recorded of it.
        stop: says that the work was told to stop; then it does not end well, whatever it returned.
        environment: lead ``mlflow.*`` and child processes to the run, too. One call at a time can have it.
        end_of: how the run ends by an exception: FINISHED for one by which a function only says what comes next.
        clock: gives epoch ms.

    Raises:
        InvalidInput: an argument's name, a tag or the context can't be recorded, or the environment is another call's.
        RunNotActive: a newer attempt of the same work exists.
        RunKilled: the work was told to stop, or its lease was lost.
        StoreUnavailable: the store did not answer; a retry may help.
        BaseException: what the block raises, once the end is recorded.
    """
    stop = stop or StopRequest()
    owner = uuid.uuid4().hex
    info = _open(store, call, owner, clock).info
    redact = _LazyRedactor(store, call.secrets)
    with LeasedRun(store, info, owner, stop, clock=clock, redact=redact) as leased:
        tracked = TrackedRun(store, info, call.function)
        try:
            with (
                environment_of(store, info, call.user) if environment else nullcontext(),
                attached_to(store, info),
            ):
                yield tracked
            if stop.reason is not None:
                raise RunKilled(
                    f"The function {call.function!r} was stopped: {stop.reason}.",
                    run_id=info.run_id,
                    reason=stop.reason,
                )
            leased.end_well()
        except BaseException as error:
            if isinstance(error, HeadgateError):
                error.attributes.setdefault("run_id", info.run_id)
            status = end_of(error)
            if status is RunStatus.FINISHED and stop.reason is None:
                leased.end_well()
            else:
                leased.close_whatever_comes(error, status=RunStatus.KILLED if stop.reason is not None else status)
            raise


def _open(store: Store, call: CallToRecord, owner: str, clock: Callable[[], int]) -> Run:
    tags = check_tags(call.tags)
    params, context = check_params(call.params), check_context(call.context)

    def opened(context: RunContext) -> Run:
        return open_leased(
            store,
            owner,
            context=context,
            experiment=call.experiment,
            parent_run_id=call.parent_run_id,
            name=name_of_run(call.run_name, tags) or call.function,
            tags=tags,
            params=params,
            user=call.user,
            clock=clock,
        )

    run = opened(context)
    return opened(replace(context, attempt=None)) if run.info.status.terminated else run


class _LazyRedactor:
    """Masks secrets in the one line that a failure leaves; made only then, as most calls go well."""

    def __init__(self, store: Store, secrets: tuple[str, ...]) -> None:
        self._store = store
        self._secrets = secrets

    def __call__(self, text: str) -> str:
        passwords = url_passwords(self._store.url)
        return Redactor([*self._secrets, *passwords, *secret_variables(os.environ)])(text)
