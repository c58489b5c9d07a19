"""Runs searched, ordered and paged."""

from __future__ import annotations

from typing import Any

from tests.wire.conversation import Conversation
from tests.wire.scripts.speaking import RUNS, experiment_of, run_of


def search_runs(talk: Conversation) -> None:
    experiment = experiment_of(talk, "search")
    for index in range(6):
        run = run_of(talk, experiment, f"run{index}", run_name=f"r{index}", start_time=1_700_000_000_000 + index)
        batch: dict[str, Any] = {"run_id": run, "params": [{"key": "depth", "value": str(index % 3)}]}
        if index != 4:
            value = "NaN" if index == 5 else index / 10
            batch["metrics"] = [{"key": "acc", "value": value, "timestamp": 1, "step": 0}]
        if index % 2:
            batch["tags"] = [{"key": "odd one", "value": f"it's {index}"}]
        talk.call("POST", f"{RUNS}/log-batch", batch)
    for filter_string in (
        "metrics.acc > 0.1",
        "metrics.acc >= 0.1 and metrics.acc < 0.3",
        "metrics.acc != 0.1",
        "metrics.`acc` = 0.2",
        "params.depth = '1'",
        "params.depth != '1'",
        "params.depth LIKE '%2'",
        "params.depth IN ('1')",
        'tags."odd one" ILIKE "IT%"',
        "tags.`odd one` IS NULL",
        "tags.`odd one` IS NOT NULL",
        "attributes.run_name = 'r2'",
        "run_name LIKE 'r%'",
        "attributes.status = 'RUNNING'",
        "attributes.start_time > 1700000000002",
        "metrics.acc > 0.1 or metrics.acc < 0.3",
        "metrics.acc > 'x'",
        "params.depth > 1",
        "metrics.acc",
        "nonsense.x = 1",
        "Metrics.acc > 1",
        "metrics.acc == 1",
    ):
        talk.call("POST", f"{RUNS}/search", {"experiment_ids": [experiment], "filter": filter_string})
    for order_by in (
        ["metrics.acc"],
        ["metrics.acc DESC"],
        ["params.depth ASC", "start_time DESC"],
        ["tags.`odd one` DESC"],
        ["attributes.run_name DESC"],
        ["nonsense"],
        ["metrics.acc SIDEWAYS"],
        ["end_time"],
        ["status DESC", "metrics.acc ASC"],
        ["metrics.none DESC"],
        ["tag.`odd one`"],
    ):
        talk.call("POST", f"{RUNS}/search", {"experiment_ids": [experiment], "order_by": order_by})
    twice = {"experiment_ids": [experiment], "order_by": ["metrics.acc", "metrics.acc"]}
    talk.call("POST", f"{RUNS}/search", twice, name="order by one metric twice")
    page: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 2, "order_by": ["metrics.acc DESC"]}
    for number in range(5):
        answer = talk.call("POST", f"{RUNS}/search", page, name=f"page {number}")
        if "next_page_token" not in answer:
            break
        page = {**page, "page_token": answer["next_page_token"]}
    for most in (-1, 50_001, "many"):
        talk.call("POST", f"{RUNS}/search", {"experiment_ids": [experiment], "max_results": most})
    talk.call("POST", f"{RUNS}/search", {"experiment_ids": [experiment], "page_token": "nonsense"})
    talk.call("POST", f"{RUNS}/search", {"experiment_ids": []})
