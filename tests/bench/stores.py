"""The stores that figures are taken on: Headgate's on SQLite, the bare driver on the same file, and MLflow's."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.store import Store, open_store

# Those of headgate.store.database, so that the bare driver has no other durability and no other memory.
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY", "cache_size=-32768")


@dataclass(frozen=True)
class Stores:
    """``raw`` is the bare driver on Headgate's file; ``mlflow`` is an ``MlflowClient`` on a file of its own."""

    headgate: Store
    path: Path
    raw: sqlite3.Connection
    mlflow: Any
    mlflow_path: Path


@contextmanager
def fresh_stores() -> Iterator[Stores]:
    """Give empty stores in a temporary folder."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "headgate.db")
        with open_store(f"sqlite:///{path}") as store, closing(sqlite3.connect(path, isolation_level=None)) as raw:
            for pragma in PRAGMAS:
                raw.execute(f"PRAGMA {pragma}")
            mlflow_path = Path(folder, "mlflow.db")
            mlflow = MlflowClient(f"sqlite:///{mlflow_path}")
            mlflow.get_experiment("0")  # makes its tables
            yield Stores(store, path, raw, mlflow, mlflow_path)


def insert(table: str, columns: tuple[str, ...]) -> str:
    """Return the statement that inserts one row of a table, as a user of the bare driver would write it."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"


def now_ms() -> int:
    return time.time_ns() // 1_000_000
