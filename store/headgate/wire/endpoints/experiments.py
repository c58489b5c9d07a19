"""Experiments: created, found, searched, renamed, deleted and restored; their tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

from headgate.store.errors import AlreadyExists, InvalidSettings
from headgate.wire import render
from headgate.wire.call import Call
from headgate.wire.endpoints.views import VIEW_TYPES
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError
from headgate.wire.principal import Role
from headgate.wire.routes import Routes

routes = Routes()

_API = "/api/2.0/mlflow/experiments"


@routes.post(f"{_API}/create", scoped=False)
def create(call: Call) -> dict[str, Any]:
    fields = call.parameters
    said = fields.string("artifact_location")
    tags = {tag.required_string("key"): tag.string("value", "") or "" for tag in fields.objects("tags")}
    created = call.store.experiments.create(
        fields.required_string("name"), _location(call, said) if said else None, tags, call.now
    )
    return {"experiment_id": created.experiment_id}


def _location(call: Call, said: str) -> str:
    """Return where an experiment's artifacts are to go; outside the artifact root only administrators may put them.

    The server lists and signs what stands there with its own rights, for everybody who may read.

    Raises:
        WireError: nothing can be kept there, or the caller may not say so.
    """
    from headgate.store.artifacts.paths import traversal_in
    from headgate.store.artifacts.uri import artifact_root_uri

    parts = urlparse(said)
    if parts.fragment or parts.params:
        raise WireError(INVALID_PARAMETER_VALUE, "'artifact_location' URL can't include fragments or params.")
    if (reason := traversal_in(said) or traversal_in(parts.query.replace("=", "/"))) is not None:
        raise WireError(INVALID_PARAMETER_VALUE, f"The artifact location {said!r} {reason}.")
    try:
        location = artifact_root_uri(call.uris.from_wire(said))
    except InvalidSettings as error:
        raise WireError(INVALID_PARAMETER_VALUE, str(error)) from error
    if not call.uris.holds(location) and not call.principal.may(Role.ADMIN):
        raise WireError(
            "PERMISSION_DENIED",
            f"{call.principal.name} may not keep artifacts outside the artifact root: it needs the role admin.",
        )
    return location


@routes.get(f"{_API}/get")
def get(call: Call) -> dict[str, Any]:
    found = call.store.experiments.get(call.parameters.required_string("experiment_id"))
    return {"experiment": render.experiment(found, call.uris)}


@routes.get(f"{_API}/get-by-name")
def get_by_name(call: Call) -> dict[str, Any]:
    name = call.parameters.required_string("experiment_name")
    found = call.store.experiments.get_by_name(name)
    if found is None:
        raise WireError("RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name}'")
    return {"experiment": render.experiment(found, call.uris)}


@routes.add("GET|POST", f"{_API}/search", role=Role.READ)
def search(call: Call) -> dict[str, Any]:
    fields = call.parameters
    if "max_results" not in fields:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            "Invalid value None for parameter 'max_results' supplied. It must be a positive integer.",
        )
    page = call.store.experiments.search(
        filter=fields.string("filter"),
        view_type=VIEW_TYPES[fields.choice("view_type", tuple(VIEW_TYPES), "ACTIVE_ONLY")],
        max_results=fields.limited("max_results", default=1000, most=50_000),
        order_by=fields.strings("order_by"),
        page_token=fields.string("page_token"),
    )
    return render.without_empty(
        experiments=[render.experiment(item, call.uris) for item in page.items], next_page_token=page.next_page_token
    )


@routes.post(f"{_API}/update", scoped=False)
def update(call: Call) -> dict[str, Any]:
    fields = call.parameters
    new_name = fields.string("new_name")
    if new_name:
        try:
            call.store.experiments.rename(fields.required_string("experiment_id"), new_name, call.now)
        except AlreadyExists as error:  # MLflow's code for a taken name is another one than at creation
            raise WireError("BAD_REQUEST", str(error)) from error
    return {}


@routes.post(f"{_API}/delete", scoped=False)
def delete(call: Call) -> dict[str, Any]:
    call.store.experiments.delete(call.parameters.required_string("experiment_id"), call.now)
    return {}


@routes.post(f"{_API}/restore", scoped=False)
def restore(call: Call) -> dict[str, Any]:
    call.store.experiments.restore(call.parameters.required_string("experiment_id"), call.now)
    return {}


@routes.post(f"{_API}/set-experiment-tag", scoped=False)
def set_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.experiments.set_tag(
        fields.required_string("experiment_id"), fields.required_string("key"), fields.string("value", "") or ""
    )
    return {}


@routes.post(f"{_API}/delete-experiment-tag", scoped=False)
def delete_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.experiments.delete_tag(fields.required_string("experiment_id"), fields.required_string("key"))
    return {}
