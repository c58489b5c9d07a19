"""``headgate prefect``: pipelines run and deployed from the shell, on a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from headgate.cli import main
from headgate.store.entities import RunContext
from tests.screening import SCREENING, WriteFiles

if TYPE_CHECKING:
    from headgate.store.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server", "store_url")


def said(*words: object, exit_code: int = 0) -> tuple[Any, Any]:
    """Run ``headgate`` with ``--json``; return the document on stdout and the error on stderr, each or None."""
    ran = CliRunner().invoke(main, [*(str(word) for word in words), "--json"])
    assert ran.exit_code == exit_code, ran.output
    last = ran.stderr.strip().rpartition("\n")[2]
    return (json.loads(ran.stdout) if ran.stdout else None), (json.loads(last)["error"] if exit_code else None)


@pytest.fixture
def pool() -> str:
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="shell", type="process"), overwrite=True)
    return "shell"


def test_a_pipeline_runs_as_a_flow(store: Store, write_files: WriteFiles) -> None:
    document, _ = said("prefect", "run", write_files(SCREENING), "-P", "quality=0.95")
    ended = document["flow_run"]
    assert (ended["state"], ended["outcome"], ended["version"]) == ("Completed", "pass", 1)
    run = store.runs.find_by_context(RunContext("prefect", "screening", ended["flow_run_id"]))
    assert run is not None
    assert (run.info.run_id, run.params["quality"]) == (ended["run_id"], "0.95")


def test_what_the_gate_says_is_the_exit_code(write_files: WriteFiles) -> None:
    document, error = said("prefect", "run", write_files(SCREENING), "-P", "quality=0.5", exit_code=3)
    assert document["flow_run"]["state"] == "Rejected"
    assert error["type"] == "GateRejected"
    _, error = said("prefect", "run", write_files(SCREENING), "-P", "quality=good", exit_code=2)
    assert "which is no float" in error["message"]


def test_a_pipeline_is_deployed_and_changed(write_files: WriteFiles, pool: str) -> None:
    text = SCREENING["pipeline.yaml"].replace("env: local", 'schedule: {cron: "0 3 * * 1", timezone: Europe/Berlin}')
    folder = write_files({**SCREENING, "pipeline.yaml": text})
    words = (
        "prefect",
        "deploy",
        folder,
        "--pool",
        pool,
        "--name",
        "weekly",
        "-P",
        "quality=0.95",
        "--on-reject",
        "skip",
    )
    made, _ = said(*words)
    assert (made["flow_name"], made["name"], made["work_pool"]) == ("screening", "weekly", pool)
    assert made["schedules"] == ["0 3 * * 1 (Europe/Berlin)"]
    assert made["entrypoint"].startswith("headgate.prefect.pipelines./")
    changed, _ = said(*words, "--folder", "/opt/flows/v1.2", "--no-schedule")
    assert changed["deployment_id"] == made["deployment_id"]
    with get_client(sync_client=True) as client:
        kept = client.read_deployment_by_name("screening/weekly")
    assert kept.entrypoint == "headgate.prefect.pipelines./opt/flows/v1%2E2?on_reject=skip"
    assert (kept.parameters, kept.work_pool_name) == ({"quality": 0.95}, pool)
    assert kept.parameter_openapi_schema is not None
    assert kept.parameter_openapi_schema["properties"]["quality"]["type"] == "number"


def test_what_can_not_be_deployed_is_told(write_files: WriteFiles, pool: str) -> None:
    folder = write_files(SCREENING)
    _, error = said("prefect", "deploy", folder, "--pool", "nobodys", exit_code=2)
    assert error["remedy"] == "Make it: prefect work-pool create nobodys --type process."
    _, error = said("prefect", "deploy", folder, "--pool", pool, "-P", "qualty=1", exit_code=2)
    assert "Did you mean 'quality'?" in error["message"] + error["remedy"]
    write_files({"pipeline.yaml": SCREENING["pipeline.yaml"].replace("{quality: 0.9,", "{quality: 0.9, api_key: x,")})
    _, error = said("prefect", "deploy", folder, "--pool", pool, "-P", "api_key=canary-4711", exit_code=2)
    assert error["message"].startswith("The parameter 'api_key' is a secret")
    assert "canary" not in json.dumps(error)
