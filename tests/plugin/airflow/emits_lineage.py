"""Runs a DAG that promotes by two verdicts and calls a function, in a program whose Airflow tells OpenLineage.

The passing verdict is approved already.

    python -m tests.plugin.airflow.emits_lineage MODEL PASSING_VERDICT REJECTING_VERDICT STATES_FILE

``AIRFLOW_HOME`` and ``AIRFLOW__OPENLINEAGE__TRANSPORT`` say where. Writes the states of the tasks as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(model: str, passing: str, rejecting: str, states: str) -> None:
    from airflow.sdk import DAG, task

    from headgate.airflow import ApprovePromotionOperator, PromoteModelOperator
    from tests.plugin.airflow.dag_runs import run_dag

    with DAG(f"lineage_{model}", schedule=None) as dag:
        approve = ApprovePromotionOperator(task_id="approve", verdict=passing)
        approve >> PromoteModelOperator(task_id="promote", model_name=model, verdict=passing)
        PromoteModelOperator(task_id="reject", model_name=model, verdict=rejecting)

        @task.headgate
        def train(depth: int) -> dict[str, float]:
            return {"f1": 0.9}

        train(6)
    Path(states).write_text(json.dumps(run_dag(dag).states))


if __name__ == "__main__":
    main(*sys.argv[1:])
