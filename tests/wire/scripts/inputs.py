"""Datasets and LoggedModels that runs take and make."""

from __future__ import annotations

from typing import Any

from tests.wire.conversation import Conversation
from tests.wire.scripts.speaking import MODELS, RUNS, experiment_of, run_of


def inputs_and_outputs(talk: Conversation) -> None:
    experiment = experiment_of(talk, "inputs")
    run = run_of(talk, experiment, run_name="trainer")
    dataset = {"name": "train", "digest": "abc", "source_type": "local", "source": "{}", "schema": "s", "profile": "p"}
    other = run_of(talk, experiment, "other")
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    for _ in range(2):
        said = {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]}
        talk.call("POST", f"{RUNS}/log-inputs", said)
    talk.call(
        "POST", f"{RUNS}/log-inputs", {"run_id": other, "datasets": [{"tags": tags}]}, name="input without a dataset"
    )
    said = {"experiment_id": experiment, "name": "net", "source_run_id": run, "model_type": "agent"}
    said["params"] = [{"key": "depth", "value": "3"}]
    said["tags"] = [{"key": "team", "value": "x"}]
    model = talk.call("POST", MODELS, said, name="create model")["model"]["info"]["model_id"]
    talk.stands_for(model, "model")
    talk.call("GET", f"{MODELS}/{model}")
    talk.call("GET", f"{MODELS}/m-{'0' * 32}", message=True)
    talk.call("POST", MODELS, {"experiment_id": experiment, "name": "a/b"})
    talk.call("POST", MODELS, {"experiment_id": "987654", "name": "net"})
    talk.call("POST", f"{RUNS}/outputs", {"run_id": run, "models": [{"model_id": model, "step": 3}]})
    talk.call("POST", f"{RUNS}/outputs", {"run_id": run})
    point = {"run_id": run, "key": "acc", "timestamp": 7, "step": 3, "model_id": model}
    on = {"dataset_name": "train", "dataset_digest": "abc"}
    talk.call("POST", f"{RUNS}/log-metric", {**point, **on, "value": 0.75})
    talk.call("POST", f"{RUNS}/log-batch", {"run_id": run, "metrics": [{**point, "key": "f1", "value": 0.5}]})
    talk.call("PATCH", f"{MODELS}/{model}", {"model_id": model, "status": "LOGGED_MODEL_READY"})
    talk.call("PATCH", f"{MODELS}/{model}/tags", {"tags": [{"key": "team", "value": "y"}]})
    talk.call("DELETE", f"{MODELS}/{model}/tags/team")
    talk.call("DELETE", f"{MODELS}/{model}/tags/team")
    params = {"params": [{"key": "width", "value": "9"}]}
    talk.call("POST", f"{MODELS}/{model}/params", {**params, "model_id": model})
    talk.call("POST", f"{MODELS}/{model}/params", {}, name="params without model_id in the body")
    talk.call("POST", f"{MODELS}/m-{'0' * 32}/params", {**params, "model_id": f"m-{'0' * 32}"})
    talk.call("PATCH", f"{MODELS}/m-{'0' * 32}/tags", {"tags": [{"key": "a", "value": "b"}]})
    talk.call("PATCH", f"{MODELS}/{model}", {"model_id": model})
    talk.call("PATCH", f"{MODELS}/m-{'0' * 32}", {"model_id": f"m-{'0' * 32}", "status": "LOGGED_MODEL_READY"})
    talk.call("GET", f"{MODELS}/{model}/artifacts/directories", {"artifact_directory_path": "../up"})
    talk.call("GET", f"{MODELS}/{model}/artifacts/directories")
    talk.call("GET", f"{MODELS}/{model}")
    talk.call("GET", f"{RUNS}/get", {"run_id": run})
    for filter_string in (
        "metrics.acc > 0.7",
        "metrics.acc > 0.8",
        "params.depth = '3'",
        "name = 'net'",
        "tags.team = 'x'",
        "model_type IN ('agent', 'other')",
    ):
        talk.call("POST", f"{MODELS}/search", {"experiment_ids": [experiment], "filter": filter_string})
    ordered = [{"field_name": "metrics.acc", "ascending": False, **on}]
    talk.call("POST", f"{MODELS}/search", {"experiment_ids": [experiment], "order_by": ordered})
    datasets = [{"dataset_name": "train", "dataset_digest": "abc"}]
    said = {"experiment_ids": [experiment], "filter": "metrics.acc > 0.7", "datasets": datasets}
    talk.call("POST", f"{MODELS}/search", said)
    of = {"experiment_ids": [experiment]}
    for filter_string in (
        "metrics.acc >",
        "metrics.acc > 'x'",
        "nonsense = 'x'",
        "params.depth > 3",
        "metrics.acc > 0.1 OR metrics.acc < 0.2",
        "tags.team = team",
        "creation_timestamp > 'x'",
        "status = 'READY'",
        "source_run_id = 'none'",
        "name ILIKE 'NE%'",
        "params.depth IN ('3', '4')",
        "params.depth NOT IN ('3', '4')",
        "creation_timestamp > 5",
    ):
        talk.call("POST", f"{MODELS}/search", {**of, "filter": filter_string}, name=f"models by {filter_string}")
    for order in ("params.depth", "tags.team", "nonsense", "creation_timestamp", "name", "metrics.none", ""):
        said = {**of, "order_by": [{"field_name": order}]}
        talk.call("POST", f"{MODELS}/search", said, name=f"LoggedModels ordered by {order!r}")
    for most in (0, -1, "many"):
        talk.call("POST", f"{MODELS}/search", {**of, "max_results": most}, name=f"{most} models")
    talk.call("POST", f"{MODELS}/search", {**of, "page_token": "nonsense"}, name="models behind nonsense")
    talk.call("POST", f"{MODELS}/search", {})
    said = {**of, "datasets": [{"dataset_digest": "abc"}]}
    talk.call("POST", f"{MODELS}/search", said, name="models on a dataset without name")
    talk.call("DELETE", f"{MODELS}/{model}")
    talk.call("DELETE", f"{MODELS}/{model}")
    talk.call("GET", f"{MODELS}/{model}")
    talk.call("POST", f"{MODELS}/search", of, name="models after the deletion")


def models_in_pages(talk: Conversation) -> None:
    experiment = experiment_of(talk, "models")
    for index in range(5):
        said = {"experiment_id": experiment, "name": f"net{index}"}
        model = talk.call("POST", MODELS, said, name=f"create model {index}")["model"]["info"]["model_id"]
        talk.stands_for(model, f"model{index}")
    search: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 2, "order_by": [{"field_name": "name"}]}
    for number in range(4):
        answer = talk.call("POST", f"{MODELS}/search", search, name=f"page {number}")
        if "next_page_token" not in answer:
            break
        search = {**search, "page_token": answer["next_page_token"]}
    other = {**search, "order_by": [{"field_name": "name", "ascending": False}]}
    talk.call("POST", f"{MODELS}/search", other, name="the token of another search")
