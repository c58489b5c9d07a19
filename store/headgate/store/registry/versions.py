"""Model versions and their tags, within a transaction of the caller's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, tuple_, update

from headgate.store.dialects import upsert
from headgate.store.entities import ModelVersion, ModelVersionStatus
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.logged_model_rows import active_row
from headgate.store.registry.model_uri import parse_model_uri
from headgate.store.registry.models import lock_model, locked_last_version, take_version_number, touch_model
from headgate.store.tables import ModelAliasRow, ModelVersionRow, ModelVersionTagRow

_ALIAS = ModelAliasRow.__table__
_TAG = ModelVersionTagRow.__table__
_VERSION = ModelVersionRow.__table__

_LARGEST_VERSION = 2**31 - 1
_MAX_SOURCE = 5000
_KEYS_PER_STATEMENT = 5000

VersionKey = tuple[str, int]


def create_version(
    conn: Connection,
    workspace: str,
    name: str,
    *,
    source: str | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    user_id: str = "",
    run_link: str | None = None,
    now: int,
) -> ModelVersion:
    """Write the next version of a registered model within the caller's transaction; run twice, it makes two.

    Numbers count up as MLflow's do: that of a deleted version is never given to another. Concurrent calls wait for each
    other on the model's row.

    Args:
        conn: in a write transaction.
        workspace: the model's.
        name: an existing registered model.
        source: where the model's files are; None means ``models:/<model_id>``.
        run_id: the run that made it; None takes that of the LoggedModel.
        model_id: the LoggedModel; None takes the one that a ``models:/`` source names.
        now: UTC epoch ms.

    Raises:
        NotFound: the registered model, the LoggedModel or the version that ``source`` names does not exist.
        InvalidInput: neither ``source`` nor ``model_id``, or a source that is too long or can't be read.
    """
    last = locked_last_version(conn, workspace, name)
    source = source or (f"models:/{model_id}" if model_id else "")
    if not source or len(source) > _MAX_SOURCE:
        raise InvalidInput(
            f"The source of a version of {name!r} is {'missing' if not source else 'too long'}.",
            remedy=f"Say where the model's files are, in at most {_MAX_SOURCE} characters.",
            kind="model version",
            key=name,
        )
    model_id = model_id or _model_id_of_source(conn, workspace, source)
    if model_id is not None:
        source_run_id = active_row(conn, model_id).source_run_id
        run_id = run_id or source_run_id
    version = ModelVersion(
        name=name,
        version=take_version_number(conn, workspace, name, last, now=now),
        source=source,
        creation_timestamp=now,
        last_updated_timestamp=now,
        status=ModelVersionStatus.READY,
        run_id=run_id,
        model_id=model_id,
        description=description,
        user_id=user_id,
        run_link=run_link,
        workspace=workspace,
        tags=dict(tags or {}),
    )
    conn.execute(insert(_VERSION).values({column.name: getattr(version, column.name) for column in _VERSION.columns}))
    set_version_tags(conn, workspace, (name, version.version), version.tags)
    return version


def version_of_model(
    conn: Connection,
    workspace: str,
    name: str,
    model_id: str,
    *,
    tags: Mapping[str, str],
    description: str,
    user_id: str,
    now: int,
) -> ModelVersion:
    """Return the newest version that stands for a LoggedModel, made when there is none; the tags are set on either.

    Raises:
        NotFound: the registered model or the LoggedModel does not exist.
    """
    lock_model(conn, workspace, name)
    own = (f"models:/{model_id}", active_row(conn, model_id).artifact_location)
    registered = versions_of_logged_model(conn, workspace, model_id)
    standing = [version for version in registered if version.name == name and version.source in own]
    if not standing:
        return create_version(
            conn, workspace, name, model_id=model_id, tags=tags, description=description, user_id=user_id, now=now
        )
    number = standing[-1].version
    set_version_tags(conn, workspace, (name, number), tags)
    return read_version(conn, workspace, name, number)


def read_version(conn: Connection, workspace: str, name: str, version: int) -> ModelVersion:
    """Return a version, or raise NotFound."""
    found = read_versions(conn, workspace, [(name, version)]) if 0 < version <= _LARGEST_VERSION else {}
    if (name, version) not in found:
        raise no_such_version(name, version)
    return found[name, version]


def read_versions(conn: Connection, workspace: str, keys: Sequence[VersionKey]) -> Mapping[VersionKey, ModelVersion]:
    """Return versions by (name, number), in three statements for every page of a usual size."""
    found: dict[VersionKey, ModelVersion] = {}
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        some = keys[start : start + _KEYS_PER_STATEMENT]
        tags: dict[VersionKey, dict[str, str]] = defaultdict(dict)
        for row in conn.execute(select(_TAG).where(_among(_TAG, workspace, some)).order_by(_TAG.c.key)):
            tags[row.name, row.version][row.key] = row.value
        aliases: dict[VersionKey, list[str]] = defaultdict(list)
        for row in conn.execute(select(_ALIAS).where(_among(_ALIAS, workspace, some)).order_by(_ALIAS.c.alias)):
            aliases[row.name, row.version].append(row.alias)
        for row in conn.execute(select(_VERSION).where(_among(_VERSION, workspace, some))):
            key = (row.name, row.version)
            found[key] = _entity(row, tags.get(key, {}), tuple(aliases.get(key, ())))
    return found


def latest_version_keys(
    conn: Connection, workspace: str, names: Sequence[str], stages: Sequence[str]
) -> Sequence[VersionKey]:
    """Return the key of the newest version of each model in each stage, by name and number."""
    newest = (
        select(_VERSION.c.name, func.max(_VERSION.c.version).label("version"))
        .where(_VERSION.c.workspace == workspace, _VERSION.c.name.in_(names), _VERSION.c.current_stage.in_(stages))
        .group_by(_VERSION.c.name, _VERSION.c.current_stage)
    )
    return sorted((row.name, row.version) for row in conn.execute(newest))


def newest_version(conn: Connection, workspace: str, name: str) -> int | None:
    """Return the number of a model's newest version; None when it has none."""
    newest = select(func.max(_VERSION.c.version)).where(_of_model(_VERSION, workspace, name))
    number: int | None = conn.execute(newest).scalar()
    return number


def versions_of_logged_model(conn: Connection, workspace: str, model_id: str) -> tuple[ModelVersion, ...]:
    """Return the versions that stand for a LoggedModel, by name and number."""
    keys = (
        select(_VERSION.c.name, _VERSION.c.version)
        .where(_VERSION.c.model_id == model_id, _VERSION.c.workspace == workspace)
        .order_by(_VERSION.c.name, _VERSION.c.version)
    )
    ordered = [(row.name, row.version) for row in conn.execute(keys)]
    found = read_versions(conn, workspace, ordered)
    return tuple(found[key] for key in ordered)


def lock_version(conn: Connection, workspace: str, name: str, version: int) -> str:
    """Lock a version's model and return the version's stage, or raise NotFound."""
    lock_model(conn, workspace, name)
    stage: str | None = None
    if 0 < version <= _LARGEST_VERSION:
        stage = conn.execute(
            select(_VERSION.c.current_stage).where(_one(_VERSION, workspace, (name, version)))
        ).scalar()
    if stage is None:
        raise no_such_version(name, version)
    return stage


def update_version(
    conn: Connection, workspace: str, name: str, version: int, *, description: str | None, now: int
) -> None:
    """Change the description (None keeps it), or raise NotFound."""
    lock_version(conn, workspace, name, version)
    changes: dict[str, Any] = {"last_updated_timestamp": now}
    if description is not None:
        changes["description"] = description
    conn.execute(update(_VERSION).where(_one(_VERSION, workspace, (name, version))).values(**changes))


def delete_version(conn: Connection, workspace: str, name: str, version: int, *, now: int) -> None:
    """Delete a version with its tags and aliases. Guards are the caller's to ask."""
    conn.execute(delete(_VERSION).where(_one(_VERSION, workspace, (name, version))))
    touch_model(conn, workspace, name, now)


def set_version_tags(conn: Connection, workspace: str, key: VersionKey, tags: Mapping[str, str]) -> None:
    """Set tags, over those of the same keys; the version must exist."""
    if tags:
        of_version = {"workspace": workspace, "name": key[0], "version": key[1]}
        rows = [{**of_version, "key": tag, "value": tags[tag]} for tag in sorted(tags)]
        conn.execute(upsert(conn, _TAG, update=("value",)), rows)


def delete_version_tag(conn: Connection, workspace: str, key: VersionKey, tag: str) -> None:
    """Remove a tag; one that isn't there is no error, as in MLflow."""
    conn.execute(delete(_TAG).where(_one(_TAG, workspace, key), _TAG.c.key == tag))


def no_such_version(name: str, version: int) -> NotFound:
    return NotFound(
        f"Model Version (name={name}, version={version}) not found.",
        remedy="Check the name and the number.",
        kind="model version",
        key=f"{name}/{version}",
        name=name,
        version=version,
    )


def _model_id_of_source(conn: Connection, workspace: str, source: str) -> str | None:
    if not source.startswith("models:/"):
        return None
    uri = parse_model_uri(source)
    if uri.model_id is not None:
        return uri.model_id
    if uri.name is None or uri.version is None:
        raise InvalidInput(
            f"The source {source!r} may mean another version tomorrow.",
            remedy="Name one: models:/<name>/<version> or models:/<model_id>.",
            kind="model URI",
            key=source,
        )
    return read_version(conn, workspace, uri.name, uri.version).model_id


def _entity(row: Row[Any], tags: Mapping[str, str], aliases: tuple[str, ...]) -> ModelVersion:
    return ModelVersion(
        name=row.name,
        version=row.version,
        source=row.source,
        creation_timestamp=row.creation_timestamp,
        last_updated_timestamp=row.last_updated_timestamp,
        status=ModelVersionStatus(row.status),
        status_message=row.status_message,
        current_stage=row.current_stage,
        run_id=row.run_id,
        model_id=row.model_id,
        description=row.description,
        user_id=row.user_id,
        run_link=row.run_link,
        workspace=row.workspace,
        tags=tags,
        aliases=aliases,
    )


def _of_model(table: Any, workspace: str, name: str) -> Any:
    return and_(table.c.workspace == workspace, table.c.name == name)


def _one(table: Any, workspace: str, key: VersionKey) -> Any:
    return and_(_of_model(table, workspace, key[0]), table.c.version == key[1])


def _among(table: Any, workspace: str, keys: Sequence[VersionKey]) -> Any:
    return and_(table.c.workspace == workspace, tuple_(table.c.name, table.c.version).in_(keys))
