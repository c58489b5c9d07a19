"""Reading over the wire: a long history in pages, and the first page of searches among many runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.bench.figures import Figure, Samples, durations, share_of, speed_against, timed
from tests.bench.many_runs import write_to_headgate, write_to_mlflow
from tests.bench.wire.http_client import Connection, GaveUp, get, post, seconds_at_once
from tests.bench.wire.servers import Place, headgate_server, make_ready, places
from tests.bench.wire.writing import API, BATCH, KEYS, batches

POINTS = 100_000
HISTORY_PAGE = 25_000  # of mlflow's client
RUNS = 50_000
MILLION = 1_000_000
PAGE = 100
_MOST_SLOW_TURNS = 3
_NEXT_PAGE = re.compile(rb'"next_page_token":\s*"([^"]+)"')
_PATIENCE = 60.0  # seconds; mlflow's server takes three minutes for one of the searches on SQLite


@dataclass(frozen=True)
class Question:
    """A search in the words of MLflow.

    Args:
        at_least: how many times faster than MLflow's server the answer is to come, by kind of database.
        slow_in_mlflow_on: the kind of database on which MLflow's server is asked once only, as it takes minutes.
    """

    name: str
    filter: str
    order_by: str
    at_least: dict[str, float]
    slow_in_mlflow_on: str = ""


QUESTIONS = (
    Question(
        "filtered and ordered search",
        "metrics.val_f1 > 0.9 and params.max_depth = '6'",
        "metrics.val_f1 DESC",
        {"sqlite": 40, "postgresql": 5},
    ),
    Question("search ordered by a metric alone", "", "metrics.loss ASC", {"sqlite": 40, "postgresql": 5}, "sqlite"),
)


def measure_history(headgate_url: str, mlflow_url: str, repeats: int) -> list[Figure]:
    """Read the whole history of a metric, page by page."""
    ours, mlflows = durations(
        min(repeats, _MOST_SLOW_TURNS),
        ("headgate", timed(_history(headgate_url))),
        ("mlflow server", timed(_history(mlflow_url))),
    )
    return [speed_against(f"history of {POINTS:,} points", ours, mlflows, at_least=8)]


def _history(url: str) -> Callable[[], None]:
    """Log a long history and return what reads it."""
    with Connection(url) as connection:
        run_id = connection.post(f"{API}/runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        seconds_at_once([(connection, batches(run_id, count(), POINTS // BATCH, KEYS[:1]))])

    def read() -> None:
        query: dict[str, Any] = {"run_id": run_id, "metric_key": KEYS[0], "max_results": HISTORY_PAGE}
        points = 0
        with Connection(url) as connection:
            while True:
                page = connection.answer(get(f"{API}/metrics/get-history", query))
                points += page.count(b'"step"')
                following = _NEXT_PAGE.search(page)
                if following is None:
                    break
                query["page_token"] = following[1].decode()
        assert points == POINTS, points

    return read


def measure_searches(place: Place, headgate_url: str, mlflow_url: str, repeats: int) -> list[Figure]:
    """Ask both servers for the first page among the same runs."""
    write_to_headgate(place.headgate, RUNS)
    write_to_mlflow(place.mlflow, RUNS)
    figures = []
    for question in QUESTIONS:
        name = f"{question.name}, {RUNS:,} runs"
        ours, mlflows = ("headgate", timed(_search(headgate_url, question))), _search(mlflow_url, question)
        if question.slow_in_mlflow_on == place.name:
            (asked,) = durations(repeats, ours)
            answered = _once_with_patience(mlflows)
            asked = Samples(asked.what, (asked.median,))
        else:
            turns = min(repeats, _MOST_SLOW_TURNS) if place.name == "sqlite" else repeats
            asked, answered = durations(turns, ours, ("mlflow server", timed(mlflows)))
        figures.append(speed_against(name, asked, answered, at_least=question.at_least[place.name]))
    return figures


def measure_a_million(place: Place, headgate_url: str, repeats: int) -> list[Figure]:
    """Ask among a million runs what was asked among the fewer of the server that runs."""
    with ExitStack() as stack:
        folder = place.folder / "million"
        folder.mkdir()
        large = stack.enter_context(places(place.name, folder))
        make_ready(large.headgate, folder)
        server = stack.enter_context(headgate_server(large.headgate, folder))
        write_to_headgate(large.headgate, MILLION)
        figures = []
        for question in QUESTIONS:
            among_many, among_few = durations(
                repeats,
                ("headgate", timed(_search(server.url, question))),
                (f"the same, {RUNS:,} runs", timed(_search(headgate_url, question))),
            )
            figures.append(share_of(f"{question.name}, {MILLION:,} runs", among_many, among_few, at_most=2))
        return figures


def _search(url: str, question: Question) -> Callable[[], None]:
    said = {
        "experiment_ids": ["0"],
        "filter": question.filter,
        "run_view_type": "ACTIVE_ONLY",
        "max_results": PAGE,
        "order_by": [question.order_by],
    }

    def ask() -> None:
        with Connection(url, _PATIENCE) as connection:
            page = connection.answer(post(f"{API}/runs/search", said))
        assert page.count(b'"run_uuid"') == PAGE

    return ask


def _once_with_patience(ask: Callable[[], None]) -> Samples:
    begin = time.perf_counter()
    try:
        ask()
    except GaveUp:
        return Samples(f"mlflow server, given up after {_PATIENCE:g} s", (_PATIENCE,))
    return Samples("mlflow server, once", (time.perf_counter() - begin,))
