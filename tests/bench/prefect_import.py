"""Importing Headgate's tasks into a flow's file, beside Prefect itself

What a flow's file has imported already (``prefect``, which loads the package through its entry point) is the baseline.
It is processor time: every flow's process pays it, and the load of the machine hardly shows in it.
"""

from __future__ import annotations

from tests.bench.figures import Figure, durations, more_than
from tests.bench.startup import processor_seconds, python

PREFECT = "from prefect import flow, task"
TASKS = """\
from headgate.prefect import (
    decide_gate, evaluate_model, promote_model, reap_runs, register_model, roll_back_model, run_project, validate_data,
)"""


def measure(repeats: int) -> list[Figure]:
    package, tasks, prefect = durations(
        repeats,
        ("import headgate.prefect", processor_seconds(python(f"{PREFECT}\nimport headgate.prefect"))),
        ("import every task", processor_seconds(python(f"{PREFECT}\n{TASKS}"))),
        ("import prefect", processor_seconds(python(PREFECT))),
    )
    return [more_than(package.what, package, prefect, at_most=50), more_than(tasks.what, tasks, prefect)]
