"""Flows in processes of their own, for tests that kill them: started by a worker, by ``serve`` or as a script."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from headgate.store import RunContext, Store
from headgate.store.entities import Run, RunInfo
from tests.plugin.prefect.projects import new_name
from tests.plugin.prefect.server import PrefectServer, guarded, shown, wait_until
from tests.tasks.processes import alive

TIMEOUT = 15  # seconds: enough for an entry point to begin on a busy machine
# Silent, and it does not care for SIGTERM, nor does what it starts.
MLPROJECT = """\
name: stubborn
entry_points:
  main:
    parameters: {{number: {{type: float, default: 0}}}}
    command: "trap '' TERM; sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; wait; wait; sleep 600"
"""
FLOWS = """\
import os
from prefect import flow
from headgate.prefect import gated_flow, run_project, settle_flow_run

PROJECT = {project!r}
BLOCK = {block!r}

@flow(on_crashed=[settle_flow_run], on_cancellation=[settle_flow_run])
def direct():
    run_project(PROJECT)

@flow
def submitted():
    run_project.submit(PROJECT).result()

@flow
def mapped():
    run_project.map(PROJECT, parameters=[{{"number": 1}}, {{"number": 2}}]).result()

@flow
def task_timeout():
    run_project.with_options(timeout_seconds={timeout}).submit(PROJECT).result()

@gated_flow(timeout_seconds={timeout})
def flow_timeout():
    run_project.submit(PROJECT).result()

@gated_flow(store=BLOCK)
def of_a_block():
    run_project(PROJECT, store=BLOCK)

@gated_flow
def of_a_block_unsaid():
    run_project(PROJECT, store=BLOCK)

if __name__ == "__main__":
    import sys
    name, *served = sys.argv[1:]
    globals()[name].serve(*served) if served else globals()[name]()
"""


# The guardian puts away what is left when its command has ended; this one does not end.
KEEPER = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]).wait(); time.sleep(3600)"


@dataclass
class Doomed:
    """Flows whose entry point would run for ten minutes.

    Args:
        file: with the flows.
        pids: what the entry points write their processes' ids into.
        block: the name of a block that is the store's, once it is saved.
        home: the home folder of flows that no environment tells of a store; None for flows that it does tell.
    """

    server: PrefectServer
    store: Store
    folder: Path
    file: Path
    pids: Path
    block: str
    home: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        machine = {**self.server.environment, "HEADGATE_LEASE_SECONDS": "6"}
        if self.home is None:
            return {**machine, "HEADGATE_STORE_URL": self.store.url}
        untold = {name: value for name, value in machine.items() if name not in ("HEADGATE_STORE_URL", "HEADGATE_HOME")}
        return {**untold, "HOME": str(self.home)}

    @contextmanager
    def script(self, flow: str) -> Iterator[int]:
        """Run a flow as a script until its entry points run; give the process's id."""
        log = self.folder / f"{flow}.log"
        with self.kept([sys.executable, str(self.file), flow], log) as pid:
            self.wait_until_at_work(log, 2 if flow == "mapped" else 1)
            yield pid

    @contextmanager
    def kept(self, command: list[str], log: Path) -> Iterator[int]:
        """Run a command, and give its process's id; what it leaves behind when it dies is there until the test ends."""
        whole = [sys.executable, "-c", KEEPER, *command]
        with guarded(whole, log, self.environment, self.folder) as guardian:
            yield child_of(child_of(guardian.pid))

    def wait_until_at_work(self, log: Path, entry_points: int = 1) -> None:
        def running() -> bool:
            return self.pids.exists() and len(self.pids.read_text().split()) == 2 * entry_points

        wait_until(running, lambda: f"entry point at work:\n{shown(log)}")

    def nothing_lives(self) -> bool:
        return not any(alive(int(pid)) for pid in self.pids.read_text().split())

    def wait_until_dead(self) -> None:
        wait_until(self.nothing_lives, "end of the entry point")

    def parent(self, flow_run_id: object) -> Run:
        flow = self.read(flow_run_id)
        with get_client(sync_client=True) as client:
            name = client.read_flow(flow.flow_id).name
        found = self.store.runs.find_by_context(RunContext("prefect", name, str(flow_run_id)))
        assert found is not None
        return found

    def runs(self, flow_run_id: object) -> tuple[RunInfo, ...]:
        return self.store.runs.children(self.parent(flow_run_id).info.run_id)

    def newest(self, flow: str) -> UUID:
        """Return the id of the newest flow run that has a run in this store."""
        (parent,) = (
            info
            for info in self.store.runs.search([e.experiment_id for e in self.store.experiments.search().items]).items
            if info.info.context.task is None and info.info.context.pipeline == flow.replace("_", "-")
        )
        return UUID(parent.info.context.pipeline_run_id)

    @staticmethod
    def read(flow_run_id: object) -> FlowRun:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(UUID(str(flow_run_id)))


def doomed(server: PrefectServer, store: Store, folder: Path) -> Doomed:
    """Write the project and the flows into a folder."""
    pids, project, file = folder / "pids", folder / "stubborn", folder / "doomed_flows.py"
    project.mkdir()
    (project / "MLproject").write_text(MLPROJECT.format(pids=pids))
    block = new_name("doomed")
    file.write_text(FLOWS.format(project=str(project), timeout=TIMEOUT, block=block))
    return Doomed(server, store, folder, file, pids, block)


def child_of(parent: int) -> int:
    """Return the id of the only child of a process."""
    found: list[int] = []

    def there() -> bool:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found[:] = [int(pid) for pid in children]
        return len(found) == 1

    wait_until(there, f"child of process {parent}")
    return found[0]


def descendants(ancestor: int) -> list[int]:
    """Return the ids of a process's children, their children, and so on."""
    found = []
    waiting = [ancestor]
    while waiting:
        pid = waiting.pop()
        try:
            children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:  # it has ended
            continue
        found += children
        waiting += children
    return found


def environment_of(pid: int) -> dict[str, str]:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
