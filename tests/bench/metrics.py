"""Logging metrics on SQLite: in batches, and point by point with a transaction each

Beside the bare driver inserting as many points into the same table, with nothing checked, no latest value kept and no
repeated point recognised; and beside MLflow's client. What is inserted stands ready before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgate.store.entities import Metric
from tests.bench.figures import Figure, durations, speed_against, timed
from tests.bench.stores import Stores, fresh_stores, insert, now_ms

KEYS = tuple(f"metric_{number}" for number in range(10))
MOST_OF_MLFLOW = 1000  # points in one batch
SINGLE = 200
INSERT_POINT = insert("headgate_metric_point", ("series_id", "step", "timestamp", "value", "is_nan"))
INSERT_SERIES = insert(
    "headgate_metric_series", ("run_id", "key", "experiment_id", "value", "is_nan", "timestamp", "step")
)


def measure(repeats: int) -> list[Figure]:
    with fresh_stores() as stores:
        big, big_bare = durations(repeats, *_batches(stores, 10_000))
        small, small_bare, small_mlflow = durations(
            repeats, *_batches(stores, MOST_OF_MLFLOW), ("MlflowClient.log_batch", lambda: _mlflow_batch(stores))
        )
        single, single_bare, single_mlflow = durations(
            repeats,
            (f"{SINGLE} single points", lambda: _single(stores)),
            ("sqlite3 insert", lambda: _bare_single(stores)),
            ("MlflowClient.log_metric", lambda: _mlflow_single(stores)),
        )
    return [
        speed_against(big.what, big, big_bare, at_least=0.5),
        speed_against(small.what, small, small_bare, at_least=0.5),
        speed_against(small.what, small, small_mlflow),
        speed_against(single.what, single, single_bare),
        speed_against(single.what, single, single_mlflow),
    ]


def _batches(stores: Stores, points: int) -> list[tuple[str, Callable[[], float]]]:
    return [
        (f"batch of {points:,} points", lambda: _batch(stores, points)),
        ("sqlite3 executemany", lambda: _bare_batch(stores, points)),
    ]


def _batch(stores: Stores, points: int) -> float:
    run_id = _run(stores)
    now = now_ms()
    metrics = [Metric(key, float(step), now, step) for step in range(points // len(KEYS)) for key in KEYS]
    return timed(lambda: stores.headgate.metrics.log(run_id, metrics))()


def _bare_batch(stores: Stores, points: int) -> float:
    series = _bare_series(stores)
    now = now_ms()
    rows = [(of_key, step, now, float(step), False) for of_key in series for step in range(points // len(KEYS))]
    return timed(lambda: _transaction(stores, rows))()


def _mlflow_batch(stores: Stores) -> float:
    from mlflow.entities import Metric as MlflowMetric

    run_id = _mlflow_run(stores)
    now = now_ms()
    steps = range(MOST_OF_MLFLOW // len(KEYS))
    metrics = [MlflowMetric(key, float(step), now, step) for step in steps for key in KEYS]
    return timed(lambda: stores.mlflow.log_batch(run_id, metrics=metrics))()


def _single(stores: Stores) -> float:
    run_id = _run(stores)

    def log() -> None:
        for step in range(SINGLE):
            stores.headgate.metrics.log(run_id, [Metric("loss", 0.5, now_ms(), step)])

    return timed(log)()


def _bare_single(stores: Stores) -> float:
    series = _bare_series(stores)[0]

    def log() -> None:
        for step in range(SINGLE):
            _transaction(stores, [(series, step, now_ms(), 0.5, False)])

    return timed(log)()


def _mlflow_single(stores: Stores) -> float:
    run_id = _mlflow_run(stores)

    def log() -> None:
        for step in range(SINGLE):
            stores.mlflow.log_metric(run_id, "loss", 0.5, now_ms(), step)

    return timed(log)()


def _run(stores: Stores) -> str:
    return stores.headgate.runs.open("0").info.run_id


def _mlflow_run(stores: Stores) -> str:
    return str(stores.mlflow.create_run("0").info.run_id)


def _bare_series(stores: Stores) -> list[int]:
    run_id = _run(stores)
    stores.raw.executemany(INSERT_SERIES, [(run_id, key, 0, 0.0, False, 0, 0) for key in KEYS])
    found = stores.raw.execute("SELECT series_id FROM headgate_metric_series WHERE run_id = ?", (run_id,))
    return [series_id for (series_id,) in found]


def _transaction(stores: Stores, rows: list[tuple[Any, ...]]) -> None:
    stores.raw.execute("BEGIN IMMEDIATE")
    stores.raw.executemany(INSERT_POINT, rows)
    stores.raw.execute("COMMIT")
