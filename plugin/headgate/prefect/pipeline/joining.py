"""The run of a pipeline that a flow run is: joined once per process, and shared by the tasks in it.

Tasks are threads of the flow's process, unless the flow has a task runner that starts others: those join by the key.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger

from headgate.prefect.identity import actor, flow_context, flow_tags, run_above, task_tags
from headgate.prefect.processes import at_work, wait_until_stopped
from headgate.prefect.store_access import open_store_of
from headgate.store.errors import RunKilled

if TYPE_CHECKING:
    from headgate.flows.events import Event
    from headgate.flows.piecewise import PiecewiseRun
    from headgate.prefect.pipeline.source import PipelineSource
    from headgate.store.entities import RunContext
    from headgate.store.store import Store
    from headgate.tasks.stopping import StopRequest

# Of flow runs that other processes conduct, so many are kept: nobody says here when they have ended.
_MOST_KEPT = 32
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Joining:
    """What it takes to join the pipeline run of a flow run, in whatever process.

    Args:
        source: the pipeline.
        context: names the flow run and what it stands for in time.
        given: values for the pipeline's parameters.
        actor: who acts, for the record.
        tags: of the pipeline's own run: which flow run it is.
        life: how often the flow run began.
    """

    source: PipelineSource
    context: RunContext
    given: Mapping[str, Any] = field(repr=False)
    actor: str
    tags: Mapping[str, str]
    life: int

    @contextmanager
    def piece(self) -> Iterator[PiecewiseRun]:
        """Give the joined run for a piece of its work that a task does: it can be stopped, and tells the task's log.

        Raises:
            InvalidPipeline: a parameter is wrong.
            ProjectUnavailable, StoreUnavailable: no answer; a retry may help.
        """
        with open_store_of(self.source.store) as store, at_work() as stop:
            run = self._shared(store).run
            host = replace(run.host, stop=stop, on_event=teller(get_run_logger()), tags=task_tags())
            yield replace(run, store=store, host=host)

    @contextmanager
    def whole(self) -> Iterator[PiecewiseRun]:
        """Give the joined run to the flow itself; raises as :meth:`piece`."""
        with open_store_of(self.source.store) as store:
            run = self._shared(store).run
            yield replace(run, store=store, host=replace(run.host, on_event=teller(get_run_logger())))

    @contextmanager
    def slot(self, stop: StopRequest) -> Iterator[None]:
        """Wait until one more entry point may run in this process.

        Raises:
            RunKilled: it was stopped while it waited.
        """
        shared = self._known()
        while not shared.slots.acquire(timeout=_LOOK_SECONDS):
            reason = "the flow run is suspended" if shared.suspended.is_set() else stop.reason
            if reason is not None:
                raise RunKilled(f"The step did not start: {reason}.", reason=reason)
        try:
            yield
        finally:
            shared.slots.release()

    def suspend(self) -> None:
        """Wait for the entry points that run, and let no other begin: what has finished is not run again later."""
        self._known().suspended.set()
        wait_until_stopped(str(self.context.pipeline_run_id), threading.TIMEOUT_MAX)

    def leave(self) -> None:
        """Let go of the joined run: the flow run has ended in this process, and nobody joins it any more."""
        with _lock:
            _shared[self._key] = None

    @property
    def _key(self) -> tuple[Any, ...]:
        return (os.getpid(), self.context.pipeline, self.context.pipeline_run_id, self.life)

    def _shared(self, store: Store) -> _Shared:
        with _lock:
            if self._key not in _shared:
                _shared[self._key] = self._join(store)
                while len(_shared) > _MOST_KEPT:
                    del _shared[next(iter(_shared))]
            return self._known()

    def _known(self) -> _Shared:
        known = _shared.get(self._key)
        if known is None:
            raise RunKilled("The flow run has ended in this process.", reason="the flow run has ended")
        return known

    def _join(self, store: Store) -> _Shared:
        from headgate.flows.piecewise import Host, join_pipeline_run

        source = self.source
        host = Host(
            actor=self.actor,
            run_tags=self.tags,
            parent_run_id=run_above(store),
            env=source.env,
            experiment=source.experiment,
            handle_signals=False,
        )
        run = join_pipeline_run(store, source.plan, self.context, self.given, host)
        return _Shared(run, threading.BoundedSemaphore(source.max_parallel or os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class _Shared:
    run: PiecewiseRun
    slots: threading.BoundedSemaphore
    suspended: threading.Event = field(default_factory=threading.Event)


_lock = threading.RLock()
_shared: dict[tuple[Any, ...], _Shared | None] = {}  # None: it has ended


def joining_of(source: PipelineSource, given: Mapping[str, Any]) -> Joining:
    """Return what it takes to join the pipeline run of the flow run that goes on here."""
    from prefect import runtime

    return Joining(
        source=source,
        context=flow_context(),
        given=dict(given),
        actor=actor(),
        tags=flow_tags(),
        life=int(runtime.flow_run.run_count or 0),
    )


def teller(log: Any) -> Callable[[Event], None]:
    """Return what tells the events of a pipeline to a log, the output of entry points line by line."""
    from headgate.flows.events import Decided, Promoted, StepEnded, StepOutput, StepRunEnded

    def tell(event: Event) -> None:
        match event:
            case StepOutput(line=line):
                log.info("%s", line)
            case StepRunEnded(step=name, run=run):
                taken = ", taken from an earlier try" if run.reused else ""
                log.info("Run %s of %s: %s%s", run.run_id, name, run.status, taken)
            case StepEnded(result=result) if result.chosen is not None:
                log.info("Of %s, member %d was chosen", result.name, result.chosen.map_index)
            case Decided(verdict=verdict):
                log.info("Verdict %s: %s", verdict.verdict_id, verdict.outcome)
            case Promoted(promotion=promotion, reused=reused):
                log.info("%s version %s", "Had promoted" if reused else "Promoted", promotion.to_version)

    return tell
