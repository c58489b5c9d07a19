"""Model versions: created, read, searched, updated and deleted; their tags, stages and files."""

from __future__ import annotations

from typing import Any

from headgate.store.entities import ModelVersion
from headgate.wire import render
from headgate.wire.call import Call
from headgate.wire.endpoints.version_numbers import version_number
from headgate.wire.endpoints.version_sources import version_source
from headgate.wire.principal import Role
from headgate.wire.routes import Routes
from headgate.wire.scope import may_write_version

routes = Routes()

_API = "/api/2.0/mlflow/model-versions"
_ORDER = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")


@routes.post(f"{_API}/create")
def create(call: Call) -> dict[str, Any]:
    fields = call.parameters
    name = fields.required_string("name")
    source = version_source(call, fields)
    created = call.store.registry.create_version(
        name,
        source.uri,
        run_id=source.run_id,
        model_id=source.model_id,
        tags={tag.required_string("key"): tag.string("value", "") or "" for tag in fields.objects("tags")},
        description=fields.string("description", "") or "",
        user_id=call.principal.name,
        run_link=fields.string("run_link") or None,
        now=call.now,
    )
    return _answer(call, created)


@routes.get(f"{_API}/get")
def get(call: Call) -> dict[str, Any]:
    fields = call.parameters
    return _answer(call, call.store.registry.get_version(fields.required_string("name"), version_number(fields)))


@routes.get(f"{_API}/search")
def search(call: Call) -> dict[str, Any]:
    fields = call.parameters
    page = call.store.registry.search_versions(
        filter=fields.string("filter"),
        max_results=fields.limited("max_results", default=10_000, most=200_000),
        order_by=fields.strings("order_by") or _ORDER,
        page_token=fields.string("page_token"),
    )
    return render.without_empty(
        model_versions=[render.model_version(version, call.uris, with_aliases=False) for version in page.items],
        next_page_token=page.next_page_token,
    )


@routes.patch(f"{_API}/update", scoped=False)
def update(call: Call) -> dict[str, Any]:
    fields = call.parameters
    updated = call.store.registry.update_version(
        fields.required_string("name"),
        version_number(fields),
        description=fields.string("description", ""),
        now=call.now,
    )
    return _answer(call, updated)


@routes.delete(f"{_API}/delete", scoped=False)
def delete(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.registry.delete_version(fields.required_string("name"), version_number(fields), now=call.now)
    return {}


@routes.post(f"{_API}/transition-stage", role=Role.PROMOTE, scoped=False)
def transition_stage(call: Call) -> dict[str, Any]:
    """Put a version into a stage. A guarded stage is entered and left by a promotion only."""
    fields = call.parameters
    moved = call.store.registry.transition_stage(
        fields.required_string("name"),
        version_number(fields),
        fields.required_string("stage"),
        archive_existing_versions=fields.boolean("archive_existing_versions"),
        now=call.now,
    )
    return _answer(call, moved)


@routes.get(f"{_API}/get-download-uri")
def get_download_uri(call: Call) -> dict[str, Any]:
    fields = call.parameters
    uri = call.store.registry.download_uri(fields.required_string("name"), version_number(fields))
    return {"artifact_uri": call.uris.to_wire(uri)}


@routes.post(f"{_API}/set-tag")
def set_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    name, number = fields.required_string("name"), version_number(fields)
    may_write_version(call, name, number)
    call.store.registry.set_version_tag(
        name,
        number,
        fields.required_string("key"),
        fields.string("value", "") or "",
    )
    return {}


@routes.delete(f"{_API}/delete-tag", scoped=False)
def delete_tag(call: Call) -> dict[str, Any]:
    fields = call.parameters
    call.store.registry.delete_version_tag(
        fields.required_string("name"), version_number(fields), fields.required_string("key")
    )
    return {}


def _answer(call: Call, version: ModelVersion) -> dict[str, Any]:
    return {"model_version": render.model_version(version, call.uris)}
