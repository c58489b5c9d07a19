"""The hooks that a worker calls when a flow's process is dead: they close its run in the right store, and make none."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from headgate.prefect import HeadgateStore, gated_flow, settle_flow_run, settle_flow_run_in
from headgate.store import RunContext, Store, open_store
from headgate.store.errors import InvalidSettings

DEAD = Crashed(message="its process is gone")


@flow
def nightly() -> None: ...


def run_of_a_dead_process(deployment: bool = True) -> FlowRun:
    return FlowRun(id=uuid4(), flow_id=uuid4(), name="brave-otter", deployment_id=uuid4() if deployment else None)


def opened_by(store: Store, flow_run: FlowRun) -> tuple[str, str]:
    """Open what a flow's process had open when it died; return the ids of the flow run's run and of a task's."""
    context = RunContext("prefect", "nightly", str(flow_run.id))
    parent = store.runs.open("0", context=context).info.run_id
    below = RunContext("prefect", "nightly", str(flow_run.id), "train")
    return parent, store.runs.open("0", context=below, parent_run_id=parent).info.run_id


def test_the_run_is_closed_in_the_store_of_the_environment(store: Store) -> None:
    flow_run = run_of_a_dead_process()
    runs = opened_by(store, flow_run)
    for _ in range(2):
        settle_flow_run(nightly, flow_run, DEAD)
        assert [store.runs.get(run_id).info.status for run_id in runs] == ["KILLED", "KILLED"]


@pytest.mark.usefixtures("prefect_server", "store")
def test_the_run_is_closed_in_the_store_of_a_block(tmp_path: Path) -> None:
    block = f"team-{uuid4().hex[:8]}"
    HeadgateStore(url=f"sqlite:///{tmp_path}/team.db").save(block)
    flow_run = run_of_a_dead_process()
    with open_store(f"sqlite:///{tmp_path}/team.db") as team:
        runs = opened_by(team, flow_run)
        settle_flow_run(nightly, flow_run, DEAD)  # the environment's store knows nothing of it
        assert team.runs.get(runs[0]).info.status == "RUNNING"
        for _ in range(2):
            settle_flow_run_in(block)(nightly, flow_run, DEAD)
            assert [team.runs.get(run_id).info.status for run_id in runs] == ["KILLED", "KILLED"]


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("deployment", [True, False])
def test_a_hook_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployment: bool) -> None:
    monkeypatch.delenv("HEADGATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InvalidSettings, match=r"flow run 'brave-otter' was not closed.*gated_flow\(store="):
        settle_flow_run(nightly, run_of_a_dead_process(deployment), DEAD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("prefect_server")
def test_what_a_script_wrote_at_home_is_closed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    flow_run = run_of_a_dead_process(deployment=False)
    with open_store() as home:
        runs = opened_by(home, flow_run)
        settle_flow_run(nightly, flow_run, DEAD)
        assert [home.runs.get(run_id).info.status for run_id in runs] == ["KILLED", "KILLED"]


def test_a_gated_flow_has_the_hook_of_its_store_beside_those_of_the_user() -> None:
    def mine(flow: object, flow_run: object, state: object) -> None: ...

    @gated_flow(store="production", on_crashed=[mine])
    def gated() -> None: ...

    assert gated.on_crashed_hooks == [mine, settle_flow_run_in("production")]
    assert gated.on_cancellation_hooks == [settle_flow_run_in("production")]
    assert gated_flow(lambda: None, name="plain").on_cancellation_hooks == [settle_flow_run]
