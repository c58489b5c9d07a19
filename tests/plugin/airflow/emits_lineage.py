"""Runs a DAG that promotes by two verdicts, in a program whose Airflow tells OpenLineage.

    python -m tests.plugin.airflow.emits_lineage MODEL PASSING_VERDICT REJECTING_VERDICT STATES_FILE

``AIRFLOW_HOME`` and ``AIRFLOW__OPENLINEAGE__TRANSPORT`` say where. Writes the states of the tasks as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(model: str, passing: str, rejecting: str, states: str) -> None:
    from airflow.sdk import DAG

    from headgate.airflow import PromoteModelOperator
    from tests.plugin.airflow.dag_runs import run_dag

    with DAG(f"lineage_{model}", schedule=None) as dag:
        PromoteModelOperator(task_id="promote", model_name=model, verdict=passing)
        PromoteModelOperator(task_id="reject", model_name=model, verdict=rejecting)
    Path(states).write_text(json.dumps(run_dag(dag).states))


if __name__ == "__main__":
    main(*sys.argv[1:])
