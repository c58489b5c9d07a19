"""What tasks recorded, on Prefect's pages: the run, the verdicts, the model, its lineage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prefect import flow

from headgate.prefect import decide_gate, promote_model, publish_lineage, roll_back_model, run_project
from headgate.prefect.artifacts.links import lineage_key, promotions_key, verdict_key
from headgate.prefect.artifacts.publish import artifact_key, newest_artifacts, publish_markdown, show
from headgate.prefect.events import PROMOTED, REJECTED, ROLLED_BACK
from headgate.store.errors import GateRejected
from tests.plugin.prefect.projects import GATE, measured, new_name
from tests.plugin.prefect.test_promotion_events import events_of

if TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.prefect.server import PrefectServer

PROJECT = Path(__file__).parents[3] / "environments" / "project"


def test_tasks_show_what_they_recorded(store: Store, prefect_server: PrefectServer) -> None:
    name = new_name()
    good, bad = measured(store, 0.9), measured(store, 0.1)

    @flow(name=name)
    def retraining() -> str:
        run = run_project(PROJECT, parameters={"rate": 0.25})
        promote_model(good, gate=GATE, model_name=name)
        with pytest.raises(GateRejected):
            decide_gate(GATE, model_name=name, candidate=bad)
        publish_lineage(f"models:/{name}@champion")
        roll_back_model(name, reason="it was a drill")
        return run.run_id

    run_id = retraining()
    (run,) = newest_artifacts(artifact_key("run", name, "run_project"), 5)
    assert run_id in str(run.data)
    assert run.task_run_id is not None
    rejection, verdict = newest_artifacts(verdict_key(name, "@champion"), 5)
    assert ("**PASS**" in str(verdict.data), "**REJECT**" in str(rejection.data)) == (True, True)
    (lineage,) = newest_artifacts(lineage_key(f"models:/{name}@champion"), 5)
    assert "```mermaid" in str(lineage.data)
    back, promotion = newest_artifacts(promotions_key(name), 5)
    assert "promoted to version 1" in str(promotion.description)
    assert "rolled back to nobody" in str(back.description)
    assert {event["event"] for event in events_of(prefect_server, name, 3)} == {PROMOTED, REJECTED, ROLLED_BACK}


@pytest.mark.usefixtures("prefect_server")
def test_no_work_fails_for_want_of_a_picture(caplog: pytest.LogCaptureFixture) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    nobody = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0})
    with nobody:
        show(lambda: publish_markdown("headgate-x", "x", "x"))
    assert "did not answer about the artifact 'headgate-x'" in caplog.text
