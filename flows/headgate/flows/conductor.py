"""The loop of a pipeline run: start what is ready, settle what has ended.

Only the runs themselves happen in worker threads. Everything else, callbacks included, happens in the thread that
called ``run_pipeline``, one message at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from headgate.flows.choose import choose_best
from headgate.flows.events import Event, StepEnded, StepRunEnded
from headgate.flows.graph import downstream, edges
from headgate.flows.mistakes import did_you_mean
from headgate.flows.model import Step
from headgate.flows.rendering import Values
from headgate.flows.results import StepResult, StepRun, StepStatus
from headgate.flows.step_runs import StepRunner, StepWork, works_of
from headgate.store.errors import HeadgateError, InvalidPipeline

CHOSEN_TAG = "headgate.chosen."
"""Tag of the pipeline's run, with a step's name behind it: the run that won the step's sweep."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run is over, or something that is no error of Headgate's was raised in its thread: a fault of the program."""

    step: str
    run: StepRun | BaseException


Message = Event | Ended
"""What reaches the loop from the workers' threads."""


class Conductor:
    """Runs the steps of one pipeline run.

    Args:
        runner: makes the runs; what it tells goes to ``messages``.
        values: resolves references; ``outputs`` is where it looks steps up, and is filled here.
        max_parallel: the most runs at once.
        on_event: called in the thread that calls :meth:`run`.
        fail_fast: stop everything when a step fails, instead of letting what does not depend on it go on.
    """

    def __init__(
        self,
        runner: StepRunner,
        values: Values,
        outputs: dict[str, StepRun],
        messages: SimpleQueue[Message],
        *,
        max_parallel: int,
        on_event: Callable[[Event], None],
        fail_fast: bool = False,
    ) -> None:
        self.results: dict[str, StepResult] = {}
        self.failed_fast = False
        self._runner = runner
        self._pipeline = runner.plan.pipeline
        self._values = values
        self._outputs = outputs
        self._on_event = on_event
        self._fail_fast = fail_fast
        self._graph = edges(self._pipeline)
        self._running: dict[str, dict[int, StepRun | None]] = {}
        self._messages = messages
        self._executor = ThreadPoolExecutor(max_parallel, thread_name_prefix="headgate-step")

    def run(self) -> None:
        """Run every step that can run; ``results`` then holds them all.

        Raises:
            BaseException: what ``on_event`` raised, or an interrupt. Workers may still be running: see :meth:`close`.
        """
        while True:
            while self._start_one():
                continue
            if len(self.results) == len(self._graph):
                return
            self._handle(self._messages.get())

    def run_one(self, work: StepWork) -> StepRun:
        """Run one more piece of work, after :meth:`run`; raises as it does."""
        ended: list[StepRun] = []
        self._submit(work)
        while not ended:
            message = self._messages.get()
            if isinstance(message, Ended):
                ended.append(_run_of(message))
            else:
                self._on_event(message)
        return ended[0]

    def close(self) -> None:
        """Wait for the workers. After a stop was requested that takes no longer than the processes' grace."""
        while True:
            try:
                self._executor.shutdown(wait=True)
            except KeyboardInterrupt:
                continue  # everything was asked to stop already; leaving now would leave processes behind
            else:
                return

    # Starting

    def _start_one(self) -> bool:
        """Start, or settle at once, one step that is ready; say whether there was any."""
        for step in self._pipeline.steps:
            if step.name in self.results or step.name in self._running:
                continue
            upstream = [self.results.get(name) for name in self._graph[step.name]]
            if all(result is not None and result.status is StepStatus.FINISHED for result in upstream):
                self._start(step, may_reuse=all(result is not None and result.reused for result in upstream))
                return True
        return False

    def _start(self, step: Step, *, may_reuse: bool) -> None:
        try:
            found = self._rendered(step, may_reuse=may_reuse and self._runner.parent.resumed)
        except HeadgateError as error:
            self._settle(StepResult(step.name, StepStatus.FAILED, error=error))
            return
        self._running[step.name] = dict.fromkeys(work.map_index for work, _ in found)
        for work, earlier in found:
            if earlier is None:
                self._submit(work)
            else:
                self._on_event(StepRunEnded(step.name, earlier))
                self._ended(step.name, earlier)

    def _rendered(self, step: Step, *, may_reuse: bool) -> list[tuple[StepWork, StepRun | None]]:
        """Return the runs of a step, each with the earlier one that is taken for it.

        The store and the artifacts are asked for them; where they do not answer, the step's retries are tries of this.
        """
        for retry in range(step.retries + 1):
            try:
                works = works_of(step, self._values)
                return [(work, self._runner.earlier(work) if may_reuse else None) for work in works]
            except HeadgateError as error:
                if retry == step.retries or not error.retryable or self._runner.stop.reason is not None:
                    raise
        raise AssertionError("the last try returns or raises")

    def _submit(self, work: StepWork) -> None:
        def in_worker() -> None:
            try:
                run: StepRun | BaseException = self._runner.run(work)
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
                run = error
            self._messages.put(Ended(work.step.name, run))

        self._executor.submit(in_worker)

    # Settling

    def _handle(self, message: Message) -> None:
        if isinstance(message, Ended):
            self._ended(message.step, _run_of(message))
        else:
            self._on_event(message)

    def _ended(self, name: str, run: StepRun) -> None:
        runs = self._running[name]
        runs[run.map_index] = run
        ended = tuple(run for run in runs.values() if run is not None)
        if len(ended) == len(runs):
            del self._running[name]
            self._settle(settled(self._pipeline.step(name), ended))

    def _settle(self, result: StepResult) -> None:
        self.results[result.name] = result
        if result.chosen is not None:
            self._keep(result.name, result.chosen)
        self._on_event(StepEnded(result))
        if result.status is StepStatus.FINISHED:
            return
        blocked = downstream(self._graph, [result.name]) - set(self.results)
        for name in self._graph:
            if name in blocked:
                skipped = self.results[name] = StepResult(name, StepStatus.UPSTREAM_FAILED)
                self._on_event(StepEnded(skipped))
        if self._fail_fast:
            self.failed_fast = self._runner.stop.reason is None or self.failed_fast
            self._runner.stop.request(f"step {result.name!r} failed")

    def _keep(self, step: str, chosen: StepRun) -> None:
        self._outputs[step] = chosen
        if chosen.map_index >= 0:
            self._runner.store.tags.set(self._runner.parent.run_id, {f"{CHOSEN_TAG}{step}": chosen.run_id})


def _run_of(message: Ended) -> StepRun:
    if isinstance(message.run, BaseException):
        raise message.run
    return message.run


def settled(step: Step, runs: tuple[StepRun, ...]) -> StepResult:
    """Return what a step came to once all of its runs have ended: it finishes when all of them did."""
    for status in (StepStatus.FAILED, StepStatus.KILLED):
        failed = next((run for run in runs if run.status is status), None)
        if failed is not None:
            return StepResult(step.name, status, runs, error=failed.error)
    if step.choose is None:
        return StepResult(step.name, StepStatus.FINISHED, runs, chosen=None if step.sweep else runs[0])
    best = choose_best(step.choose, [run.metrics for run in runs])
    if best is None:
        return StepResult(step.name, StepStatus.FAILED, runs, error=_nothing_to_choose(step, runs))
    return StepResult(step.name, StepStatus.FINISHED, runs, chosen=runs[best])


def _nothing_to_choose(step: Step, runs: tuple[StepRun, ...]) -> HeadgateError:
    assert step.choose is not None
    logged = sorted({key for run in runs for key in run.metrics} - {step.choose.metric})
    return InvalidPipeline(
        f"No run of the sweep {step.name!r} logged a finite {step.choose.metric!r}, so none can be chosen.",
        remedy=f"Log it in every run. {did_you_mean(step.choose.metric, logged)}",
        step=step.name,
        run_ids=tuple(run.run_id for run in runs),
    )
