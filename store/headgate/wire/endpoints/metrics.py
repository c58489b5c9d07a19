"""The history of metrics: of one run in pages, of many runs at once, and thinned out for a chart."""

from __future__ import annotations

from typing import Any

from headgate.store.entities import Metric
from headgate.wire import render
from headgate.wire.call import Call, Fields
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError, missing
from headgate.wire.principal import Role
from headgate.wire.routes import Routes

routes = Routes()

_API = "/api/2.0/mlflow/metrics"
_MOST_BULK_POINTS = 25_000
_MOST_BULK_RUNS = 100
_MOST_INTERVAL_POINTS = 2500


@routes.get(f"{_API}/get-history", role=Role.READ)
def get_history(call: Call) -> bytes:
    fields = call.parameters
    most = fields.integer("max_results")
    if most is not None and most <= 0:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"Invalid value {most} for parameter 'max_results' supplied. It must be a positive integer.",
        )
    run_id, key = fields.first_string("run_id", "run_uuid"), fields.required_string("metric_key")
    page = call.store.metrics.history_points(
        run_id, key, max_results=most, page_token=fields.string("page_token") or None
    )
    return render.history(key, page)


@routes.get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", role=Role.READ)
def get_history_bulk(call: Call) -> dict[str, Any]:
    fields = call.parameters
    run_ids = fields.strings("run_id")
    if not run_ids:
        raise WireError(INVALID_PARAMETER_VALUE, "GetMetricHistoryBulk request must specify at least one run_id.")
    if len(run_ids) > _MOST_BULK_RUNS:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"GetMetricHistoryBulk request cannot specify more than {_MOST_BULK_RUNS} run_ids. "
            f"Received {len(run_ids)} run_ids.",
        )
    key = fields.string("metric_key")
    if key is None:
        raise WireError(INVALID_PARAMETER_VALUE, "GetMetricHistoryBulk request must specify a metric_key.")
    left = min(fields.integer("max_results", _MOST_BULK_POINTS) or 0, _MOST_BULK_POINTS)
    points: list[dict[str, Any]] = []
    for run_id in sorted(run_ids):
        if left <= len(points):
            break
        page = call.store.metrics.history(run_id, key, max_results=left - len(points))
        points.extend({**_point(point), "run_id": run_id} for point in page.items)
    return {"metrics": points}


@routes.get(f"{_API}/get-history-bulk-interval", role=Role.READ)
def get_history_bulk_interval(call: Call) -> dict[str, Any]:
    """Thin the history of several runs out, for a chart."""
    fields = call.parameters
    run_ids = fields.strings("run_ids")
    if not run_ids:
        raise missing("run_ids")
    if len(run_ids) > _MOST_BULK_RUNS:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"GetMetricHistoryBulkInterval request must specify at most {_MOST_BULK_RUNS} run_ids. "
            f"Received {len(run_ids)} run_ids.",
        )
    key = fields.required_string("metric_key")
    most = fields.integer("max_results", _MOST_INTERVAL_POINTS) or 0
    if not 1 <= most <= _MOST_INTERVAL_POINTS:
        raise WireError(INVALID_PARAMETER_VALUE, f"max_results must be between 1 and {_MOST_INTERVAL_POINTS}.")
    points = call.store.metrics.samples(run_ids, key, most=most, steps=_steps(fields))
    return render.without_empty(metrics=[{**_point(point), "run_id": point.run_id} for point in points])


def _steps(fields: Fields) -> tuple[int, int] | None:
    start, end = fields.integer("start_step"), fields.integer("end_step")
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise WireError(
            INVALID_PARAMETER_VALUE, "If either start step or end step are specified, both must be specified."
        )
    if start > end:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.",
        )
    return start, end


def _point(point: Metric) -> dict[str, Any]:
    return {
        "key": point.key,
        "value": render.metric_value(point.value),
        "timestamp": point.timestamp,
        "step": point.step,
    }
