"""Registered models: created, read, searched, renamed and deleted; their tags, aliases and latest versions."""

from __future__ import annotations

from typing import Any

from headgate.store.entities import RegisteredModel
from headgate.store.errors import NotFound
from headgate.wire import render
from headgate.wire.call import Call
from headgate.wire.endpoints.version_numbers import version_number
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError
from headgate.wire.principal import Role
from headgate.wire.routes import Routes

routes = Routes()

_API = "/api/2.0/mlflow/registered-models"


@routes.post(f"{_API}/create")
def create(call: Call) -> dict[str, Any]:
    fields = call.parameters
    tags = {tag.required_string("key"): tag.string("value", "") or "" for tag in fields.objects("tags")}
    created = call.store.registry.create_model(
        fields.required_string("name"), description=fields.string("description", "") or "", tags=tags, now=call.now
    )
    return _answer(call, created)


@routes.get(f"{_API}/get")
def get(call: Call) -> dict[str, Any]:
    return _answer(call, call.store.registry.get_model(call.parameters.required_string("name")))


@routes.get(f"{_API}/search")
def search(call: Call) -> dict[str, Any]:
    fields = call.parameters
    page = call.store.registry.search_models(
        filter=fields.string("filter"),
        max_results=fields.limited("max_results", default=100, most=1000),
        order_by=fields.strings("order_by"),
        page_token=fields.string("page_token"),
    )
    latest = call.store.registry.latest_versions_of([model.name for model in page.items])
    return render.without_empty(
        registered_models=[
            render.registered_model(model, latest.get(model.name, ()), call.uris) for model in page.items
        ],
        next_page_token=page.next_page_token,
    )


@routes.patch(f"{_API}/update", scoped=False)
def update(call: Call) -> dict[str, Any]:
    fields = call.parameters
    updated = call.store.registry.update_model(
        fields.required_string("name"), description=fields.string("description", ""), now=call.now
    )
    return _answer(call, updated)


@routes.post(f"{_API}/rename", scoped=False)
def rename(call: Call) -> dict[str, Any]:
    fields = call.parameters
    renamed = call.store.registry.rename_model(
        fields.required_string("name"), fields.required_string("new_name"), now=call.now
    )
    return _answer(call, renamed)


@routes.delete(f"{_API}/delete", scoped=False)
def delete(call: Call) -> dict[str, Any]:
    call.store.registry.delete_model(call.parameters.required_string("name"))
    return {}


@routes.add("GET|POST", f"{_API}/get-latest-versions", role=Role.READ)
def get_latest_versions(call: Call) -> dict[str, Any]:
    fields = call.parameters
    versions = call.store.registry.get_latest_versions(fields.required_string("name"), fields.strings("stages"))
    return render.without_empty(model_versions=[render.model_version(version, call.uris) for version in versions])


@routes.post(f"{_API}/set-tag", scoped=False)
def set_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.registry.set_model_tag(
        fields.required_string("name"), fields.required_string("key"), fields.string("value", "") or ""
    )
    return {}


@routes.delete(f"{_API}/delete-tag", scoped=False)
def delete_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.registry.delete_model_tag(fields.required_string("name"), fields.required_string("key"))
    return {}


@routes.post(f"{_API}/alias", role=Role.PROMOTE, scoped=False)
def set_alias(call: Call) -> dict[str, Any]:
    """Let an alias name a version. A guarded alias moves by a promotion only."""
    fields = call.parameters
    call.store.registry.set_alias(
        fields.required_string("name"), fields.required_string("alias"), version_number(fields)
    )
    return {}


@routes.delete(f"{_API}/alias", role=Role.PROMOTE, scoped=False)
def delete_alias(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.registry.delete_alias(fields.required_string("name"), fields.required_string("alias"))
    return {}


@routes.get(f"{_API}/alias")
def get_by_alias(call: Call) -> dict[str, Any]:
    fields = call.parameters
    try:
        version = call.store.registry.get_version_by_alias(
            fields.required_string("name"), fields.required_string("alias")
        )
    except NotFound as error:
        if error.kind == "alias":  # MLflow's answer to a missing alias is this code, not RESOURCE_DOES_NOT_EXIST
            raise WireError(INVALID_PARAMETER_VALUE, str(error)) from error
        raise
    return {"model_version": render.model_version(version, call.uris)}


def _answer(call: Call, model: RegisteredModel) -> dict[str, Any]:
    latest = call.store.registry.latest_versions_of([model.name]).get(model.name, ())
    return {"registered_model": render.registered_model(model, latest, call.uris)}
