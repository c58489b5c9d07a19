"""A real worker of a process pool, for tests of deployments."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client

from tests.plugin.prefect.server import PrefectServer, guarded, shown, wait_until

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

POOL = "pipelines"


@contextmanager
def running_worker(
    server: PrefectServer, folder: Path, environment: Mapping[str, str], pool: str = POOL
) -> Iterator[None]:
    """Run a worker, and a pool for it; it is killed in the end, with the flow runs that it started.

    Args:
        folder: where it works, and its log is.
        environment: of its flow runs, over what leads to the server.
    """
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
    log = folder / "worker.log"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    with guarded(command, log, {**server.environment, **environment}, folder) as guardian:

        def online() -> bool:
            if guardian.poll() is not None:
                pytest.fail(f"The worker did not start:\n{shown(log)}")
            with get_client(sync_client=True) as client:
                return bool(client.read_workers_for_work_pool(pool))

        wait_until(online, lambda: f"worker:\n{shown(log)}")
        yield


def start(deployment_id: Any, **parameters: Any) -> FlowRun:
    """Ask for a run of a deployment."""
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(deployment_id, parameters=parameters)


def first_run(deployment_id: Any) -> FlowRun:
    """Wait for the run of a deployment that something else started, and give it: the only one."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    found: list[FlowRun] = []

    def started() -> bool:
        with get_client(sync_client=True) as client:
            found[:] = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
            )
        return bool(found)

    wait_until(started, "run that the promotion starts")
    assert len(found) == 1
    return found[0]


def until(flow_run: FlowRun, *states: str) -> FlowRun:
    """Wait until a flow run is in a state of one of these names or types."""
    found: list[FlowRun] = []

    def arrived() -> bool:
        with get_client(sync_client=True) as client:
            now = client.read_flow_run(flow_run.id)
        found[:] = [now]
        assert now.state is not None
        if now.state.is_final() and not {now.state.name, now.state.type.value}.intersection(states):
            pytest.fail(f"The flow run is {now.state}")
        return bool({now.state.name, now.state.type.value}.intersection(states))

    wait_until(arrived, lambda: f"{states}: {found[0].state if found else 'nothing'}")
    return found[0]
