"""Entities as MLflow's REST API shows them: proto3 JSON in snake case, without defaults where MLflow sends none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headgate.store.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LoggedModel,
    LoggedModelStatus,
    Metric,
    ModelVersion,
    Page,
    RegisteredModel,
    Run,
    RunInfo,
)
from headgate.wire.uris import ArtifactUris

if TYPE_CHECKING:
    from headgate.store.metrics import StoredPoint

# MLflow's store keeps infinities as the largest float and answers with that.
_LARGEST = 1.7976931348623157e308

_MODEL_STATUS = {
    LoggedModelStatus.PENDING: "LOGGED_MODEL_PENDING",
    LoggedModelStatus.READY: "LOGGED_MODEL_READY",
    LoggedModelStatus.FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
}


def without_empty(**fields: Any) -> dict[str, Any]:
    """Return the fields that proto3 would send: those that are neither None nor empty."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != ""}


def tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def metric_value(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return max(-_LARGEST, min(_LARGEST, value))


def metric(point: Metric) -> dict[str, Any]:
    return {
        "key": point.key,
        "value": metric_value(point.value),
        "timestamp": point.timestamp,
        "step": point.step,
        **without_empty(
            run_id=point.run_id,
            model_id=point.model_id,
            dataset_name=point.dataset_name,
            dataset_digest=point.dataset_digest,
        ),
    }


def history(key: str, page: Page[StoredPoint]) -> bytes:
    """Return the JSON of a page of a metric's history, which may hold a hundred thousand points.

    Written point by point as text: dictionaries of them would take five times as long to make and to spell.
    """
    if not page.items:
        return b"{}"
    name, nan = json.dumps(key, ensure_ascii=False), '"NaN"'
    points = [
        f'{{"key":{name},"value":{nan if is_nan else repr(value)},"timestamp":{timestamp},"step":{step}}}'
        for timestamp, step, value, is_nan in page.items
    ]
    token = f',"next_page_token":{json.dumps(page.next_page_token)}' if page.next_page_token else ""
    return f'{{"metrics":[{",".join(points)}]{token}}}'.encode()


def experiment(value: Experiment, uris: ArtifactUris) -> dict[str, Any]:
    return {
        "experiment_id": value.experiment_id,
        "name": value.name,
        "artifact_location": uris.to_wire(value.artifact_location),
        "lifecycle_stage": value.lifecycle_stage.value,
        "last_update_time": value.last_update_time,
        "creation_time": value.creation_time,
        "workspace": value.workspace,
        **without_empty(tags=tags(value.tags)),
    }


def run_info(value: RunInfo, uris: ArtifactUris) -> dict[str, Any]:
    return {
        "run_uuid": value.run_id,
        "run_id": value.run_id,
        "experiment_id": value.experiment_id,
        "run_name": value.name,
        "user_id": value.user_id,
        "status": value.status.value,
        "start_time": value.start_time,
        **without_empty(end_time=value.end_time),
        "artifact_uri": uris.to_wire(value.artifact_uri),
        "lifecycle_stage": value.lifecycle_stage.value,
    }


def run(value: Run, uris: ArtifactUris) -> dict[str, Any]:
    data = without_empty(
        metrics=[_latest(point) for point in value.metrics.values()],
        params=tags(value.params),
        tags=tags(value.tags),
    )
    inputs = without_empty(
        dataset_inputs=[dataset_input(item) for item in value.dataset_inputs],
        model_inputs=[{"model_id": item.model_id} for item in value.model_inputs],
    )
    outputs = without_empty(
        model_outputs=[{"model_id": item.model_id, "step": item.step} for item in value.model_outputs]
    )
    return {"info": run_info(value.info, uris), "data": data, "inputs": inputs, "outputs": outputs}


def _latest(point: Metric) -> dict[str, Any]:
    return {
        "key": point.key,
        "value": metric_value(point.value),
        "timestamp": point.timestamp,
        "step": point.step,
    }


def dataset(value: Dataset) -> dict[str, Any]:
    return without_empty(
        name=value.name,
        digest=value.digest,
        source_type=value.source_type,
        source=value.source,
        schema=value.schema,
        profile=value.profile,
    )


def dataset_input(value: DatasetInput) -> dict[str, Any]:
    return {**without_empty(tags=tags(value.tags)), "dataset": dataset(value.dataset)}


def logged_model(value: LoggedModel, uris: ArtifactUris) -> dict[str, Any]:
    info = {
        "model_id": value.model_id,
        "experiment_id": value.experiment_id,
        "name": value.name,
        "creation_timestamp_ms": value.creation_timestamp,
        "last_updated_timestamp_ms": value.last_updated_timestamp,
        "artifact_uri": uris.to_wire(value.artifact_location),
        "status": _MODEL_STATUS[value.status],
        "model_type": value.model_type or "",
        "source_run_id": value.source_run_id or "",
        **without_empty(
            status_message=value.status_message,
            tags=tags(value.tags),
        ),
    }
    data = without_empty(params=tags(value.params), metrics=[metric(point) for point in value.metrics])
    return {"info": info, "data": data}


def registered_model(value: RegisteredModel, latest: Sequence[ModelVersion], uris: ArtifactUris) -> dict[str, Any]:
    return {
        "name": value.name,
        "creation_timestamp": value.creation_timestamp,
        "last_updated_timestamp": value.last_updated_timestamp,
        **without_empty(
            description=value.description,
            latest_versions=[model_version(version, uris, with_aliases=False) for version in latest],
            tags=tags(value.tags),
            aliases=[{"alias": alias, "version": str(version)} for alias, version in value.aliases.items()],
        ),
    }


def model_version(value: ModelVersion, uris: ArtifactUris, *, with_aliases: bool = True) -> dict[str, Any]:
    """Show a version. MLflow tells a version's aliases when it is asked for that one, and in no list."""
    return {
        "name": value.name,
        "version": str(value.version),
        "creation_timestamp": value.creation_timestamp,
        "last_updated_timestamp": value.last_updated_timestamp,
        "current_stage": value.current_stage,
        "status": value.status.value,
        "description": value.description,
        "run_id": value.run_id or "",
        "run_link": value.run_link or "",
        **without_empty(
            user_id=value.user_id,
            source=uris.to_wire(value.source),
            status_message=value.status_message,
            tags=tags(value.tags),
            aliases=list(value.aliases) if with_aliases else None,
            model_id=value.model_id,
        ),
    }
