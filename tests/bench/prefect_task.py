"""A task around a trivial entry point, and a tracked function, beside what a flow does without Headgate

Inside of one flow run, against a Prefect server on loopback: ``run_project`` beside a task that starts the same command
with ``subprocess``, and a task below ``tracked`` beside the same task without it. Once by the clock, once in processor
time.
"""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Figure, durations, more_than

CALLS = 10
MLPROJECT = """\
name: echo
entry_points:
  main:
    command: "echo hello"
"""


def measure(repeats: int) -> list[Figure]:
    from tests.plugin.prefect.server import SETTINGS, running_server

    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "project").mkdir()
        (folder / "project" / "MLproject").write_text(MLPROJECT)
        os.environ.update(HEADGATE_STORE_URL=f"sqlite:///{folder}/headgate.db", PREFECT_HOME=str(folder / "home"))
        with running_server(folder) as server:
            os.environ["PREFECT_API_URL"] = server.api_url
            return _measure(repeats, str(folder / "project"))


def _measure(repeats: int, project: str) -> list[Figure]:
    from prefect import flow, task

    from headgate.prefect import run_project, tracked
    from headgate.prefect.store_access import close_stores

    logging.getLogger("prefect").setLevel(logging.ERROR)

    @task
    def echo() -> None:
        subprocess.run(["bash", "-c", "echo hello"], check=True, capture_output=True)

    def train(depth: int, rate: float = 0.5) -> dict[str, float]:
        return {"f1": 0.9, "loss": rate / depth}

    bare, recorded = task(train), task(tracked(train))

    @flow
    def compared() -> list[Figure]:
        return [
            more_than(ours.what, ours, without, at_most=wanted)
            for name, clock in (("by the clock", time.perf_counter), ("processor time", _processor_seconds))
            for wanted, things in (
                (300, ((f"run_project, {name}", lambda: run_project(project)), ("subprocess", echo))),
                (30 * CALLS, ((f"{CALLS} tracked tasks, {name}", _calls(recorded)), ("bare", _calls(bare)))),
            )
            for ours, without in (durations(repeats, *((what, _timed(do, clock)) for what, do in things)),)
        ]

    figures = compared()
    close_stores()
    return figures


def _calls(task: Callable[[int], object]) -> Callable[[], object]:
    return lambda: [task(6) for _ in range(CALLS)]


def _timed(do: Callable[[], object], clock: Callable[[], float]) -> Callable[[], float]:
    def seconds() -> float:
        start = clock()
        do()
        return clock() - start

    return seconds


def _processor_seconds() -> float:
    """Of this process and of what it has started: the load of the machine hardly shows in it."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
