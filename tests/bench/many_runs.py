"""Many runs in Headgate's tables and in MLflow's: the same ones, written set by set, a million in a minute.

The runs go into a temporary table first. Each table is then filled from it by one statement, in the order of its key
and without its indexes, which are made anew at the end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

START = 1_790_000_000_000

# A run with 3 metrics, 3 params and 2 tags.
_COLUMNS = ("run_id", "start_time", "name", "val_f1", "loss", "seconds", "max_depth", "model", "seed", "team")
_METRICS = ("val_f1", "loss", "seconds")
_PARAMS = ("max_depth", "model", "seed")
_TAGS = {"team": "team", "mlflow.runName": "name"}

_SOURCE = """
CREATE TEMPORARY TABLE bench_run (run_id TEXT, start_time BIGINT, name TEXT,
val_f1 DOUBLE PRECISION, loss DOUBLE PRECISION, seconds DOUBLE PRECISION,
max_depth TEXT, model TEXT, seed TEXT, team TEXT)
"""
_HEADGATE_RUNS = """
INSERT INTO headgate_run (run_id, experiment_id, name, status, start_time, lifecycle_stage, artifact_uri, user_id,
origin, map_index, attempt)
SELECT run_id, 0, name, 'FINISHED', start_time, 'active', '/tmp', '', 'local', -1, 1 FROM bench_run ORDER BY run_id
"""
_HEADGATE_METRICS = """
INSERT INTO headgate_metric_series (run_id, experiment_id, key, value, is_nan, timestamp, step)
SELECT run_id, 0, '{key}', {column}, false, start_time, 0 FROM bench_run ORDER BY run_id
"""
_HEADGATE_TEXTS = """
INSERT INTO {table} (run_id, experiment_id, key, value, value_head)
SELECT run_id, 0, '{key}', {column}, {column} FROM bench_run ORDER BY run_id
"""
_MLFLOW_RUNS = """
INSERT INTO runs (run_uuid, experiment_id, name, source_type, status, start_time, lifecycle_stage, artifact_uri,
user_id)
SELECT run_id, 0, name, 'LOCAL', 'FINISHED', start_time, 'active', '/tmp', '' FROM bench_run ORDER BY run_id
"""
_MLFLOW_METRICS = """
INSERT INTO latest_metrics (run_uuid, key, value, is_nan, timestamp, step)
SELECT run_id, '{key}', {column}, false, start_time, 0 FROM bench_run ORDER BY run_id
"""
_MLFLOW_TEXTS = """
INSERT INTO {table} (run_uuid, key, value) SELECT run_id, '{key}', {column} FROM bench_run ORDER BY run_id
"""


def write_to_headgate(url: str, number: int) -> None:
    """Add runs to experiment 0 of a store."""
    statements = [
        _HEADGATE_RUNS,
        *(_HEADGATE_METRICS.format(key=key, column=key) for key in _METRICS),
        *(_HEADGATE_TEXTS.format(table="headgate_param", key=key, column=key) for key in _PARAMS),
        *(_HEADGATE_TEXTS.format(table="headgate_run_tag", key=key, column=column) for key, column in _TAGS.items()),
    ]
    tables = ("headgate_run", "headgate_metric_series", "headgate_param", "headgate_run_tag")
    _write(url, number, statements, tables)


def write_to_mlflow(url: str, number: int) -> None:
    """Add the same runs to experiment 0 of an MLflow database."""
    statements = [
        _MLFLOW_RUNS,
        *(_MLFLOW_METRICS.format(key=key, column=key) for key in _METRICS),
        *(_MLFLOW_TEXTS.format(table="params", key=key, column=key) for key in _PARAMS),
        *(_MLFLOW_TEXTS.format(table="tags", key=key, column=column) for key, column in _TAGS.items()),
    ]
    _write(url, number, statements, ("runs", "latest_metrics", "params", "tags"))


def _rows(number: int) -> Iterator[tuple[Any, ...]]:
    """Give the same runs every time."""
    chance = random.Random(7)
    for index in range(number):
        yield (
            f"{chance.getrandbits(128):032x}",
            START + index * 1000,
            f"run-{index}",
            chance.random(),
            chance.expovariate(1),
            chance.uniform(1, 100),
            str(index % 10),
            chance.choice(("forest", "linear")),
            str(index),
            chance.choice(("red", "blue", "green")),
        )


def _write(url: str, number: int, statements: list[str], tables: tuple[str, ...]) -> None:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA cache_size=-1000000")
            else:
                connection.exec_driver_sql("SET session_replication_role = replica")  # foreign keys are not asked
                connection.exec_driver_sql("SET maintenance_work_mem = '512MB'")
            connection.exec_driver_sql(_SOURCE)
            _fill(connection, number)
            with _without_indexes(connection, tables):
                for statement in statements:
                    connection.exec_driver_sql(statement)
            connection.commit()
        if engine.dialect.name == "postgresql":  # as its autovacuum does a minute later
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
    finally:
        engine.dispose()


def _fill(connection: Connection, number: int) -> None:
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" for _ in _COLUMNS)
        driver.executemany(f"INSERT INTO bench_run VALUES ({places})", _rows(number))
        return
    with driver.cursor() as cursor, cursor.copy("COPY bench_run FROM STDIN") as copy:
        for row in _rows(number):
            copy.write_row(row)


@contextmanager
def _without_indexes(connection: Connection, tables: tuple[str, ...]) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = :table"
    else:
        asked = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table "
            "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
    found = [tuple(row) for table in tables for row in connection.execute(sa.text(asked), {"table": table})]
    for name, _ in found:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    yield
    for _, made in found:
        connection.exec_driver_sql(made)
