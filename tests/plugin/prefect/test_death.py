"""However a flow run dies, its entry points die with it, silent and stubborn ones too, and its runs say so."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.flows import load_flow_from_entrypoint
from prefect.states import Cancelling, Crashed

from headgate.prefect import HeadgateStore, reap_runs
from headgate.store import Store
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from tests.plugin.prefect.deaths import Doomed, descendants, doomed, environment_of
from tests.plugin.prefect.server import PrefectServer, shown, wait_until
from tests.tasks.processes import alive

POOL = "headgate-deaths"


@pytest.fixture
def work(prefect_server: PrefectServer, store: Store, tmp_path: Path) -> Doomed:
    return doomed(prefect_server, store, tmp_path)


@pytest.mark.parametrize(
    ("how", "number"),
    [
        ("direct", signal.SIGTERM),
        ("submitted", signal.SIGTERM),
        ("mapped", signal.SIGTERM),
        ("submitted", signal.SIGINT),
    ],
)
def test_a_script_that_gets_a_signal(work: Doomed, how: str, number: signal.Signals) -> None:
    with work.script(how) as pid:
        os.kill(pid, number)
        wait_until(lambda: not alive(pid), "end of the script")
        work.wait_until_dead()
    flow_run_id = work.newest(how)
    assert {run.status for run in work.runs(flow_run_id)} == {"KILLED"}
    assert work.parent(flow_run_id).info.status == "KILLED"


def test_a_script_that_is_killed(work: Doomed) -> None:
    with work.script("submitted") as pid:
        os.kill(pid, signal.SIGKILL)
        work.wait_until_dead()
    flow_run_id = work.newest("submitted")
    assert [run.status for run in work.runs(flow_run_id)] == ["RUNNING"]
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_id, Crashed(message="its machine is gone"), force=True)

    @flow
    def housekeeping():
        return reap_runs()

    ended = housekeeping()
    assert {run.status for run in work.runs(flow_run_id)} == {"KILLED"}
    assert work.parent(flow_run_id).info.status == "KILLED"
    assert work.parent(flow_run_id).info.run_id in ended


def test_an_entry_point_that_is_killed_fails_its_task(work: Doomed) -> None:
    with work.script("direct") as pid:
        for victim in work.pids.read_text().split():
            os.kill(int(victim), signal.SIGKILL)
        wait_until(lambda: not alive(pid), "end of the script")
    flow_run_id = work.newest("direct")
    assert [run.status for run in work.runs(flow_run_id)] == ["FAILED"]
    assert (work.parent(flow_run_id).info.status, work.read(flow_run_id).state_name) == ("FAILED", "Failed")


@pytest.mark.parametrize("how", ["task_timeout", "flow_timeout"])
def test_a_timeout_reaches_what_was_submitted(work: Doomed, how: str) -> None:
    with work.script(how) as pid:
        wait_until(lambda: not alive(pid), "end of the script")
        work.wait_until_dead()
    flow_run_id = work.newest(how)
    assert [run.status for run in work.runs(flow_run_id)] == ["KILLED"]
    assert work.parent(flow_run_id).info.status == "FAILED"


@contextmanager
def working(work: Doomed) -> Iterator[int]:
    """Run a worker; give its process's id."""
    with get_client(sync_client=True) as client:
        if POOL not in [pool.name for pool in client.read_work_pools()]:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    log = work.folder / "worker.log"
    with work.kept(command, log) as pid:
        wait_until(lambda: "started!" in shown(log), lambda: f"worker:\n{shown(log)}")
        yield pid


@pytest.fixture
def worker(work: Doomed) -> Iterator[int]:
    """The id of a worker's process."""
    with working(work) as pid:
        yield pid


def deployed(work: Doomed, name: str, entry_points: int = 1) -> UUID:
    """Deploy a flow to the pool, start a run of it, and wait until its entry points run."""
    loaded = load_flow_from_entrypoint(f"{work.file}:{name}")
    deployment_id = loaded.from_source(str(work.folder), f"{work.file.name}:{name}").deploy(
        f"{name}-{work.folder.name}", work_pool_name=POOL, ignore_warnings=True, print_next_steps=False
    )
    with get_client(sync_client=True) as client:
        flow_run = client.create_flow_run_from_deployment(deployment_id)
    work.wait_until_at_work(work.folder / "worker.log", entry_points)
    return flow_run.id


@pytest.mark.parametrize(("how", "entry_points"), [("direct", 1), ("submitted", 1), ("mapped", 2)])
def test_a_cancellation(work: Doomed, worker: int, how: str, entry_points: int) -> None:
    cancel(work, deployed(work, how, entry_points))


@pytest.mark.parametrize("how", ["direct", "submitted"])
def test_a_cancellation_of_what_is_served(work: Doomed, how: str) -> None:
    log, name = work.folder / "served.log", f"served-{work.folder.name}"
    with work.kept([sys.executable, str(work.file), how, name], log):
        wait_until(lambda: f"{how}/{name}" in shown(log), lambda: f"deployment:\n{shown(log)}")
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(f"{how}/{name}")
            flow_run = client.create_flow_run_from_deployment(deployment.id)
        work.wait_until_at_work(log)
        cancel(work, flow_run.id)


def cancel(work: Doomed, flow_run_id: UUID) -> None:
    """Cancel a flow run, and see that nothing of it is left."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_id, Cancelling())
    work.wait_until_dead()
    wait_until(lambda: work.read(flow_run_id).state_name == "Cancelled", "cancelled flow run")
    wait_until(lambda: work.parent(flow_run_id).info.status == "KILLED", "end of the flow run's run")
    assert {run.status for run in work.runs(flow_run_id)} == {"KILLED"}
    assert STATUS_MESSAGE_TAG in work.parent(flow_run_id).tags


def test_a_flow_process_that_is_killed_below_its_worker(work: Doomed, worker: int) -> None:
    flow_run_id = deployed(work, "direct")
    (victim,) = flow_processes(worker, flow_run_id)
    os.kill(victim, signal.SIGKILL)
    work.wait_until_dead()
    wait_until(lambda: work.read(flow_run_id).state_name == "Crashed", "crashed flow run")
    wait_until(lambda: work.parent(flow_run_id).info.status == "KILLED", "end of the flow run's run")
    assert {run.status for run in work.runs(flow_run_id)} == {"KILLED"}


def test_a_flow_process_that_is_killed_is_settled_in_the_store_of_its_block(work: Doomed) -> None:
    """Nothing but the block names the store; the flow that does not say so is left to ``reap_runs``."""
    HeadgateStore(url=work.store.url).save(work.block)
    work.home = work.folder / "home"
    work.home.mkdir()
    with working(work) as worker:
        said = deployed(work, "of_a_block", 1)
        unsaid = deployed(work, "of_a_block_unsaid", 2)
        for flow_run_id in (said, unsaid):
            (victim,) = flow_processes(worker, flow_run_id)
            os.kill(victim, signal.SIGKILL)
        work.wait_until_dead()
        wait_until(lambda: work.parent(said).info.status == "KILLED", "end of the flow run's run")
        log = work.folder / "worker.log"
        wait_until(lambda: "nothing names the store" in shown(log), lambda: f"word of the hook:\n{shown(log)}")
    assert {run.status for run in work.runs(said)} == {"KILLED"}
    assert work.parent(unsaid).info.status == "RUNNING"
    assert not (work.home / ".headgate").exists()


def test_a_worker_that_is_killed(work: Doomed, worker: int) -> None:
    flow_run_id = deployed(work, "submitted")
    (orphan,) = flow_processes(worker, flow_run_id)
    os.kill(worker, signal.SIGKILL)
    work.wait_until_dead()
    wait_until(lambda: not alive(orphan), "end of the flow's process")
    assert {run.status for run in work.runs(flow_run_id)} == {"KILLED"}
    assert work.parent(flow_run_id).info.status == "KILLED"


def flow_processes(worker: int, flow_run_id: UUID) -> list[int]:
    """Return the process below a worker that the flow runs in: the highest one with its id in the environment."""
    wanted = str(flow_run_id)
    return [pid for pid in descendants(worker) if environment_of(pid).get("PREFECT__FLOW_RUN_ID") == wanted][:1]
