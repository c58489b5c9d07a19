"""Runs: made, logged to, updated, deleted and restored."""

from __future__ import annotations

import json

from tests.wire.conversation import Conversation
from tests.wire.scripts.speaking import METRICS, RUNS, experiment_of, run_of


def runs(talk: Conversation) -> None:
    experiment = experiment_of(talk, "runs")
    run = run_of(talk, experiment, run_name="first", tags=[{"key": "a", "value": "b"}])
    talk.call("GET", f"{RUNS}/get", {"run_id": run})
    talk.call("GET", f"{RUNS}/get", {"run_uuid": run})
    talk.call("GET", f"{RUNS}/get", {"run_id": "0" * 32}, message=True)
    talk.call("GET", f"{RUNS}/get", {}, message=True)
    talk.call("POST", f"{RUNS}/create", {"experiment_id": "987654", "start_time": 1}, message=True)
    talk.call("POST", f"{RUNS}/create", {"experiment_id": experiment, "start_time": "soon"}, message=True)
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "p", "value": "1"})
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "p", "value": "1"})
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "p", "value": "2"}, message=True)
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "long", "value": "x" * 7000})
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "", "value": "1"})
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "a" * 251, "value": "1"})
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "no?", "value": "1"})
    talk.call("POST", f"{RUNS}/log-parameter", {"run_id": run, "key": "../up", "value": "1"})
    talk.call("POST", f"{RUNS}/set-tag", {"run_id": run, "key": "t", "value": "1"})
    talk.call("POST", f"{RUNS}/set-tag", {"run_id": run, "key": "t", "value": "2"})
    talk.call("POST", f"{RUNS}/set-tag", {"run_id": run, "key": "t", "value": 3})
    talk.call("POST", f"{RUNS}/set-tag", {"run_id": run, "value": "3"})
    talk.call("POST", f"{RUNS}/delete-tag", {"run_id": run, "key": "t"})
    talk.call("POST", f"{RUNS}/delete-tag", {"run_id": run, "key": "t"})
    metric = {"run_id": run, "timestamp": 1_700_000_000_001, "step": 0}
    for key, value in (("m", 0.5), ("n", "NaN"), ("i", "Infinity"), ("j", "-Infinity"), ("s", "1.5")):
        talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": key, "value": value})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m", "value": 0.7, "step": 2})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m", "value": 0.9, "step": 1})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m", "value": 0.9, "step": 1})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m", "value": "high"}, message=True)
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m"}, message=True)
    talk.call("POST", f"{RUNS}/log-metric", {"run_id": run, "key": "m", "value": 1})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m", "value": 1, "timestamp": -1})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "run_id": "0" * 32, "key": "m", "value": 1})
    talk.call("GET", f"{RUNS}/get", {"run_id": run})
    history = "2.0/mlflow/metrics/get-history"
    talk.call("GET", history, {"run_id": run, "metric_key": "m"})
    talk.call("GET", history, {"run_id": run, "metric_key": "n"})
    talk.call("GET", history, {"run_id": run, "metric_key": "none"})
    talk.call("GET", history, {"run_id": run})
    talk.call("GET", history, {"run_id": run, "metric_key": "m", "max_results": 0})
    batch = {
        "run_id": run,
        "metrics": [{"key": "b", "value": 1, "timestamp": 5, "step": 1}, {"key": "b", "value": 2, "timestamp": 6}],
        "params": [{"key": "q", "value": "r"}],
        "tags": [{"key": "u", "value": "v"}],
    }
    talk.call("POST", f"{RUNS}/log-batch", batch)
    talk.call("POST", f"{RUNS}/log-batch", batch)
    twice = [{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]
    talk.call("POST", f"{RUNS}/log-batch", {"run_id": run, "params": twice})
    too_many = [{"key": f"p{index}", "value": "1"} for index in range(101)]
    talk.call("POST", f"{RUNS}/log-batch", {"run_id": run, "params": too_many}, name="too many params")
    points = [{"key": "z", "value": 1, "timestamp": index} for index in range(1001)]
    talk.call("POST", f"{RUNS}/log-batch", {"run_id": run, "metrics": points}, name="too many metrics")
    talk.call("POST", f"{RUNS}/log-batch", {"run_id": run})
    talk.call("POST", f"{RUNS}/log-batch", {})
    talk.call("POST", f"{RUNS}/update", {"run_id": run, "status": "FINISHED", "end_time": 1_700_000_000_900})
    talk.call("POST", f"{RUNS}/update", {"run_id": run, "run_name": "renamed"})
    talk.call("POST", f"{RUNS}/update", {"run_id": run, "status": "NONSENSE"}, name="status that is none")
    for status in ("RUNNING", "SCHEDULED", "FAILED", "KILLED", 3):
        talk.call("POST", f"{RUNS}/update", {"run_id": run, "status": status})
    talk.call("POST", f"{RUNS}/update", {"run_id": "0" * 32, "status": "RUNNING"}, message=True)
    talk.call("POST", f"{RUNS}/update", {"run_id": run, "status": "FINISHED", "end_time": 1_700_000_000_900})
    talk.call("GET", f"{RUNS}/get", {"run_id": run})
    talk.call("POST", f"{RUNS}/delete", {"run_id": run})
    talk.call("POST", f"{RUNS}/log-metric", {**metric, "key": "m", "value": 1})
    talk.call("POST", f"{RUNS}/set-tag", {"run_id": run, "key": "t", "value": "1"})
    talk.call("POST", f"{RUNS}/search", {"experiment_ids": [experiment]})
    talk.call("POST", f"{RUNS}/search", {"experiment_ids": [experiment], "run_view_type": "DELETED_ONLY"})
    talk.call("POST", f"{RUNS}/restore", {"run_id": run})
    talk.call("POST", f"{RUNS}/restore", {"run_id": "0" * 32})
    talk.call("POST", f"{RUNS}/delete", {"run_id": "0" * 32})
    talk.call("POST", f"{RUNS}/delete", {})
    talk.call("POST", f"{RUNS}/delete", {"run_id": run})
    talk.call("POST", f"{RUNS}/delete", {"run_id": run})
    talk.call("GET", f"{RUNS}/get", {"run_id": run})


def legacy_models(talk: Conversation) -> None:
    """What clients before MLflow 3 say of a model."""
    run = run_of(talk, experiment_of(talk, "legacy"))
    model = {"artifact_path": "m", "flavors": {"python_function": {}}, "utc_time_created": "2026-01-01", "run_id": run}
    path = f"{RUNS}/log-model"
    for said in (
        {"run_id": run, "model_json": json.dumps(model)},
        {"run_id": run, "model_json": json.dumps({**model, "artifact_path": "n"})},
        {"run_id": run, "model_json": "{"},
        {"run_id": run, "model_json": "{}"},
        {"run_id": run},
        {"run_id": "0" * 32, "model_json": json.dumps(model)},
    ):
        talk.call("POST", path, said)


def bodies(talk: Conversation) -> None:
    """Bodies that are none, or of another shape."""
    experiment = experiment_of(talk, "bodies")
    run, scratch = run_of(talk, experiment), run_of(talk, experiment, "scratch")
    create, batch, metric = f"{RUNS}/create", f"{RUNS}/log-batch", f"{RUNS}/log-metric"
    for data in ("", "{", "nonsense", "[]", "null", "3", '"text"', '{"run_id": ', "\x00", '{"a": 1} {}'):
        talk.call("POST", batch, data=data, name=f"batch {data!r}")
    again = json.dumps(json.dumps({"run_id": run, "params": [{"key": "twice", "value": "encoded"}]}))
    talk.call("POST", batch, data=again, name="a body that is encoded twice")
    for said in (
        {"run_id": 7},
        {"run_id": [run]},
        {"run_id": run, "metrics": {}},
        {"run_id": run, "metrics": {"a": [1.5, None]}},
        {"run_id": run, "metrics": "many"},
        {"run_id": run, "params": [{"value": "no key"}]},
        {"run_id": run, "params": [{"key": 1, "value": "x"}]},
        {"run_id": run, "nonsense": 5},
        {"run_id": None},
        {"runId": run},
    ):
        talk.call("POST", batch, said)
    for said in ({"experiment_id": 0}, {"nonsense": 1}, {}):
        talk.call("POST", create, said)
    said = {"experiment_id": experiment, "start_time": 1.5}
    talk.call("POST", create, said, name="run that starts in half a millisecond")
    talk.call("POST", batch, {"run_id": scratch, "metrics": [3]}, name="a metric that is a number")
    talk.call("POST", batch, {"run_id": scratch, "tags": [{"key": "k", "value": 5}]}, name="a tag with a number")
    point = {"run_id": scratch, "key": "m", "value": 1, "timestamp": 5}
    for what, more in {
        "yes": {"value": True},
        "a list": {"value": [1]},
        "a value beyond a float": {"value": 10**400},
        "half a millisecond": {"timestamp": 5.5},
        "a yes for a time": {"timestamp": True},
        "a time beyond 64 bits": {"timestamp": 2**63},
        "a time before 64 bits": {"timestamp": -(2**63) - 1},
        "half a step": {"step": 1.5},
    }.items():
        talk.call("POST", metric, {**point, **more}, name=f"metric with {what}")
    point["run_id"] = run
    for more in (
        {"value": None},
        {"value": "1e5"},
        {"value": "NAN"},
        {"value": "inf"},
        {"timestamp": "5"},
        {"timestamp": "five"},
        {"timestamp": 5.0},
        {"step": "3"},
        {"step": -4},
        {"step": None},
        {"key": None},
        {"key": 3},
    ):
        talk.call("POST", metric, {**point, **more}, name=f"metric with {more}")
    talk.call("GET", f"{RUNS}/get", {"run_id": run})
    talk.call("GET", f"{METRICS}/get-history", {"run_id": run, "metric_key": "m"})


def histories(talk: Conversation) -> None:
    """The history of metrics: in pages, of many runs, and thinned out."""
    experiment = experiment_of(talk, "histories")
    first, second = run_of(talk, experiment, "first"), run_of(talk, experiment, "second")
    for run, count in ((first, 23), (second, 5)):
        points = [
            {"key": "m", "value": "NaN" if n == 3 else n / 7, "timestamp": 1000 - n % 4, "step": n // 2}
            for n in range(count)
        ]
        talk.call("POST", f"{RUNS}/log-batch", {"run_id": run, "metrics": points}, name="points")
    history, page = f"{METRICS}/get-history", {"run_id": first, "metric_key": "m", "max_results": 9}
    token = None
    for number in range(4):
        answer = talk.call("GET", history, page if token is None else {**page, "page_token": token}, name=f"p{number}")
        token = answer.get("next_page_token")
        if token is None:
            break
    talk.call("GET", history, {**page, "page_token": "nonsense"}, name="a token of nobody")
    for most in ("-1", "many", "1000000000"):
        talk.call("GET", history, {**page, "max_results": most}, name=f"{most} points")
    bulk = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    talk.call("GET", bulk, {"run_id": [first], "metric_key": "m"})
    talk.call("GET", bulk, {"run_id": [second, second], "metric_key": "m", "max_results": 3})
    talk.call("GET", bulk, {"metric_key": "m"})
    talk.call("GET", bulk, {"run_id": [first]})
    interval = f"{METRICS}/get-history-bulk-interval"
    of_both = {"run_ids": [first, second], "metric_key": "m"}
    for more in (
        {},
        {"max_results": 6},
        {"max_results": 1},
        {"max_results": 2},
        {"start_step": 2, "end_step": 5},
        {"start_step": 2, "end_step": 5, "max_results": 3},
        {"start_step": 5, "end_step": 2},
        {"start_step": 5},
        {"max_results": 0},
        {"max_results": 2501},
        {"max_results": "many"},
        {"metric_key": "none"},
        {"metric_key": ""},
    ):
        talk.call("GET", interval, {**of_both, **more}, name=f"interval {more}")
    talk.call("GET", interval, {"metric_key": "m"})
    talk.call("GET", interval, {"run_ids": ["0" * 32], "metric_key": "m"})
    talk.call("GET", interval, {"run_ids": [first] * 101, "metric_key": "m"}, name="too many runs")
