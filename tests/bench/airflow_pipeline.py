"""DAGs of pipelines: parsing a file of 100 steps

Each new process stands for a parse of the DAG processor or a task's: it has Airflow loaded, and forks. ``again`` is the
same file in a process that has parsed it before. Processor time: the load of the machine hardly shows in it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Figure, alone, durations

STEPS = 100
PROJECT = """\
name: long
entry_points:
  work:
    parameters: {data: {type: string, default: none}, depth: {type: int, default: 3}}
    command: "echo {data} {depth}"
"""


def measure(repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as home:
        os.environ.setdefault("AIRFLOW_HOME", home)
        import airflow.sdk  # noqa: F401 - as in the processes that fork to parse

        folder = _pipeline(Path(home))
        fork, again, plain = durations(
            repeats,
            ("PipelineDag, 100 steps, in a new process", lambda: _in_a_fork(lambda: None, lambda: _render(folder))),
            ("PipelineDag, 100 steps, again", lambda: _in_a_fork(lambda: _render(folder), lambda: _render(folder))),
            ("a DAG of 100 plain operators, in a new process", lambda: _in_a_fork(lambda: None, _plain)),
        )
    return [
        alone(fork.what, fork, at_most=1000),
        alone(again.what, again, at_most=100),
        alone(f"{plain.what}, to compare", plain),
    ]


def _pipeline(folder: Path) -> Path:
    """Write a pipeline in which every step but the first takes something from the one before, and one in ten sweeps."""
    steps = ["  s0: {entry_point: work}"]
    for number in range(1, STEPS):
        taken = f"\"{{{{ steps.s{number - 1}.artifacts['out.txt'] }}}}\""
        swept = f", sweep: {{depth: [{number}, {number + 1}]}}, choose: {{metric: f1}}" if number % 10 == 0 else ""
        steps.append(f"  s{number}: {{entry_point: work, parameters: {{data: {taken}}}, retries: 2{swept}}}")
    (folder / "MLproject").write_text(PROJECT)
    (folder / "pipeline.yaml").write_text("\n".join(["name: long", "steps:", *steps, ""]))
    return folder


def _render(folder: Path) -> None:
    from headgate.airflow import PipelineDag

    assert len(PipelineDag(folder).task_dict) == STEPS + (STEPS - 1) // 10 + 2


def _plain() -> None:
    from airflow.sdk import DAG, BaseOperator

    with DAG("plain"):
        for number in range(STEPS):
            BaseOperator(task_id=f"s{number}")


def _in_a_fork(first: Callable[[], None], then: Callable[[], None]) -> float:
    """Measure ``then`` in a fork of this process, which has loaded nothing of Headgate's doors itself."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        first()
        start = time.process_time()
        then()
        os.write(writing, repr(time.process_time() - start).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        seconds = said.read()
    os.waitpid(child, 0)
    return float(seconds)
