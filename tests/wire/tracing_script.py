"""What scripts do with ``mlflow-tracing``: run as a program against a server that keeps no traces; prints the answers.

Nothing may hang or break the traced work: the client is told at once that there are no such endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import mlflow
from mlflow.exceptions import MlflowException


@mlflow.trace
def work(number: int) -> int:
    with mlflow.start_span("inner") as span:
        span.set_inputs({"number": number})
        return number + 1


def refusal(ask: Callable[[], object]) -> str | None:
    try:
        ask()
    except MlflowException as error:
        return str(error.error_code)
    return None


def main() -> None:
    experiment = mlflow.set_experiment("traced")
    assert work(1) == 2
    mlflow.flush_trace_async_logging()
    trace_id = mlflow.get_last_active_trace_id()
    assert mlflow.get_trace(trace_id) is None
    refused = {
        "search": refusal(lambda: mlflow.search_traces(return_type="list")),
        "tag": refusal(lambda: mlflow.set_trace_tag(trace_id, "a", "b")),
        "feedback": refusal(lambda: mlflow.log_feedback(trace_id=trace_id, name="good", value=True)),
        "expectation": refusal(lambda: mlflow.log_expectation(trace_id=trace_id, name="answer", value=2)),
    }
    print(json.dumps({"only tracing": mlflow.IS_TRACING_SDK_ONLY, "in": experiment.name, "refused": refused}))


if __name__ == "__main__":
    main()
