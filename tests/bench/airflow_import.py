"""Importing operators into a DAG file, beside Airflow itself

What a DAG file has imported already (``airflow.sdk``) is the baseline. It is processor time: every
task and every parse pays it, and the load of the machine hardly shows in it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from statistics import median

from tests.bench.figures import Figure, Samples, Target, durations, more_than
from tests.bench.startup import processor_seconds, python

AIRFLOW = "from airflow.sdk import DAG, BaseOperator, task"
OURS = """\
from headgate.airflow import (
    ApprovePromotionOperator, EvaluateModelOperator, GateOperator, PromoteModelOperator, ReapRunsOperator,
    RegisterModelOperator, RollBackModelOperator, RunProjectOperator, ValidateDataOperator,
)"""
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"


def measure(repeats: int) -> list[Figure]:
    both = f"{AIRFLOW}\n{OURS}"
    with_us, airflow = durations(
        repeats,
        ("import every operator", processor_seconds(python(both))),
        ("import airflow.sdk", processor_seconds(python(AIRFLOW))),
    )
    memory, airflows = durations(
        repeats, ("memory of that", peak(both)), ("import airflow.sdk", peak(AIRFLOW)), unit="MB"
    )
    plugin, bare = durations(
        repeats,
        ("import the plugin", processor_seconds(python(f"{AIRFLOW}\nimport headgate.airflow.plugin"))),
        ("import airflow.sdk", processor_seconds(python(f"{AIRFLOW}\nimport airflow.plugins_manager"))),
    )
    return [
        more_than(with_us.what, with_us, airflow, at_most=150),
        megabytes_more(memory, airflows, at_most=15 * 1.048576),
        more_than(plugin.what, plugin, bare),
    ]


def peak(code: str) -> Callable[[], float]:
    """Return what measures the most memory, in bytes, that a Python running this code has resident."""

    def run() -> float:
        said = subprocess.run([sys.executable, "-c", f"{code}\n{PEAK}"], capture_output=True, text=True, check=True)
        return float(said.stdout.split()[-1])

    return run


def megabytes_more(measured: Samples, baseline: Samples, at_most: float) -> Figure:
    more = median(m - b for m, b in zip(measured.seconds, baseline.seconds, strict=True)) / 1e6
    return Figure(measured.what, measured, baseline, more, "MB more", Target(at_most, at_most=True))
