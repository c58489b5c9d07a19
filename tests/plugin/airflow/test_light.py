"""Parsing a DAG and loading the plugin reach for nothing outside of the process, and load nothing heavy.

Airflow parses a DAG's file every half a minute, and again in the process of every task; it loads plugins in each of its
processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headgate import airflow as face

DAG_FILE = Path(__file__).with_name("light_dag.py")
HEAVY = {
    *("boto3", "botocore", "fastapi", "great_expectations", "mlflow", "numpy", "pandas", "psycopg", "pyarrow"),
    *("pymysql", "sklearn", "sqlmodel", "starlette", "uvicorn"),
}
# What Airflow itself loads stands before the hook (its cron library asks `file` about Python): this is about what we
# add to it.
WATCHED = """
import json, sys
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, task
before = {{name.partition(".")[0] for name in sys.modules}}
seen = []
reaching_out = ("ftplib.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.", "sqlite3.", "subprocess.",
    "urllib.")
sys.addaudithook(lambda event, arguments: event.startswith(reaching_out) and seen.append([event, repr(arguments)]))
{code}
loaded = sorted({{name.partition(".")[0] for name in sys.modules}} - before)
ours = sorted(name for name in sys.modules if name.startswith("headgate."))
print("\\n" + json.dumps({{"seen": seen, "loaded": loaded, "ours": ours}}))
"""


def watch(code: str) -> dict[str, Any]:
    """Run code in a process of its own, after Airflow is imported; return what it reached for and loaded."""
    ran = subprocess.run([sys.executable, "-c", WATCHED.format(code=code)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.oldest_airflow
def test_parsing_a_dag_with_everything_in_it(airflow_database: None) -> None:
    found = watch(f"import runpy\nassert len(runpy.run_path({str(DAG_FILE)!r})['dag'].task_dict) > 12")
    assert found["seen"] == []
    assert HEAVY & set(found["loaded"]) == set()
    assert not {name for name in found["ours"] if name.startswith(("headgate.server", "headgate.wire"))}


def test_the_dag_has_every_operator_in_it() -> None:
    text = DAG_FILE.read_text()
    operators = [name for name in face.__all__ if name.endswith("Operator") and name != "HeadgateOperator"]
    assert [name for name in operators if f"{name}" not in text] == []


def test_loading_the_plugin_and_the_provider(airflow_database: None) -> None:
    found = watch(
        "from airflow.sdk.listener import get_listener_manager\n"
        "from airflow.providers_manager import ProvidersManager\n"
        "assert any('headgate' in str(plugin) for plugin in get_listener_manager().pm.get_plugins())\n"
        "assert ProvidersManager().providers['headgate'].data['name'] == 'Headgate'\n"
    )
    assert found["seen"] == []
    assert HEAVY & set(found["loaded"]) == set()


def test_what_every_process_imports_loads_nothing_of_the_store() -> None:
    found = watch("import headgate.airflow.plugin, headgate.airflow.provider, headgate.airflow.listener")
    assert HEAVY & set(found["loaded"]) == set()
    assert [name for name in found["ours"] if name.startswith(("headgate.store.tables", "headgate.tasks."))] == []
