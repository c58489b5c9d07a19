"""LoggedModels: created, finalized, read, searched and deleted; their params, tags and files."""

from __future__ import annotations

from typing import Any

from headgate.store.entities import LoggedModel, LoggedModelStatus
from headgate.store.logged_models import EXTERNAL_TAG
from headgate.store.search.logged_models import DatasetFilter, LoggedModelOrder
from headgate.wire import render
from headgate.wire.call import Call, Fields
from headgate.wire.endpoints.artifacts import checked, files
from headgate.wire.errors import missing
from headgate.wire.principal import Role
from headgate.wire.routes import Routes
from headgate.wire.scope import may_finish_model, may_write_in, may_write_model, may_write_run

routes = Routes()

_API = "/api/2.0/mlflow/logged-models"
_STATUSES = {
    "LOGGED_MODEL_PENDING": LoggedModelStatus.PENDING,
    "LOGGED_MODEL_READY": LoggedModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": LoggedModelStatus.FAILED,
}


@routes.post(_API)
def create(call: Call) -> dict[str, Any]:
    fields = call.parameters
    experiment_id = fields.required_string("experiment_id")
    source_run_id = fields.string("source_run_id") or None
    may_write_in(call, experiment_id)
    if source_run_id is not None:
        may_write_run(call, source_run_id)
    model = call.store.logged_models.create(
        experiment_id,
        name=fields.string("name") or None,
        source_run_id=source_run_id,
        model_type=fields.string("model_type") or None,
        params=_pairs(fields, "params"),
        tags=_pairs(fields, "tags"),
        now=call.now,
    )
    return _model(call, model)


@routes.get(_API + "/{model_id}")
def get(call: Call) -> dict[str, Any]:
    return _model(call, call.store.logged_models.get(call.arguments["model_id"]))


@routes.patch(_API + "/{model_id}")
def finalize(call: Call) -> dict[str, Any]:
    """Set the status that the upload ended with. A model that is ready is known by the digest of its files."""
    model_id = call.arguments["model_id"]
    if "status" not in call.parameters:
        raise missing("status")
    status = _STATUSES[call.parameters.choice("status", tuple(_STATUSES), "LOGGED_MODEL_PENDING")]
    may_finish_model(call, model_id)
    digest = _digest_of_files(call, model_id) if status is LoggedModelStatus.READY else None
    return _model(call, call.store.logged_models.finalize(model_id, status, artifact_digest=digest, now=call.now))


@routes.delete(_API + "/{model_id}", scoped=False)
def delete(call: Call) -> dict[str, Any]:
    call.store.logged_models.delete(call.arguments["model_id"], now=call.now)
    return {}


@routes.post(_API + "/{model_id}/params")
def log_params(call: Call) -> dict[str, Any]:
    model_id = call.arguments["model_id"]
    may_write_model(call, model_id)
    call.store.logged_models.log_params(model_id, _pairs(call.parameters, "params"))
    return {}


@routes.patch(_API + "/{model_id}/tags")
def set_tags(call: Call) -> dict[str, Any]:
    model_id = call.arguments["model_id"]
    may_write_model(call, model_id)
    call.store.logged_models.set_tags(model_id, _pairs(call.parameters, "tags"))
    return {}


@routes.delete(_API + "/{model_id}/tags/{key:path}")
def delete_tag(call: Call) -> dict[str, Any]:
    model_id = call.arguments["model_id"]
    may_write_model(call, model_id)
    call.store.logged_models.delete_tag(model_id, call.arguments["key"])
    return {}


@routes.get(_API + "/{model_id}/artifacts/directories")
def list_files(call: Call) -> dict[str, Any]:
    model = call.store.logged_models.get_info(call.arguments["model_id"])
    folder = checked(call.parameters.string("artifact_directory_path", "") or "")
    listed = call.store.artifacts(model.artifact_location).list(folder)
    return render.without_empty(root_uri=call.uris.to_wire(model.artifact_location), files=files(listed))


@routes.post(f"{_API}/search", role=Role.READ)
def search(call: Call) -> dict[str, Any]:
    fields = call.parameters
    experiment_ids = fields.strings("experiment_ids")
    if not experiment_ids:
        raise missing("experiment_ids")
    page = call.store.logged_models.search(
        experiment_ids,
        filter=fields.string("filter"),
        datasets=[_dataset(item) for item in fields.objects("datasets")],
        max_results=fields.limited("max_results", default=100, most=50_000),
        order_by=[_order(item) for item in fields.objects("order_by")],
        page_token=fields.string("page_token"),
    )
    return render.without_empty(
        models=[render.logged_model(item, call.uris) for item in page.items], next_page_token=page.next_page_token
    )


def _model(call: Call, model: LoggedModel) -> dict[str, Any]:
    return {"model": render.logged_model(model, call.uris)}


def _pairs(fields: Fields, name: str) -> dict[str, str]:
    return {item.required_string("key"): item.string("value", "") or "" for item in fields.objects(name)}


def _digest_of_files(call: Call, model_id: str) -> str | None:
    """Return the digest of the model's files; None for an external model, whose files are elsewhere."""
    from headgate.store.artifacts.digest import stored_digest

    model = call.store.logged_models.get(model_id)
    return None if EXTERNAL_TAG in model.tags else stored_digest(call.store.artifacts(model.artifact_location))


def _dataset(fields: Fields) -> DatasetFilter:
    return DatasetFilter(fields.required_string("dataset_name"), fields.string("dataset_digest") or None)


def _order(fields: Fields) -> LoggedModelOrder:
    return LoggedModelOrder(
        fields.required_string("field_name"),
        fields.boolean("ascending", True),
        fields.string("dataset_name") or None,
        fields.string("dataset_digest") or None,
    )
