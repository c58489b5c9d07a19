"""A call of a tracked function, on SQLite

Beside the same function called bare, and beside MLflow recording the same by hand: a run, two params, two metrics.
"""

from __future__ import annotations

from tests.bench.figures import Figure, in_turns, more_than, share_of
from tests.bench.stores import fresh_stores

CALLS = 10


def measure(repeats: int) -> list[Figure]:
    from headgate.tasks.functions.tracked import Options, Place, call_tracked

    def train(depth: int, rate: float = 0.5) -> dict[str, float]:
        return {"f1": 0.9, "loss": rate / depth}

    with fresh_stores() as stores:

        def tracked() -> None:
            for _ in range(CALLS):
                call_tracked(train, (6,), {}, Options(), Place(stores.headgate))

        def bare() -> None:
            for _ in range(CALLS):
                train(6)

        def mlflows() -> None:
            for _ in range(CALLS):
                run_id = stores.mlflow.create_run("0", run_name="train").info.run_id
                for key, value in {"depth": 6, "rate": 0.5}.items():
                    stores.mlflow.log_param(run_id, key, value)
                for key, number in train(6).items():
                    stores.mlflow.log_metric(run_id, key, number)
                stores.mlflow.set_terminated(run_id)

        called, plain, logged = in_turns(
            repeats, (f"{CALLS} tracked calls", tracked), ("bare", bare), ("MlflowClient, by hand", mlflows)
        )
    return [
        more_than(f"{CALLS} tracked calls", called, plain, at_most=30 * CALLS),
        share_of(f"{CALLS} tracked calls", called, logged),
    ]
