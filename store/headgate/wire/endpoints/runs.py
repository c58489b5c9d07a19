"""Runs: created, updated, read, searched, deleted and restored; their params, tags, inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headgate.store.entities import (
    Dataset,
    DatasetInput,
    Metric,
    ModelInput,
    ModelOutput,
    Param,
    RunStatus,
    Tag,
)
from headgate.store.validation import MAX_INT64, MAX_TAG_VALUE_LENGTH
from headgate.wire import render
from headgate.wire.call import Call, Fields
from headgate.wire.endpoints.views import VIEW_TYPES
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError, missing
from headgate.wire.principal import Role
from headgate.wire.routes import Routes
from headgate.wire.scope import may_end_run, may_tag, may_write_in, may_write_model, may_write_run
from headgate.wire.writer import Write

routes = Routes()

_API = "/api/2.0/mlflow/runs"
_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_LOGGED_MODELS = "mlflow.log-model.history"
_MODEL_FIELDS = {"artifact_path", "flavors", "utc_time_created", "run_id"}
_MOST = {"metrics": 1000, "params": 100, "tags": 100}
_MOST_ENTITIES = 1000


@routes.post(f"{_API}/create")
def create(call: Call) -> dict[str, Any]:
    fields = call.parameters
    experiment_id = fields.string("experiment_id")
    if not experiment_id:
        raise WireError("BAD_REQUEST", "A run needs an experiment: say its experiment_id.")
    may_write_in(call, experiment_id)
    tags = [Tag(tag.required_string("key"), tag.string("value", "") or "") for tag in fields.objects("tags")]
    may_tag(call, {tag.key: tag.value for tag in tags})
    parent = call.principal.run_id
    if parent is not None and (named := [tag.value for tag in tags if tag.key == "mlflow.parentRunId"]):
        parent = named[0]
        may_write_run(call, parent)
    if call.principal.name:  # MLflow's pages show this tag as the run's user
        tags = [Tag(tag.key, call.principal.name) if tag.key == "mlflow.user" else tag for tag in tags]
    run = call.store.runs.open(
        experiment_id,
        name=fields.string("run_name"),
        tags=tags,
        user_id=call.principal.name or fields.string("user_id", "") or "",
        parent_run_id=parent,  # else the tag alone says it, and may name a run that nobody knows
        start_time=fields.integer("start_time", call.now),
        now=call.now,
    )
    answer = render.run(run, call.uris)
    del answer["outputs"]  # as MLflow: a new run has none
    return {"run": answer}


@routes.get(f"{_API}/get")
def get(call: Call) -> dict[str, Any]:
    run = call.store.runs.get(call.parameters.first_string("run_id", "run_uuid"))
    return {"run": render.run(run, call.uris)}


@routes.post(f"{_API}/update")
def update(call: Call) -> dict[str, Any]:
    """Change a run. How the run of a project ends is for its runner to say, by how the process ends, not for itself."""
    fields = call.parameters
    run_id = fields.first_string("run_id", "run_uuid")
    may_write_run(call, run_id)
    status = RunStatus(fields.choice("status", _STATUSES, "RUNNING")) if "status" in fields else None
    end_time = fields.integer("end_time")
    if run_id == call.principal.run_id:
        status = end_time = None
    if status is not None or end_time is not None:
        may_end_run(call, run_id)
    info = call.store.runs.update(run_id, status=status, end_time=end_time, name=fields.string("run_name"))
    return {"run_info": render.run_info(info, call.uris)}


@routes.post(f"{_API}/search", role=Role.READ)
def search(call: Call) -> dict[str, Any]:
    fields = call.parameters
    page = call.store.runs.search(
        fields.strings("experiment_ids"),
        filter=fields.string("filter"),
        view_type=VIEW_TYPES[fields.choice("run_view_type", tuple(VIEW_TYPES), "ACTIVE_ONLY")],
        max_results=fields.limited("max_results", default=1000, most=50_000),
        order_by=fields.strings("order_by"),
        page_token=fields.string("page_token"),
    )
    return render.without_empty(
        runs=[render.run(item, call.uris) for item in page.items], next_page_token=page.next_page_token
    )


@routes.post(f"{_API}/delete", scoped=False)
def delete(call: Call) -> dict[str, Any]:
    call.store.runs.delete(call.parameters.required_string("run_id"), call.now)
    return {}


@routes.post(f"{_API}/restore", scoped=False)
def restore(call: Call) -> dict[str, Any]:
    call.store.runs.restore(call.parameters.required_string("run_id"))
    return {}


@routes.post(f"{_API}/log-metric", kind="grouped")
def log_metric(call: Call) -> Write:
    fields = call.parameters
    return _write(call, fields.first_string("run_id", "run_uuid"), metrics=[_metric(fields)])


@routes.post(f"{_API}/log-parameter", kind="grouped")
def log_parameter(call: Call) -> Write:
    fields = call.parameters
    param = Param(fields.required_string("key"), fields.string("value", "") or "")
    return _write(call, fields.first_string("run_id", "run_uuid"), params=[param])


@routes.post(f"{_API}/set-tag", kind="grouped")
def set_tag(call: Call) -> Write:
    fields = call.parameters
    tag = Tag(fields.required_string("key"), fields.string("value", "") or "")
    return _write(call, fields.first_string("run_id", "run_uuid"), tags=[tag])


@routes.post(f"{_API}/delete-tag")
def delete_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    run_id = fields.required_string("run_id")
    may_write_run(call, run_id)
    call.store.tags.delete(run_id, fields.required_string("key"))
    return {}


@routes.post(f"{_API}/log-batch", kind="grouped")
def log_batch(call: Call) -> Write:
    fields = call.parameters
    run_id = fields.required_string("run_id")
    metrics, params, tags = fields.mappings("metrics"), fields.objects("params"), fields.objects("tags")
    _check_sizes({"metrics": len(metrics), "params": len(params), "tags": len(tags)})
    return _write(
        call,
        run_id,
        metrics=_metrics(metrics),
        params=[Param(item.required_string("key"), item.string("value", "") or "") for item in params],
        tags=[Tag(item.required_string("key"), item.string("value", "") or "") for item in tags],
    )


@routes.post(f"{_API}/log-inputs")
def log_inputs(call: Call) -> dict[str, Any]:
    fields = call.parameters
    run_id = fields.required_string("run_id")
    may_write_run(call, run_id)
    call.store.datasets.log_inputs(
        run_id,
        [_dataset_input(item) for item in fields.objects("datasets")],
        [ModelInput(item.required_string("model_id")) for item in fields.objects("models")],
    )
    return {}


@routes.post(f"{_API}/outputs")
def log_outputs(call: Call) -> dict[str, Any]:
    fields = call.parameters
    run_id = fields.required_string("run_id")
    models = fields.objects("models")
    if not models:
        raise missing("models")
    may_write_run(call, run_id)
    for model in models:
        may_write_model(call, model.required_string("model_id"))
    call.store.datasets.log_outputs(
        run_id, [ModelOutput(item.required_string("model_id"), item.integer("step", 0) or 0) for item in models]
    )
    return {}


@routes.post(f"{_API}/log-model")
def log_model(call: Call) -> dict[str, Any]:
    """Note on the run, in a tag, that a model was logged: what clients before MLflow 3 send."""
    fields = call.parameters
    run_id, said = fields.required_string("run_id"), fields.required_string("model_json")
    try:
        model = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise WireError(INVALID_PARAMETER_VALUE, f"Malformed model info. \n {said} \n is not a valid JSON.") from error
    absent = _MODEL_FIELDS - set(model if isinstance(model, dict) else ())
    if absent:
        raise WireError(INVALID_PARAMETER_VALUE, f"Model json is missing mandatory fields: {sorted(absent)}")
    may_write_run(call, run_id)
    before = json.loads(call.store.runs.get(run_id).tags.get(_LOGGED_MODELS, "[]"))
    if model not in before:  # the request may come twice
        call.store.tags.set(run_id, {_LOGGED_MODELS: _newest([*before, model])})
    return {}


def _newest(models: list[Any]) -> str:
    """Return the JSON of a list of models, without the oldest ones where a tag has no room for all."""
    text = json.dumps(models)
    if len(text) <= MAX_TAG_VALUE_LENGTH:
        return text
    if len(models) == 1:
        raise WireError(INVALID_PARAMETER_VALUE, f"The model's info is longer than {MAX_TAG_VALUE_LENGTH} characters.")
    return _newest(models[1:])


def _write(call: Call, run_id: str, **items: Any) -> Write:
    from headgate.store.run_batches import RunBatch

    return Write(RunBatch.of(run_id, **items), call.principal)


def _metrics(items: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """Return the metrics of a batch. What is usual is decided in place: a batch holds a thousand of them."""
    metrics = []
    for index, item in enumerate(items):
        key, value, timestamp, step = item.get("key"), item.get("value"), item.get("timestamp"), item.get("step")
        if (
            len(item) == 4
            and type(value) is float
            and type(timestamp) is int
            and type(step) is int
            and 0 <= timestamp <= MAX_INT64
            and 0 <= step <= MAX_INT64
            and type(key) is str
            and key
        ):
            metrics.append(Metric(key, value, timestamp, step))
        else:
            metrics.append(_metric(Fields(item, path=f"metrics[{index}].")))
    return metrics


def _metric(fields: Fields) -> Metric:
    return Metric(
        fields.required_string("key"),
        fields.number("value"),
        fields.required_integer("timestamp"),
        fields.integer("step", 0) or 0,
        model_id=fields.string("model_id") or None,
        dataset_name=fields.string("dataset_name") or None,
        dataset_digest=fields.string("dataset_digest") or None,
    )


def _dataset_input(fields: Fields) -> DatasetInput:
    if "dataset" not in fields:
        raise missing("dataset")
    said = fields.object("dataset")
    dataset = Dataset(
        said.required_string("name"),
        said.required_string("digest"),
        said.required_string("source_type"),
        said.required_string("source"),
        said.string("schema"),
        said.string("profile"),
    )
    tags = {tag.required_string("key"): tag.string("value", "") or "" for tag in fields.objects("tags")}
    return DatasetInput(dataset, tags)


def _check_sizes(sizes: dict[str, int]) -> None:
    """Hold a batch to MLflow's limits."""
    for name, size in [*sizes.items(), ("metrics, params, and tags", sum(sizes.values()))]:
        most = _MOST.get(name, _MOST_ENTITIES)
        if size > most:
            raise WireError(
                INVALID_PARAMETER_VALUE,
                f"A batch logging request can contain at most {most} {name}. Got {size} {name}. "
                f"Please split up {name} across multiple requests and try again.",
            )
