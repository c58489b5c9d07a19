"""The tables load one by one: a process that records a run builds the classes that a run needs, and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from headgate.store.tables import schema
from headgate.store.tables.base import Base

_RUN = """
import json, sys
from headgate.store import RunContext, open_store
from headgate.store.entities import Metric
with open_store(sys.argv[1]) as store:
    run = store.runs.open("0", context=RunContext(), tags={"team": "red"}, params={"depth": "6"})
    store.metrics.log(run.info.run_id, [Metric("f1", 0.9, 1_790_000_000_000, 1)])
    store.runs.get(run.info.run_id)
print(json.dumps([name for name in sys.modules if name.startswith(("headgate.store.tables.", "sqlalchemy.dialects."))]))
"""


def test_a_run_loads_neither_tables_nor_dialects_that_it_has_no_use_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    _python(_RUN, url)  # makes all the tables
    loaded: list[str] = json.loads(_python(_RUN, url))
    tables = {name.split(".")[3] for name in loaded if name.startswith("headgate.")}
    assert {"experiments", "metrics", "runs"} <= tables
    assert tables.isdisjoint({"outbox", "promotions", "registry", "schema", "tokens"})
    dialects = {name.split(".")[2] for name in loaded if name.startswith("sqlalchemy.")}
    assert "sqlite" in dialects
    assert dialects.isdisjoint({"mysql", "postgresql"})


@pytest.mark.parametrize("module", schema.TABLES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_schema_has_the_tables_of_every_module(module: ModuleType) -> None:
    rows = [row for row in vars(module).values() if isinstance(row, type) and row.__module__ == module.__name__]
    tables = {row.__table__ for row in rows if issubclass(row, Base)}
    assert tables
    assert tables <= set(schema.metadata.tables.values())


def test_the_schema_leaves_no_module_out() -> None:
    modules = {path.stem for path in Path(str(schema.__file__)).parent.glob("*.py")}
    known = {module.__name__.rpartition(".")[2] for module in schema.TABLES}
    assert modules - known == {"__init__", "base", "schema"}


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
