"""What the scripts share: the endpoints' paths, and making what they talk about."""

from __future__ import annotations

from typing import Any

from tests.wire.conversation import Conversation

RUNS = "2.0/mlflow/runs"
EXPERIMENTS = "2.0/mlflow/experiments"
METRICS = "2.0/mlflow/metrics"
MODELS = "2.0/mlflow/logged-models"
REGISTRY = "2.0/mlflow/registered-models"
VERSIONS = "2.0/mlflow/model-versions"
ARTIFACTS = "2.0/mlflow-artifacts"


def experiment_of(talk: Conversation, name: str) -> str:
    created = talk.call("POST", f"{EXPERIMENTS}/create", {"name": talk.fresh(name)}, name="create experiment")
    return talk.in_experiment(created["experiment_id"])


def run_of(talk: Conversation, experiment_id: str, what: str = "run", **fields: Any) -> str:
    said = {"experiment_id": experiment_id, "start_time": 1_700_000_000_000, "user_id": "ann", **fields}
    run_id = talk.call("POST", f"{RUNS}/create", said, name="create run")["run"]["info"]["run_id"]
    return talk.stands_for(run_id, what)
