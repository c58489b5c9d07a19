"""Deployments of pipelines, run by a real worker of a process pool: found by their file, suspended, and resumed."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.flow_runs import resume_flow_run, suspend_flow_run

from headgate.prefect import HeadgateStore, pipeline_flow
from headgate.prefect.channel import tell_promotion
from headgate.store import open_store
from headgate.store.entities import RunContext, RunStatus
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import decide_promotion, promote
from tests.plugin.prefect.pipeline.worker import POOL, first_run, running_worker, start, until
from tests.plugin.prefect.projects import GATE, measured, new_name
from tests.plugin.prefect.server import PrefectServer, wait_until
from tests.screening import SCREENING, WriteFiles, write_into

if TYPE_CHECKING:
    from headgate.store.store import Store

EXAMPLES = Path(__file__).parents[4] / "examples"
GATED = {
    "held.sh": 'echo "$1" >> ran.txt; touch "$1.began"; while ! test -e go; do sleep 0.1; done\n',
    "quick.sh": 'echo "$1" >> ran.txt\n',
    "MLproject": """\
        entry_points:
          quick: {parameters: {name: string}, command: "sh quick.sh {name}"}
          held: {parameters: {name: string}, command: "sh held.sh {name}"}
        """,
    "pipeline.yaml": """\
        name: gated
        steps:
          first: {entry_point: quick, parameters: {name: first}}
          held: {entry_point: held, parameters: {name: held}, needs: [first]}
          last: {entry_point: quick, parameters: {name: last}, needs: [held]}
        """,
}
# Prefect's process of a flow run hears by an event that it was suspended, and else looks every 10 seconds.
_NOTICED_SECONDS = 12
PREFECT_YAML = """\
    deployments:
      - name: from-yaml
        entrypoint: headgate.prefect.pipelines.screening
        work_pool: {name: POOL}
        schedules: [{cron: "0 3 * * 1", active: false}]
    """


@pytest.fixture(scope="module")
def worker(prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A worker whose flow runs write to a store of its own; gives the folder of that store."""
    folder = tmp_path_factory.mktemp("worker")
    with running_worker(prefect_server, folder, {"HEADGATE_STORE_URL": f"sqlite:///{folder}/headgate.db"}):
        yield folder


@pytest.fixture
def worked(worker: Path) -> Iterator[Store]:
    """The store that the worker's flow runs write to."""
    from headgate.store import open_store

    with open_store(f"sqlite:///{worker}/headgate.db") as opened:
        yield opened


def test_a_suspended_flow_run_goes_on_and_runs_nothing_twice(worked: Store, write_files: WriteFiles) -> None:
    """It is suspended from outside, in the middle of a step: that one may finish."""
    folder = write_files(GATED)
    deployment_id = pipeline_flow(folder).to_deployment("gated", work_pool_name=POOL).apply()
    flow_run = start(deployment_id)
    wait_until((folder / "held.began").exists, "beginning of the step")
    suspend_flow_run(flow_run_id=flow_run.id)
    until(flow_run, "Suspended")
    time.sleep(_NOTICED_SECONDS)
    (folder / "go").touch()
    context = RunContext("prefect", "gated", str(flow_run.id), "held")
    wait_until(lambda: _status(worked, context) is RunStatus.FINISHED, "end of the step")
    parent = worked.runs.find_by_context(RunContext("prefect", "gated", str(flow_run.id)))
    assert parent is not None
    assert parent.info.status is RunStatus.RUNNING
    time.sleep(2)  # what would go on, goes on now
    assert _status(worked, RunContext("prefect", "gated", str(flow_run.id), "last")) is None

    resume_flow_run(flow_run.id)
    until(flow_run, "COMPLETED")
    assert (folder / "ran.txt").read_text().split() == ["first", "held", "last"]
    again = worked.runs.get(parent.info.run_id)
    assert again.info.status is RunStatus.FINISHED
    attempts = worked.runs.children(parent.info.run_id, all_attempts=True)
    assert sorted((run.context.task, run.context.attempt) for run in attempts) == [
        ("first", 1),
        ("held", 1),
        ("last", 1),
    ]


def test_prefect_yaml_names_a_pipeline(
    worked: Store, tmp_path: Path, prefect_server: PrefectServer, worker: Path
) -> None:
    import subprocess
    import sys

    write_into(tmp_path / "screening", SCREENING)
    write_into(tmp_path, {"prefect.yaml": PREFECT_YAML.replace("POOL", POOL)})
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    deployed = subprocess.run(
        command, cwd=tmp_path, env=prefect_server.environment, capture_output=True, text=True, check=False
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("screening/from-yaml")
    flow_run = until(start(deployment.id, quality=0.95), "COMPLETED")
    parent = worked.runs.find_by_context(RunContext("prefect", "screening", str(flow_run.id)))
    assert parent is not None
    assert parent.params["quality"] == "0.95"
    holder = worked.promotions.holder("screening", "@champion")
    assert holder is not None
    assert holder.version == 1


def test_a_pipeline_records_where_its_block_says(worker: Path, worked: Store, write_files: WriteFiles) -> None:
    block, url = new_name("team"), f"sqlite:///{worker}/team.db"
    HeadgateStore(url=url).save(block)
    flow = pipeline_flow(write_files(SCREENING), store=block)
    flow_run = until(start(flow.to_deployment("of-a-block", work_pool_name=POOL).apply()), "COMPLETED")
    context = RunContext("prefect", "screening", str(flow_run.id))
    assert worked.runs.find_by_context(context) is None
    with open_store(url) as team:
        parent = team.runs.find_by_context(context)
        assert parent is not None
        assert parent.info.status is RunStatus.FINISHED


def test_the_flow_that_two_tasks_were_added_to(worked: Store) -> None:
    file = "prefect_existing_flow.py:nightly_orders"
    flow = Flow.from_source(source=str(EXAMPLES), entrypoint=file)
    deployment_id = flow.to_deployment("nightly", work_pool_name=POOL).apply()
    flow_run = until(start(deployment_id, until="2026-03-01"), "COMPLETED")
    champion = worked.registry.get_version_by_alias("order-forecast", "champion")
    assert worked.runs.get(str(champion.run_id)).info.context.pipeline_run_id == str(flow_run.id)
    parent = worked.runs.find_by_context(RunContext("prefect", "nightly-orders", str(flow_run.id)))
    assert parent is not None
    assert parent.tags["prefect.deployment"] == str(deployment_id)


def test_a_promotion_starts_the_pipeline_that_waits_for_it(worked: Store, write_files: WriteFiles) -> None:
    name = new_name("upstream")
    head = f"schedule: {{after: 'model:{name}@champion'}}\nsteps:"
    folder = write_files({**GATED, "pipeline.yaml": textwrap.dedent(GATED["pipeline.yaml"]).replace("steps:", head)})
    (folder / "go").touch()
    deployment_id = pipeline_flow(folder).to_deployment("after", work_pool_name=POOL).apply()
    for promoted in (new_name(), name):  # nobody waits for the first
        verdict = decide_promotion(worked, gate_from_definition(GATE), promoted, "@champion", measured(worked, 0.9))
        assert tell_promotion(worked, promote(worked, verdict.verdict_id, actor="ann").promotion_id)
    ran = until(first_run(deployment_id), "COMPLETED")
    assert worked.runs.find_by_context(RunContext("prefect", "gated", str(ran.id))) is not None
    with get_client(sync_client=True) as client:
        client.delete_deployment(deployment_id)


def _status(store: Store, context: RunContext) -> RunStatus | None:
    run = store.runs.find_by_context(context)
    return None if run is None else run.info.status
