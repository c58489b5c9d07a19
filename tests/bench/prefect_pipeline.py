"""A pipeline of 50 steps as a flow, beside the same steps as plain Prefect tasks

Five chains of ten steps, on a server of their own on loopback. The plain tasks start the same processes with
``subprocess`` and record nothing. A flow takes a second for its heartbeat on both sides.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, in_turns, share_of

CHAINS, LENGTH = 5, 10
COMMAND = "python work.py"
PROJECT = f"name: many\nentry_points:\n  work: {{command: '{COMMAND}'}}\n"


def measure(repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="headgate-bench-", ignore_cleanup_errors=True) as home:
        from tests.plugin.prefect.server import SETTINGS

        folder = Path(home)
        # Before the first import of Prefect, which reads them.
        os.environ.update(
            {**SETTINGS, "PREFECT_HOME": f"{home}/home", "HEADGATE_STORE_URL": f"sqlite:///{home}/store.db"}
        )
        from tests.plugin.prefect.server import running_server

        with running_server(folder) as server:
            from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

            with temporary_settings({PREFECT_API_URL: server.api_url, PREFECT_LOGGING_LEVEL: "ERROR"}):
                ours, plain = in_turns(
                    repeats,
                    ("pipeline_flow, 50 steps", _pipeline(folder)),
                    ("50 plain tasks", _plain(folder)),
                )
    return [share_of(ours.what, ours, plain, at_most=1.3)]


def _pipeline(folder: Path) -> Any:
    from headgate.prefect import pipeline_flow

    steps = []
    for chain in range(CHAINS):
        for place in range(LENGTH):
            needs = f", needs: [s{chain}_{place - 1}]" if place else ""
            steps.append(f"  s{chain}_{place}: {{entry_point: work, env: local{needs}}}")
    (folder / "work.py").write_text("print('done')\n")
    (folder / "MLproject").write_text(PROJECT)
    (folder / "pipeline.yaml").write_text("\n".join(["name: many", "steps:", *steps, ""]))
    return pipeline_flow(folder)


def _plain(folder: Path) -> Any:
    from prefect import flow, task

    @task
    def work() -> str:
        return subprocess.run(["bash", "-c", COMMAND], cwd=folder, check=True, capture_output=True, text=True).stdout

    @flow
    def plain() -> None:
        last = []
        for _ in range(CHAINS):
            before: list[Any] = []
            for _ in range(LENGTH):
                before = [work.submit(wait_for=before)]
            last += before
        for future in last:
            future.result()

    return plain
