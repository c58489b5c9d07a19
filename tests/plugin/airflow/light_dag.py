"""A DAG with everything of Headgate in it, for a test of what parsing it does and loads."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, task

from headgate.airflow import (
    ApprovePromotionOperator,
    EvaluateModelOperator,
    GateOperator,
    PipelineDag,
    PipelineTaskGroup,
    PromoteModelOperator,
    ReapRunsOperator,
    RegisterModelOperator,
    RollBackModelOperator,
    RunProjectOperator,
    ValidateDataOperator,
    WatchModelOperator,
    dataset_asset,
    model_asset,
    tracked,
)

PIPELINE = Path(__file__).parents[3] / "examples" / "tumor-screening" / "pipeline.yaml"

with DAG("light", schedule=[model_asset("tumor-screening", alias="champion")]) as dag:

    @task.headgate
    def explore(rate: float) -> dict[str, float]:
        return {"score": rate}

    @task
    @tracked
    def compare(rate: float) -> dict[str, float]:
        return {"score": rate}

    data = ValidateDataOperator(task_id="validate", data="holdout.parquet", suite="suite.json")
    trained = RunProjectOperator(task_id="train", project="project", inlets=[dataset_asset("holdout")])
    sweep = RunProjectOperator.partial(task_id="sweep", project="project").expand(parameters=[{"rate": 1}, {"rate": 2}])
    measured = EvaluateModelOperator(task_id="evaluate", project="project", model=trained.output)
    registered = RegisterModelOperator(task_id="register", model=trained.output, model_name="tumor-screening")
    decided = GateOperator(task_id="gate", gate="gate.yaml", model_name="tumor-screening", candidate=trained.output)
    approved = ApprovePromotionOperator(task_id="approve", verdict=decided.output)
    promoted = PromoteModelOperator(task_id="promote", verdict=decided.output)
    explore(0.5) >> compare(0.5) >> data >> [trained, sweep] >> measured >> registered >> decided >> approved
    approved >> promoted
    promoted >> WatchModelOperator(task_id="watch", watch="watch.yaml", model_name="tumor-screening")
    promoted >> RollBackModelOperator(task_id="roll_back", model_name="tumor-screening")
    ReapRunsOperator(task_id="reap")
    PipelineTaskGroup(str(PIPELINE))

pipeline = PipelineDag(str(PIPELINE))
