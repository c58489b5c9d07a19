"""Creating runs, one transaction each, on SQLite

Beside the bare driver inserting the same row of the same table, and beside MLflow's client.
"""

from __future__ import annotations

import uuid

from tests.bench.figures import Figure, in_turns, speed_against
from tests.bench.stores import fresh_stores, insert, now_ms

RUNS = 100
COLUMNS = (
    *("run_id", "experiment_id", "name", "status", "start_time", "lifecycle_stage", "artifact_uri", "user_id"),
    *("origin", "map_index", "attempt"),
)


def measure(repeats: int) -> list[Figure]:
    with fresh_stores() as stores:

        def ours() -> None:
            for _ in range(RUNS):
                stores.headgate.runs.open("0", name="bench")

        def bare() -> None:
            for _ in range(RUNS):
                row = (uuid.uuid4().hex, 0, "bench", "RUNNING", now_ms(), "active", "file:///tmp", "", "local", -1, 1)
                stores.raw.execute("BEGIN IMMEDIATE")
                stores.raw.execute(insert("headgate_run", COLUMNS), row)
                stores.raw.execute("COMMIT")

        def mlflows() -> None:
            for _ in range(RUNS):
                stores.mlflow.create_run("0", run_name="bench")

        opened, inserted, created = in_turns(
            repeats, (f"open {RUNS} runs", ours), ("sqlite3 insert", bare), ("MlflowClient.create_run", mlflows)
        )
    return [speed_against(opened.what, opened, inserted), speed_against(opened.what, opened, created)]
