"""What the plugin adds to Airflow's servers as they start

Each server is started as far as its imports go; the plugin's part is then timed by itself. Processor time: the load of
the machine hardly shows in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

from tests.bench.figures import Figure, alone, durations

_TIMED = """\
import warnings
warnings.simplefilter("ignore")
from time import process_time
{before}
start = process_time()
{ours}
print(process_time() - start)
"""
_API_SERVER = """\
import headgate.airflow.plugin as plugin
application = plugin.HeadgatePlugin.fastapi_apps
plugin.HeadgatePlugin.fastapi_apps = []
from airflow.api_fastapi.app import create_app
create_app(apps="core")"""


def measure(repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as home:
        server, processor = durations(
            repeats,
            ("the view, in the API server", seconds_of(home, _API_SERVER, "application.fget(plugin.HeadgatePlugin())")),
            (
                "the plugin, in the dag-processor",
                seconds_of(home, "import airflow.dag_processing.manager", "import headgate.airflow.plugin"),
            ),
        )
    return [alone(server.what, server, at_most=200), alone(processor.what, processor, at_most=20)]


def seconds_of(home: str, before: str, ours: str) -> Callable[[], float]:
    """Return what starts a Python, does what comes before, and measures our part of it."""
    environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

    def run() -> float:
        command = [sys.executable, "-c", _TIMED.format(before=before, ours=ours)]
        said = subprocess.run(command, capture_output=True, text=True, env=environment)
        if said.returncode:
            sys.exit(f"{said.stdout}\n{said.stderr}")
        return float(said.stdout.split()[-1])

    return run
