"""The user's own task functions as recorded runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from prefect import flow, task

from headgate.prefect import retry_infrastructure, tracked
from headgate.store import RunContext, Store
from headgate.store.errors import InvalidInput
from headgate.tasks import tracking

pytestmark = pytest.mark.usefixtures("prefect_server")


class Model:
    def predict(self, rows):
        return [0 for _ in rows]


def test_arguments_metrics_models_and_files(store: Store, tmp_path: Path) -> None:
    @task
    @tracked(tags={"team": "screening"})
    def fit(depth: int, *, seed: int = 7):
        tracking.log_metric("loss", 0.25)
        report = tmp_path / "report.txt"
        report.write_text("well")
        return {"f1": 0.9, "model": Model(), "report": report, "run": os.environ["MLFLOW_RUN_ID"]}

    @flow
    def training():
        return fit(6)

    handed_on = training()
    run = store.runs.get(handed_on["run"])
    assert dict(run.params) == {"depth": "6", "seed": "7"}
    assert {key: metric.value for key, metric in run.metrics.items()} == {"f1": 0.9, "loss": 0.25}
    (model_id,) = store.runs.made_models(run.info.run_id)
    assert handed_on["model"] == f"models:/{model_id}"
    assert handed_on["report"] == f"{run.info.artifact_uri}/report.txt"
    assert (run.info.status, run.info.context.task, run.tags["team"]) == ("FINISHED", "fit", "screening")
    parent = store.runs.find_by_context(RunContext("prefect", "training", run.info.context.pipeline_run_id))
    assert parent is not None
    assert (parent.info.status, parent.info.run_id) == ("FINISHED", run.tags["mlflow.parentRunId"])


def test_a_try_is_an_attempt(store: Store) -> None:
    tries = []

    @task(retries=2, retry_condition_fn=retry_infrastructure)
    @tracked(returns="reference")
    def unsteady():
        tries.append(1)
        if len(tries) < 2:
            raise OSError("the disk was away")

    @flow
    def training():
        return unsteady()

    run = store.runs.get(training().run_id)
    assert [attempt.status for attempt in store.runs.attempts(run.info.context)] == ["FAILED", "FINISHED"]


def test_coroutines_and_threads(store: Store) -> None:
    @task
    @tracked(environment=False, returns="reference")
    def square(x: int):
        return {"y": float(x * x)}

    @task
    @tracked(returns="reference")
    async def half(x: int):
        await asyncio.sleep(0)
        return {"y": x / 2}

    @flow
    async def both():
        return [*square.map([1, 2]).result(), await half(3)]

    runs = [store.runs.get(result.run_id) for result in asyncio.run(both())]
    assert [run.metrics["y"].value for run in runs] == [1.0, 4.0, 1.5]
    assert sorted((run.info.context.task, run.info.context.map_index) for run in runs) == [
        ("half", -1),
        ("square", -1),
        ("square", 1),
    ]


def test_outside_of_prefect_it_is_the_plain_tracked(store: Store) -> None:
    @tracked
    def fit(depth: int):
        return {"f1": 0.5, "run": os.environ["MLFLOW_RUN_ID"]}

    returned = fit(3)
    run = store.runs.get(returned["run"])
    assert (run.info.context.origin, run.metrics["f1"].value) == ("local", 0.5)


def test_what_can_not_be_meant_is_said() -> None:
    @task
    def made():
        return 1

    with pytest.raises(InvalidInput, match="is a Prefect task already"):
        tracked(made)
    with pytest.raises(InvalidInput, match="returns is 'both'"):
        tracked(returns="both")
