"""Experiments: made, found, searched, renamed, deleted and restored."""

from __future__ import annotations

from tests.wire.conversation import Conversation
from tests.wire.scripts.speaking import EXPERIMENTS, RUNS


def experiments(talk: Conversation) -> None:
    name, renamed = talk.fresh("experiment"), talk.fresh("renamed")
    created = talk.call("POST", f"{EXPERIMENTS}/create", {"name": name}, name="create experiment")
    found = talk.in_experiment(created["experiment_id"])
    talk.call("GET", f"{EXPERIMENTS}/get", {"experiment_id": found})
    talk.call("GET", f"{EXPERIMENTS}/get-by-name", {"experiment_name": name})
    talk.call("GET", f"{EXPERIMENTS}/get-by-name", {"experiment_name": "no such"}, message=True)
    talk.call("GET", f"{EXPERIMENTS}/get", {"experiment_id": "987654"}, message=True)
    talk.call("GET", f"{EXPERIMENTS}/get", {"experiment_id": "abc"})
    talk.call("GET", f"{EXPERIMENTS}/get", {})
    talk.call("POST", f"{EXPERIMENTS}/create", {"name": name})
    talk.call("POST", f"{EXPERIMENTS}/create", {"name": ""})
    talk.call("POST", f"{EXPERIMENTS}/create", {"name": 7}, message=True)
    talk.call("POST", f"{EXPERIMENTS}/create", {"name": "x" * 501})
    talk.call("POST", f"{EXPERIMENTS}/create", {}, message=True)
    for location in ("runs:/0/model", "s3://bucket/path#fragment", "s3://bucket/path?a=../b"):
        said = {"name": talk.fresh("placed"), "artifact_location": location}
        talk.call("POST", f"{EXPERIMENTS}/create", said, name=f"experiment at {location}")
    talk.call("POST", f"{EXPERIMENTS}/set-experiment-tag", {"experiment_id": found, "key": "k", "value": "v"})
    talk.call("POST", f"{EXPERIMENTS}/set-experiment-tag", {"experiment_id": found, "key": "k", "value": "w"})
    talk.call("POST", f"{EXPERIMENTS}/set-experiment-tag", {"experiment_id": found, "key": "a/../b", "value": "w"})
    talk.call("GET", f"{EXPERIMENTS}/get", {"experiment_id": found})
    talk.call("POST", f"{EXPERIMENTS}/delete-experiment-tag", {"experiment_id": found, "key": "k"})
    talk.call("POST", f"{EXPERIMENTS}/delete-experiment-tag", {"experiment_id": found, "key": "k"})
    talk.call("POST", f"{EXPERIMENTS}/update", {"experiment_id": found, "new_name": renamed})
    talk.call("POST", f"{EXPERIMENTS}/update", {"experiment_id": found, "new_name": "Default"})
    for said in (
        {"filter": f"name = '{renamed}'", "max_results": 5},
        {"filter": f"name LIKE '{renamed}%'", "max_results": 5},
        {"filter": f"name ILIKE '{renamed.upper()}%'", "max_results": 5},
        {"filter": "nonsense = 'x'", "max_results": 5},
        {"filter": "name = unquoted", "max_results": 5},
        {"max_results": 0},
        {"max_results": 50_001},
        {"max_results": 5, "order_by": ["nonsense"]},
        {"max_results": 5, "page_token": "nonsense"},
    ):
        talk.call("POST", f"{EXPERIMENTS}/search", said)
    talk.call("POST", f"{EXPERIMENTS}/delete", {"experiment_id": found})
    talk.call("POST", f"{EXPERIMENTS}/delete", {"experiment_id": "987654"}, message=True)
    talk.call("POST", f"{EXPERIMENTS}/delete", {"experiment_id": found})
    talk.call("GET", f"{EXPERIMENTS}/get", {"experiment_id": found})
    talk.call("POST", f"{EXPERIMENTS}/create", {"name": renamed})
    talk.call("POST", f"{RUNS}/create", {"experiment_id": found, "start_time": 1})
    filtered = f"name = '{renamed}'"
    talk.call("POST", f"{EXPERIMENTS}/search", {"filter": filtered, "max_results": 5})
    talk.call("POST", f"{EXPERIMENTS}/search", {"filter": filtered, "max_results": 5, "view_type": "DELETED_ONLY"})
    talk.call("POST", f"{EXPERIMENTS}/restore", {"experiment_id": found})
    talk.call("POST", f"{EXPERIMENTS}/restore", {"experiment_id": found})
