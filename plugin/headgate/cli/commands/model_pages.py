"""What ``headgate models show`` shows: a registered model, one version of it, or a LoggedModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.cli.documents import (
    guard_document,
    logged_model_document,
    registered_model_document,
    version_document,
)
from headgate.cli.output import print_document, print_facts, print_section, utc

if TYPE_CHECKING:
    from headgate.store.entities import Guard, LoggedModel, ModelVersion
    from headgate.store.store import Store

_SHOWN_VERSIONS = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Facts and tables for people, and the JSON document for programs."""

    document: Mapping[str, Any]
    facts: Mapping[str, Any]
    sections: Sequence[tuple[str, Sequence[str], Sequence[Sequence[Any]]]] = field(default=())

    def print(self, *, as_json: bool) -> None:
        if as_json:
            print_document(self.document)
            return
        print_facts(self.facts)
        for title, columns, rows in self.sections:
            print_section(title, columns, rows)


def model_page(store: Store, name: str) -> Page:
    """Return a registered model with its versions, the newest first, and the guards of its targets."""
    model = store.registry.get_model(name)
    quote = '"' if "'" in name else "'"
    found = store.registry.search_versions(f"name = {quote}{name}{quote}", max_results=_SHOWN_VERSIONS)
    versions = sorted(found.items, key=lambda version: -version.version)
    guards = store.gates.list(name)
    document = {
        "registered_model": registered_model_document(model),
        "versions": [version_document(version) for version in versions],
        "guards": [guard_document(guard) for guard in guards],
    }
    facts = {
        "name": model.name,
        "description": model.description,
        "aliases": ", ".join(f"@{alias} → {version}" for alias, version in sorted(model.aliases.items())),
        "created": utc(model.creation_timestamp),
        "updated": utc(model.last_updated_timestamp),
    }
    rows = [
        (v.version, ", ".join(f"@{a}" for a in v.aliases), _stage(v), v.status, v.model_id, utc(v.creation_timestamp))
        for v in versions
    ]
    sections = (
        ("Versions", ("version", "aliases", "stage", "status", "model", "created (UTC)"), rows),
        (
            "Guards",
            ("target", "gate", "approvals", "approvers", "since (UTC)"),
            [_guard_row(guard) for guard in guards],
        ),
        ("Tags", ("key", "value"), sorted(model.tags.items())),
    )
    return Page(document, facts, sections)


def _guard_row(guard: Guard) -> tuple[Any, ...]:
    approvers = ", ".join(guard.approvers) or ("anybody" if guard.quorum else "")
    return (guard.target, guard.gate_name, guard.quorum, approvers, utc(guard.updated_at))


def version_page(store: Store, found: LoggedModel | ModelVersion) -> Page:
    """Return one version of a registered model with its LoggedModel, or a LoggedModel alone."""
    from headgate.store.entities import ModelVersion

    if not isinstance(found, ModelVersion):
        return Page({"logged_model": logged_model_document(found)}, _facts_of(found), _sections_of(found))
    models = store.logged_models.get_many([found.model_id]) if found.model_id else ()
    model = models[0] if models else None
    document = {
        "model_version": version_document(found),
        "logged_model": logged_model_document(model) if model is not None else None,
    }
    facts = {
        "name": found.name,
        "version": found.version,
        "aliases": ", ".join(f"@{alias}" for alias in found.aliases),
        "stage": _stage(found),
        "registered": utc(found.creation_timestamp),
        "by": found.user_id,
        "description": found.description,
        "source": found.source,
        "run": found.run_id,
        **(_facts_of(model) if model is not None else {}),
    }
    version_tags = ("Tags of the version", ("key", "value"), sorted(found.tags.items()))
    return Page(document, facts, (version_tags, *(_sections_of(model) if model is not None else ())))


def _stage(version: ModelVersion) -> str:
    return "" if version.current_stage == "None" else version.current_stage


def _facts_of(model: LoggedModel) -> dict[str, Any]:
    return {
        "model": model.model_id,
        "logged as": model.name,
        "type": model.model_type,
        "status": model.status,
        "made by run": model.source_run_id,
        "logged": utc(model.creation_timestamp),
        "files": model.artifact_location,
        "digest": model.artifact_digest,
    }


def _sections_of(model: LoggedModel) -> tuple[tuple[str, Sequence[str], Sequence[Sequence[Any]]], ...]:
    latest: dict[tuple[str, str], Any] = {}
    for metric in sorted(model.metrics, key=lambda metric: (metric.timestamp, metric.step)):
        latest[metric.key, metric.dataset_digest or ""] = metric
    metrics = [
        (metric.key, metric.value, metric.dataset_name, metric.dataset_digest, metric.run_id, utc(metric.timestamp))
        for _, metric in sorted(latest.items())
    ]
    return (
        ("Metrics", ("key", "latest", "dataset", "digest", "run", "measured (UTC)"), metrics),
        ("Params", ("key", "value"), sorted(model.params.items())),
        ("Tags", ("key", "value"), sorted(model.tags.items())),
    )
