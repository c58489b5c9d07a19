"""In a running Airflow: a promotion starts the DAG that is scheduled by it, once, wherever it was made."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import Any

import pytest

from headgate.store.clock import now_ms
from headgate.store.promotion_rows import PROMOTION_TOPIC, promotion_subject
from headgate.store.store import Store
from headgate.store.tables import metadata
from headgate.tasks import promote
from tests.plugin.airflow.promotions import delivery_of
from tests.plugin.airflow.standalone import Standalone
from tests.store.promotion_cases import candidate, draft

DEPLOY = """
from dataclasses import asdict

from airflow.sdk import DAG, get_current_context, task

from headgate.airflow import model_asset, promoted_model

with DAG("deploy_{name}", schedule=[model_asset("{name}", alias="champion")]):

    @task
    def roll_out():
        return asdict(promoted_model(get_current_context(), "{name}", alias="champion"))

    roll_out()
"""

PROMOTE = """
from airflow.sdk import DAG

from headgate.airflow import PromoteModelOperator


class DiesAfterwards(PromoteModelOperator):
    def work(self, context):
        super().work(context)
        raise RuntimeError("died between the promotion and the success")


with DAG("promote_{name}", schedule=None):
    PromoteModelOperator(task_id="promote", model_name="{name}", verdict="{{{{ dag_run.conf['verdict'] }}}}")

with DAG("die_{name}", schedule=None):
    DiesAfterwards(task_id="promote", model_name="{name}", verdict="{{{{ dag_run.conf['verdict'] }}}}")
"""


@pytest.fixture
def model(standalone: Standalone) -> str:
    """The name of a model whose champion a DAG waits for, with its watcher at work."""
    name = f"screening_{uuid.uuid4().hex[:8]}"
    standalone.add_dag(f"promote_{name}", PROMOTE.format(name=name))
    standalone.add_dag(f"deploy_{name}", DEPLOY.format(name=name))
    standalone.wait_until(lambda: _is_watched(standalone.store, name), "a watcher has subscribed")
    return name


def _is_watched(store: Store, name: str) -> bool:
    table = metadata.tables["headgate_subscription"]
    wanted = ("airflow", PROMOTION_TOPIC, promotion_subject(name, "@champion"))
    with store.database.read() as conn:
        return wanted in {(row.channel, row.topic, row.subject) for row in conn.execute(table.select())}


def verdict_id(store: Store, name: str) -> str:
    now = now_ms()
    verdict = draft(store, candidate(store), model_name=name, decided_at=now, expires_at=now + 3_600_000)
    return store.verdicts.record(verdict).verdict_id


def promote_from_the_shell(standalone: Standalone, name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "headgate.cli", "models", "promote", name, "--json"]
    command += ["--verdict", verdict_id(standalone.store, name), "--actor", "carol", "--store", standalone.store_url]
    command += ["--artifact-root", str(standalone.artifact_root)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def deployed(standalone: Standalone, name: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many runs of the deploying DAG have ended; return what they were told."""
    dag_id = f"deploy_{name}"
    standalone.wait_until(lambda: len(standalone.runs(dag_id)) >= count, f"{dag_id} has {count} runs")
    runs = standalone.runs(dag_id)
    assert len(runs) == count
    for run in runs:
        assert standalone.wait_for_run(dag_id, run["dag_run_id"]) == "success"
    told = [standalone.xcom(dag_id, run["dag_run_id"], "roll_out") for run in runs]
    return [json.loads(found) if isinstance(found, str) else found for found in told]


def test_a_promotion_from_the_shell_starts_the_dag_that_waits_for_it(standalone: Standalone, model: str) -> None:
    promote_from_the_shell(standalone, model)

    (told,) = deployed(standalone, model, 1)

    (promotion,) = standalone.store.promotions.history(model)
    assert (told["promotion_id"], told["version"], told["verdict_id"], told["actor"]) == (
        promotion.promotion_id,
        1,
        promotion.verdict_id,
        "carol",
    )
    assert (told["model_name"], told["target"], told["kind"], told["gate"]) == (
        model,
        "@champion",
        "promote",
        "screening-gate",
    )
    standalone.wait_until(
        lambda: delivery_of(standalone.store, promotion.promotion_id).delivered_at is not None, "it is confirmed"
    )
    assert delivery_of(standalone.store, promotion.promotion_id).owner.startswith("watcher:")


def test_promotions_by_tasks_start_it_once_each_and_a_task_that_died_is_made_good(
    standalone: Standalone, model: str
) -> None:
    store = standalone.store
    standalone.run(f"promote_{model}", conf={"verdict": verdict_id(store, model)})
    (first,) = deployed(standalone, model, 1)
    standalone.run(f"die_{model}", expect="failed", conf={"verdict": verdict_id(store, model)})
    _, second = deployed(standalone, model, 2)
    promote(store, verdict_id(store, model), actor="dave")  # as a notebook does, or Prefect
    *_, third = deployed(standalone, model, 3)

    history = store.promotions.history(model)
    assert [told["promotion_id"] for told in (first, second, third)] == [found.promotion_id for found in history]
    assert [told["version"] for told in (first, second, third)] == [1, 2, 3]
    by_task, made_good, _ = (delivery_of(store, found.promotion_id) for found in history)
    assert by_task.owner.startswith("task:")
    assert made_good.owner.startswith("watcher:")
    events = standalone.api("GET", f"/assets/events?source_dag_id=promote_{model}")["asset_events"]
    assert [event["extra"]["promotion_id"] for event in events] == [history[0].promotion_id]
