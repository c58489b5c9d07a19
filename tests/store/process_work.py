"""Work for processes that use one store together. No pytest in here: each process imports this module.

The processes come from a fork server that has the store imported already, so that starting eight costs little, and
none of them inherits a thread or a connection of the test's.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

from headgate.store import run_batches
from headgate.store.entities import Experiment, Metric, RunContext, RunStatus
from headgate.store.errors import RunNotActive
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store

PATIENCE = 120.0  # seconds; machines under load start processes slowly

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["alembic.command", "headgate.store.runs", "headgate.store.store", "psycopg", "pymysql", "sqlmodel"]
)


def together(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run ``work`` once per tuple of arguments, each in a process of its own, all starting at one moment."""
    barrier = _context.Barrier(len(arguments))
    with _context.Pool(len(arguments), initializer=_wait_at, initargs=(barrier,)) as pool:
        return pool.starmap_async(_start, [(work, each) for each in arguments], chunksize=1).get(PATIENCE)


def alone(work: Callable[..., Any], *arguments: Any) -> int | None:
    """Run ``work`` in a process of its own and return its exit code, negative for a signal."""
    process = _context.Process(target=work, args=arguments)
    process.start()
    process.join(PATIENCE)
    return process.exitcode


_barrier: Barrier


def _wait_at(barrier: Barrier) -> None:
    global _barrier  # a pool hands shared objects over in no other way
    _barrier = barrier


def _start(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    _barrier.wait(PATIENCE)
    return work(*arguments)


def opened(url: str, *, auto_migrate: bool = False) -> Store:
    return open_store(url, artifact_root="/nowhere", settings=Settings(auto_migrate=auto_migrate))


def open_and_make_a_run(url: str) -> str:
    with opened(url, auto_migrate=True) as store:
        return store.runs.open("0").info.run_id


def log_metrics(url: str, shared_run: str, worker: int, rounds: int) -> str:
    """Log to a run of one's own and to a shared one; return the id of the former."""
    with opened(url) as store:
        own = store.runs.open("0", name=f"worker {worker}").info.run_id
        for step in range(rounds):
            store.runs.log_batch(
                own,
                metrics=[Metric("loss", step / 10, step, step), Metric("acc", 1.0, step, step)],
                params={f"p{step}": str(worker)},
                tags={"step": str(step)},
            )
            store.metrics.log(shared_run, [Metric("loss", float(worker), step, step)])
            store.tags.set(shared_run, {f"worker {worker}": str(step)})
        store.runs.finish(own, RunStatus.FINISHED)
        return own


def die_before_the_end_of_a_batch(url: str, run_id: str) -> None:
    """Be killed when everything of a batch is written and nothing is committed."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    run_batches.write_tags = die  # type: ignore[assignment]
    with opened(url) as store:
        metrics = [Metric(f"m{number % 50}", 1.0, number, number) for number in range(5000)]
        store.runs.log_batch(run_id, metrics=metrics, params={"a": "1"}, tags={"t": "1"})


def create_experiments(url: str, worker: int) -> list[str]:
    """Create experiments of one's own, and one that everybody wants."""
    with opened(url) as store:
        made: list[Experiment] = [store.experiments.create(f"experiment {worker}.{n}") for n in range(3)]
        made.append(store.experiments.get_or_create("everybody's"))
        return [experiment.experiment_id for experiment in made]


def open_attempt(url: str, attempt: int | None) -> str | None:
    """Open an attempt of one piece of work; None when a newer one was there."""
    context = RunContext(pipeline_run_id="scheduled", task="train", attempt=attempt)
    with opened(url) as store:
        try:
            return store.runs.open("0", context=context, params={"a": "1"}, lease_owner=str(os.getpid())).info.run_id
        except RunNotActive:
            return None


def modules_loaded_by_opening(url: str) -> list[str]:
    """Open a store in a fresh interpreter; return the heavy modules that this loaded."""
    script = f"""if True:
        import sys
        from headgate.store import open_store
        open_store({url!r}, artifact_root="/nowhere").close()
        print(*sorted({{"alembic", "boto3", "pandas"}} & sys.modules.keys()))
    """
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return answer.stdout.split()


def log_in_parent_and_forked_children(url: str, children: int) -> list[int]:
    """Use a store, fork, and use it on both sides; return the exit codes of the children."""
    store = opened(url)
    run_id = store.runs.open("0", run_id="forked").info.run_id
    pids = []
    for child in range(children):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _log_steps(store, run_id, child)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    _log_steps(store, run_id, children)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    store.metrics.log(run_id, [Metric("after", 1.0, 1)])
    store.close()
    return codes


def _log_steps(store: Store, run_id: str, writer: int) -> None:
    for step in range(20):
        store.metrics.log(run_id, [Metric(f"writer {writer}", float(step), step, step)])
        if store.runs.get_info(run_id).run_id != run_id:
            raise AssertionError("the answer to somebody else's question")
