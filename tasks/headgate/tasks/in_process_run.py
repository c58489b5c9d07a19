"""A run around work that this process does itself: opened by its context, kept alive, ended whatever happens."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import Run, RunContext
from headgate.store.errors import HeadgateError, RunKilled
from headgate.tasks.leased_run import LeasedRun, open_leased
from headgate.tasks.projects.secrets import Redactor, secret_variables, url_passwords
from headgate.tasks.stopping import StopRequest, killed_by_signals

if TYPE_CHECKING:
    from headgate.store.store import Store


@contextmanager
def in_process_run(
    store: Store,
    *,
    subject: str = "The work",
    context: RunContext | None = None,
    experiment: str | None = None,
    name: str | None = None,
    parent_run_id: str | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    user: str = "",
    stop: StopRequest | None = None,
    handle_signals: bool = False,
    clock: Callable[[], int] = now_ms,
) -> Iterator[Run]:
    """Open a run for the block, and end it: FINISHED after the block, FAILED or KILLED after what it raised.

    The run's lease is kept while the block works. What asks ``stop`` meanwhile does not interrupt the block, but the
    run then ends KILLED and the block raises: work that was told to stop never ends green.

    On retry: each try of a context with a ``pipeline_run_id`` is an attempt, which fences off the one before. An
    attempt that has ended already comes out as it is, with a terminated status: the block then only reads from it.

    Args:
        store: where the run is recorded.
        subject: what the block does, for the message of a signal's end: ``The evaluation of m-1``.
        context: which piece of an orchestrator's work this is; None is none.
        experiment: its name; made when it is missing. None is ``Default``.
        name: None invents one.
        parent_run_id: the run that this one is part of.
        params, tags: of the run.
        user: who runs it.
        stop: asked when the run is to stop, from another thread or from a signal's handler.
        handle_signals: end the run on SIGTERM and SIGHUP, where this is the main thread.
        clock: gives epoch ms.

    Raises:
        NotFound: no such parent run.
        RunNotActive: a newer attempt exists, or this one was deleted.
        RunKilled: the run was asked to stop, or its lease was lost.
        StoreUnavailable: a retry may help.
    """
    stop, owner = stop or StopRequest(), uuid.uuid4().hex
    known: dict[str, str] = {}
    with killed_by_signals(stop, subject, handle_signals=handle_signals, facts=lambda: known):
        run = open_leased(
            store,
            owner,
            context=context or RunContext(),
            experiment=experiment,
            name=name,
            parent_run_id=parent_run_id,
            params=params,
            tags=tags,
            user=user,
            clock=clock,
        )
        known["run_id"] = run.info.run_id
        if run.info.status.terminated:
            yield run
            return
        redact = Redactor([*url_passwords(store.url), *secret_variables(os.environ)])
        with LeasedRun(store, run.info, owner, stop, clock=clock, redact=redact) as leased:
            try:
                yield run
                if stop.reason is not None:
                    raise _stopped(run, stop.reason)
                leased.end_well()
            except BaseException as error:
                if isinstance(error, HeadgateError):
                    error.attributes.setdefault("run_id", run.info.run_id)
                leased.close_whatever_comes(error)
                raise


def _stopped(run: Run, reason: str) -> RunKilled:
    run_id = run.info.run_id
    return RunKilled(f"Run {run_id} ended too late: {reason}.", run_id=run_id, reason=reason)
