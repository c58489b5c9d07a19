"""A run that this process opened and keeps alive: its end is recorded by whoever holds its lease, whatever happens."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import DEFAULT_EXPERIMENT_ID, Run, RunContext, RunInfo, RunStatus
from headgate.store.errors import HeadgateError, RunKilled, RunNotActive
from headgate.tasks.heartbeat import Heartbeat
from headgate.tasks.run_ends import message_of, status_after
from headgate.tasks.run_result import RunResult, result_of
from headgate.tasks.stopping import StopRequest

if TYPE_CHECKING:
    from headgate.store.store import Store

_log = logging.getLogger(__name__)


def open_leased(
    store: Store,
    owner: str,
    *,
    context: RunContext,
    experiment: str | None = None,
    parent_run_id: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    user: str = "",
    clock: Callable[[], int] = now_ms,
) -> Run:
    """Open a run with a lease of this process.

    Args:
        owner: who holds the lease.
        context: which piece of an orchestrator's work the run stands for.
        experiment: its name; made when it is missing. None is ``Default``.

    Returns:
        The run. One that has ended is an attempt that was made before.

    Raises:
        NotFound: no such parent run.
        InvalidInput: a name, param or tag can't be recorded.
        RunNotActive: a newer attempt of the same work exists.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    if parent_run_id is not None:
        store.runs.get_info(parent_run_id)  # refused before an experiment is made for nothing
    now = clock()
    experiment_id = DEFAULT_EXPERIMENT_ID
    if experiment is not None:
        experiment_id = store.experiments.get_or_create(experiment, now=now).experiment_id
    return store.runs.open(
        experiment_id,
        context=context,
        name=name,
        tags=tags or {},
        params=params or {},
        user_id=user,
        parent_run_id=parent_run_id,
        lease_owner=owner,
        lease_seconds=store.settings.lease_seconds,
        host=socket.gethostname(),
        pid=os.getpid(),
        now=now,
    )


class LeasedRun:
    """Keeps the lease of an open run while the ``with`` block lasts, and records how the run ended.

    Args:
        info: the run.
        owner: who holds its lease.
        stop: asked to stop when the lease is lost.
        clock: gives epoch ms.
        redact: masks secrets in what is recorded of an error.
    """

    def __init__(
        self,
        store: Store,
        info: RunInfo,
        owner: str,
        stop: StopRequest,
        *,
        clock: Callable[[], int] = now_ms,
        redact: Callable[[str], str],
    ) -> None:
        self.info = info
        self._store = store
        self._stop = stop
        self._clock = clock
        self._redact = redact
        self._heartbeat = Heartbeat(store, info.run_id, owner, stop, clock=clock)
        self._closed = False

    def __enter__(self) -> LeasedRun:
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.__exit__(kind, error, trace)

    def finish(self) -> RunResult:
        """Record that the run went well, and return what came of it; errors as of :meth:`end_well`."""
        self.end_well()
        return result_of(self._store, self._store.runs.get(self.info.run_id))

    def end_well(self) -> None:
        """Record that the run went well.

        Raises:
            RunKilled: its lease was lost; whoever has it now says how the run ends.
            StoreUnavailable: the store did not answer.
        """
        try:
            if not self._heartbeat.beat():
                raise self._lost()
            self._store.runs.finish(self.info.run_id, RunStatus.FINISHED, end_time=self._clock())
        except RunNotActive as error:
            raise self._lost() from error
        self._closed = True

    def close(self, error: BaseException | None, *, reason: str = "", status: RunStatus | None = None) -> None:
        """Record that the run did not go well. What keeps that from being recorded is added to ``error`` as a note.

        Args:
            error: what ended it; None when it was stopped, for a ``reason``.
            status: None is what the error says: KILLED for what came from outside, else FAILED.
        """
        if self._closed or self._heartbeat.lost:
            return
        if status is None:
            status = RunStatus.KILLED if error is None else status_after(error)
        message = self._redact(reason if error is None else message_of(error))
        try:
            if self._heartbeat.beat():
                self._store.runs.finish(self.info.run_id, status, end_time=self._clock(), message=message)
                self._closed = True
        except HeadgateError as problem:
            note = f"The end of run {self.info.run_id} could not be recorded, headgate reap will close it: {problem}"
            _log.warning("%s", note)
            if error is not None:
                error.add_note(note)

    def close_whatever_comes(self, error: BaseException, *, status: RunStatus | None = None) -> None:
        """Record the end even if a signal arrives while that is done; it goes on after it."""
        try:
            self.close(error, status=status)
        except BaseException:
            self.close(error, status=status)
            raise

    def _lost(self) -> RunKilled:
        reason = self._stop.reason or "it was closed by somebody else"
        run_id = self.info.run_id
        return RunKilled(f"Run {run_id} ended too late: {reason}.", run_id=run_id, reason=reason)
