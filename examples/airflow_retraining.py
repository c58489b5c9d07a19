"""Weekly retraining of ``tumor-screening``: a gate, a person where the gate has doubts, a promotion, a deployment.

``tumor_screening_retraining`` trains, measures and decides. A candidate that the gate rejects changes nothing. One that
passes with a warning waits for a person, under Airflow's required actions; any other is promoted with no hands.
``tumor_screening_deployment`` runs on every promotion and rollback of the champion, wherever it was made.

Drop this file and the folder ``tumor-screening`` into the folder of DAGs. The store is the one of the connection
``headgate_default``, or of ``HEADGATE_STORE_URL``.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from headgate.airflow import (
    ApprovePromotionOperator,
    EvaluateModelOperator,
    GateOperator,
    PromoteModelOperator,
    RunProjectOperator,
    model_asset,
    promoted_model,
)

PROJECT = "tumor-screening"
DECISION = {"gate": "tumor-screening/gate.yaml", "model_name": "tumor-screening"}
PREPARED = "{{ ti.xcom_pull('prepare')['artifact_uri'] }}"


@dag(
    schedule="0 3 * * 1",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["tumor-screening"],
)
def tumor_screening_retraining():
    prepare = RunProjectOperator(task_id="prepare", project=PROJECT, entry_point="prepare")
    train = RunProjectOperator(
        task_id="train",
        project=PROJECT,
        entry_point="train",
        parameters={"data": f"{PREPARED}/train.parquet", "n_estimators": 40},
        retries=2,
        execution_timeout=timedelta(hours=1),
    )
    evaluate = EvaluateModelOperator(
        task_id="evaluate",
        project=PROJECT,
        model=train.output,
        parameters={"data": f"{PREPARED}/holdout.parquet"},
        **DECISION,
    )
    decide = GateOperator(task_id="decide", candidate=evaluate.output, on_reject="skip", **DECISION)

    @task.branch
    def doubts(verdict: dict) -> str:
        return "approve" if verdict["warnings"] else "promote"

    promote = PromoteModelOperator(task_id="promote", verdict=decide.output, model_name="tumor-screening")
    approve = ApprovePromotionOperator(
        task_id="approve", verdict=decide.output, response_timeout=timedelta(days=2), on_reject="skip"
    )
    promote_approved = PromoteModelOperator(
        task_id="promote_approved", verdict=approve.output, model_name="tumor-screening", require_approval=True
    )

    prepare >> train >> evaluate >> decide >> doubts(decide.output) >> [promote, approve]
    approve >> promote_approved


@dag(
    schedule=[model_asset("tumor-screening", alias="champion")],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["tumor-screening"],
)
def tumor_screening_deployment():
    @task
    def roll_out() -> dict:
        """Tell the serving fleet which version to load; here it is only said which one that is."""
        model = promoted_model(get_current_context(), "tumor-screening", alias="champion")
        print(f"{model.actor} made {model.model_uri} the champion, by the verdict {model.verdict_id}")
        return {"model": model.model_uri, "digest": model.digest, "promotion": model.promotion_id}

    roll_out()


retraining = tumor_screening_retraining()
deployment = tumor_screening_deployment()

if __name__ == "__main__":
    retraining.test()
