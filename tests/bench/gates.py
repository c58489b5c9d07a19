"""Gates: deciding, reading a gate file, and a suite of expectations beside Great Expectations alone

Deciding is pure: nothing is read or written. The suite has 20 expectations and the table 100,000 rows; what is added is
the run, the digest of the data, the reports and the reading of the suite.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, alone, durations, in_turns, more_than, timed

CHECKS = 100
ROWS = 100_000
EXPECTATIONS = 20
IN_A_ROW = 20  # decisions per turn: one alone is too short to be timed


def measure(repeats: int) -> list[Figure]:
    return [*_deciding(3 * repeats), *_expectations(repeats)]


def _deciding(repeats: int) -> list[Figure]:
    from headgate.store.entities import Metric
    from headgate.tasks import AllOf, Evidence, Gate, Improvement, Threshold, decide, gate_from_definition

    half = CHECKS // 2
    gate = Gate(
        "hundred",
        AllOf(
            [
                *(Threshold(f"m{n}", at_least=0.5) for n in range(half)),
                *(Improvement(f"m{n}", by=0.01) for n in range(half)),
            ]
        ),
        when_no_champion="reject",
    )

    def measured(value: float) -> tuple[Metric, ...]:
        return tuple(
            Metric(f"m{n}", value, 1000, run_id="a" * 32, dataset_name="holdout", dataset_digest="feed1234")
            for n in range(half)
        )

    candidate, champion = Evidence("m-1", measurements=measured(0.9)), Evidence("m-2", measurements=measured(0.8))
    definition = gate.definition()

    def decided() -> float:
        begin = time.perf_counter()
        for _ in range(IN_A_ROW):
            decide(gate, candidate, champion, 2000, model_name="model", target="@champion")
        return (time.perf_counter() - begin) / IN_A_ROW

    deciding, reading = durations(
        repeats,
        (f"decide, {CHECKS} checks", decided),
        (f"build a gate of {CHECKS} checks", timed(lambda: gate_from_definition(definition))),
    )
    return [alone(deciding.what, deciding, at_most=1), alone(reading.what, reading)]


def _expectations(repeats: int) -> list[Figure]:
    import pandas

    from headgate.store import open_store
    from headgate.tasks import validate_data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
    if not _imports_none():
        sys.exit("Importing Headgate imported Great Expectations.")
    table = pandas.DataFrame({f"c{n}": range(ROWS) for n in range(EXPECTATIONS)})
    wanted: list[dict[str, Any]] = [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": f"c{n}", "min_value": 0, "max_value": ROWS}}
        for n in range(EXPECTATIONS)
    ]

    def by_great_expectations() -> None:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("data").add_dataframe_asset("table")
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
        if not batch.validate(gx.ExpectationSuite(name="s", expectations=wanted), result_format="SUMMARY").success:
            sys.exit("The suite is not met.")

    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{Path(folder)}/headgate.db") as store:

        def by_headgate() -> None:
            validate_data(table, {"name": "s", "expectations": wanted}, name="table", store=store)

        ours, alone_ = in_turns(
            repeats,
            (f"validate_data, {EXPECTATIONS} expectations", by_headgate),
            ("Great Expectations", by_great_expectations),
        )
    return [more_than(ours.what, ours, alone_, at_most=300)]


def _imports_none() -> bool:
    faces = ("headgate.store", "headgate.wire", "headgate.tasks", "headgate.flows", "headgate.cli")
    code = f"import sys, {', '.join(faces)}; sys.exit('great_expectations' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
