"""A DAG whose one task runs a project; run as a program, it tests itself and prints what came of it."""

from __future__ import annotations

import json
import os

from airflow.sdk import DAG, task

with DAG("headgate_environment", schedule=None) as dag:

    @task
    def train() -> dict[str, object]:
        """Run the project and record it under this task's context."""
        from airflow.sdk import get_current_context

        from headgate.store import RunContext, open_store
        from headgate.tasks import run_project

        instance = get_current_context()["ti"]
        context = RunContext("airflow", instance.dag_id, instance.run_id, instance.task_id, attempt=instance.try_number)
        with open_store(os.environ["HEADGATE_STORE_URL"]) as store:
            result = run_project(os.environ["PROJECT"], store=store, context=context)
        return {"run_id": result.run_id, "metrics": dict(result.metrics)}

    train()

if __name__ == "__main__":
    run = dag.test()
    instance = run.get_task_instance("train")
    print(json.dumps({"state": run.state, "result": instance.xcom_pull("train")}))
