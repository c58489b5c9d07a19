"""headgate run around echo, in the environment it was started from

Beside what Python takes to import SQLModel (no run is recorded without it), and beside ``mlflow run`` of the same
project into a SQLite store of its own. Both stores are there before the first turn.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.bench.figures import Figure, durations, in_turns, more_than, share_of
from tests.bench.startup import processor_seconds, program, python

MLPROJECT = """\
name: echo
entry_points:
  main:
    command: "echo hello"
"""


def measure(repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "echo")
        project.mkdir()
        (project / "MLproject").write_text(MLPROJECT)
        programs = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HEADGATE_STORE_URL": f"sqlite:///{folder}/headgate.db",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        }
        ours = program(programs / "headgate", "run", project, "--env", "local", env=environment, cwd=folder)
        mlflows = program(programs / "mlflow", "run", project, "--env-manager", "local", env=environment, cwd=folder)
        headgate, sqlmodel, mlflow, echo = in_turns(
            repeats,
            ("headgate run", ours),
            ("import sqlmodel", python("import sqlmodel")),
            ("mlflow run", mlflows),
            ("bash -c echo", program("bash", "-c", "echo hello")),
        )
        busy, busy_sqlmodel = durations(
            repeats,
            ("headgate run, processor time", processor_seconds(ours)),
            ("import sqlmodel", processor_seconds(python("import sqlmodel"))),
        )
    return [
        more_than("headgate run", headgate, sqlmodel, at_most=400),
        more_than(busy.what, busy, busy_sqlmodel),
        share_of("headgate run", headgate, mlflow, at_most=0.5),
        more_than("headgate run", headgate, echo),
    ]
