"""Searching 50,000 runs on SQLite: the first page of 100

The same runs, with 3 metrics, 3 params and 2 tags each, stand in Headgate's tables and in MLflow's. The baselines find
the same page: the bare driver with SQL written for that one question (only the ids of its runs), and MLflow's client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.figures import Figure, alone, in_turns, speed_against
from tests.bench.many_runs import write_to_headgate, write_to_mlflow
from tests.bench.stores import Stores, fresh_stores

RUNS = 50_000
PAGE = 100
BY_HAND = """
SELECT series.run_id
FROM headgate_metric_series AS series
JOIN headgate_param AS param ON param.run_id = series.run_id AND param.key = 'max_depth' AND param.value = '6'
JOIN headgate_run AS run ON run.run_id = series.run_id AND run.lifecycle_stage = 'active'
WHERE series.experiment_id = 0 AND series.key = 'val_f1' AND series.is_nan = 0 AND series.value > 0.9
ORDER BY series.value DESC LIMIT 100
"""


@dataclass(frozen=True)
class Question:
    """What is asked of a store, in MLflow's search language."""

    name: str
    filter: str = ""
    order_by: tuple[str, ...] = ()


PROMISED = Question(
    "metric and param, by metric", "metrics.val_f1 > 0.9 and params.max_depth = '6'", ("metrics.val_f1 DESC",)
)
OTHERS = (
    Question("all, newest first"),
    Question("one run by a param", "params.seed = '4711'"),
    Question("nothing found", "metrics.val_f1 > 2", ("metrics.val_f1 DESC",)),
)
# MLflow takes three quarters of a minute for this one, so it is asked alone.
SLOW_ELSEWHERE = Question("by a tag, by a metric", "tags.team = 'red'", ("metrics.loss ASC",))


def measure(repeats: int) -> list[Figure]:
    with fresh_stores() as stores:
        _fill(stores)
        ours, by_hand, mlflow = in_turns(
            repeats,
            (PROMISED.name, _ask(stores, PROMISED)),
            ("sqlite3, SQL by hand", lambda: stores.raw.execute(BY_HAND).fetchall()),
            ("MlflowClient.search_runs", _ask_mlflow(stores, PROMISED)),
        )
        figures = [
            alone(ours.what, ours, at_most=50),
            speed_against(ours.what, ours, by_hand),
            speed_against(ours.what, ours, mlflow),
        ]
        for question in OTHERS:
            ours, mlflow = in_turns(
                repeats,
                (question.name, _ask(stores, question)),
                ("MlflowClient.search_runs", _ask_mlflow(stores, question)),
            )
            figures.append(speed_against(question.name, ours, mlflow))
        (ours,) = in_turns(repeats, (SLOW_ELSEWHERE.name, _ask(stores, SLOW_ELSEWHERE)))
        figures.append(alone(ours.what, ours))
    return figures


def _fill(stores: Stores) -> None:
    write_to_headgate(f"sqlite:///{stores.path}", RUNS)
    write_to_mlflow(f"sqlite:///{stores.mlflow_path}", RUNS)


def _ask(stores: Stores, question: Question) -> Callable[[], object]:
    runs, order_by = stores.headgate.runs, list(question.order_by)
    return lambda: runs.search(["0"], filter=question.filter, order_by=order_by, max_results=PAGE)


def _ask_mlflow(stores: Stores, question: Question) -> Callable[[], object]:
    client, order_by = stores.mlflow, list(question.order_by)
    return lambda: client.search_runs(["0"], question.filter, max_results=PAGE, order_by=order_by)
