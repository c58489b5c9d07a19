"""A flow whose one task runs a project; run as a program, it prints what came of it."""

from __future__ import annotations

import json
import os

from prefect import flow, task
from prefect.runtime import flow_run, task_run


@task
def train() -> dict[str, object]:
    """Run the project and record it under this task's context."""
    from headgate.store import RunContext, open_store
    from headgate.tasks import run_project

    context = RunContext("prefect", flow_run.flow_name, flow_run.id, task_run.task_name, attempt=task_run.run_count)
    with open_store(os.environ["HEADGATE_STORE_URL"]) as store:
        result = run_project(os.environ["PROJECT"], store=store, context=context)
    return {"run_id": result.run_id, "metrics": dict(result.metrics)}


@flow
def headgate_environment() -> dict[str, object]:
    return train()


if __name__ == "__main__":
    print(json.dumps(headgate_environment()))
