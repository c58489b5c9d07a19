"""Registered models and their tags, within a transaction of the caller's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from headgate.store.dialects import insert_ignore, upsert
from headgate.store.entities import RegisteredModel
from headgate.store.errors import AlreadyExists, NotFound, PromotionRefused
from headgate.store.gates import lock_registered_model, require_unguarded
from headgate.store.tables import (
    ModelAliasRow,
    ModelVersionRow,
    PromotionRow,
    RegisteredModelRow,
    RegisteredModelTagRow,
)

_ALIAS = ModelAliasRow.__table__
_MODEL = RegisteredModelRow.__table__
_PROMOTION = PromotionRow.__table__
_TAG = RegisteredModelTagRow.__table__
_VERSION = ModelVersionRow.__table__


def create_model(
    conn: Connection, workspace: str, name: str, *, description: str, tags: Mapping[str, str], now: int
) -> None:
    """Write a new registered model, or raise AlreadyExists."""
    try:
        with conn.begin_nested():
            conn.execute(insert(_MODEL), [_new_row(workspace, name, description, now)])
    except IntegrityError as error:
        raise _model_exists(name) from error
    set_model_tags(conn, workspace, name, tags)


def ensure_model(conn: Connection, workspace: str, name: str, *, now: int) -> None:
    """Write a registered model unless it is there."""
    conn.execute(insert_ignore(conn, _MODEL), [_new_row(workspace, name, "", now)])


def read_models(conn: Connection, workspace: str, names: Sequence[str]) -> Mapping[str, RegisteredModel]:
    """Return registered models by name, in three statements; those that don't exist are left out."""
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in conn.execute(select(_TAG).where(_among(_TAG, workspace, names)).order_by(_TAG.c.key)):
        tags[row.name][row.key] = row.value
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    for row in conn.execute(select(_ALIAS).where(_among(_ALIAS, workspace, names)).order_by(_ALIAS.c.alias)):
        aliases[row.name][row.alias] = row.version
    return {
        row.name: RegisteredModel(
            name=row.name,
            creation_timestamp=row.creation_timestamp,
            last_updated_timestamp=row.last_updated_timestamp,
            description=row.description,
            workspace=row.workspace,
            tags=tags.get(row.name, {}),
            aliases=aliases.get(row.name, {}),
        )
        for row in conn.execute(select(_MODEL).where(_among(_MODEL, workspace, names)))
    }


def read_model(conn: Connection, workspace: str, name: str) -> RegisteredModel:
    """Return a registered model, or raise NotFound."""
    found = read_models(conn, workspace, [name])
    if name not in found:
        raise no_such_model(name)
    return found[name]


def lock_model(conn: Connection, workspace: str, name: str) -> None:
    """Keep every other writer of this model and its versions out until the transaction ends, or raise NotFound."""
    if not lock_registered_model(conn, workspace, name):
        raise no_such_model(name)


def update_model(conn: Connection, workspace: str, name: str, *, description: str | None, now: int) -> None:
    """Change the description (None keeps it), or raise NotFound."""
    lock_model(conn, workspace, name)
    changes: dict[str, Any] = {"last_updated_timestamp": now}
    if description is not None:
        changes["description"] = description
    conn.execute(update(_MODEL).where(_one(_MODEL, workspace, name)).values(**changes))


def rename_model(conn: Connection, workspace: str, name: str, new_name: str, *, now: int) -> None:
    """Give a model and all that is its another name.

    A guard stands for a name, and the history of promotions is never rewritten: a model with either keeps its name, and
    a guarded name is not taken over.

    Raises:
        NotFound, AlreadyExists, TargetGuarded.
        PromotionRefused: there are promotions of the old or the new name.
    """
    lock_model(conn, workspace, name)
    if new_name == name:
        return
    for guarded in (name, new_name):
        require_unguarded(conn, workspace, guarded)
        _require_no_history(conn, workspace, guarded)
    try:
        with conn.begin_nested():
            # The names in tags, versions and aliases follow by ON UPDATE CASCADE.
            renamed = {"name": new_name, "last_updated_timestamp": now}
            conn.execute(update(_MODEL).where(_one(_MODEL, workspace, name)).values(**renamed))
    except IntegrityError as error:
        raise _model_exists(new_name) from error
    conn.execute(update(_VERSION).where(_one(_VERSION, workspace, new_name)).values(last_updated_timestamp=now))


def delete_model(conn: Connection, workspace: str, name: str) -> None:
    """Delete a model with its versions, aliases and tags, or raise NotFound or TargetGuarded."""
    lock_model(conn, workspace, name)
    require_unguarded(conn, workspace, name)
    conn.execute(delete(_MODEL).where(_one(_MODEL, workspace, name)))


def set_model_tags(conn: Connection, workspace: str, name: str, tags: Mapping[str, str]) -> None:
    """Set tags, over those of the same keys; the model must exist."""
    if tags:
        rows = [{"workspace": workspace, "name": name, "key": key, "value": tags[key]} for key in sorted(tags)]
        conn.execute(upsert(conn, _TAG, update=("value",)), rows)


def delete_model_tag(conn: Connection, workspace: str, name: str, key: str) -> None:
    """Remove a tag; one that isn't there is no error, as in MLflow."""
    conn.execute(delete(_TAG).where(_one(_TAG, workspace, name), _TAG.c.key == key))


def locked_last_version(conn: Connection, workspace: str, name: str) -> int:
    """Lock a model as :func:`lock_model` does; return the last number that a version of it got, 0 before the first."""
    locked = select(_MODEL.c.last_version).where(_one(_MODEL, workspace, name)).with_for_update()
    last: int | None = conn.execute(locked).scalar()
    if last is None:
        raise no_such_model(name)
    return last


def take_version_number(conn: Connection, workspace: str, name: str, last: int, *, now: int) -> int:
    """Take the number after the last of a model, and record that something of the model changed.

    Deleted or not, no version's number comes again. A model that was deleted and made anew counts on from the numbers
    in the history of promotions: rolling back to version 3 must not find another model under that number.

    Args:
        last: what :func:`locked_last_version` returned in this transaction.
    """
    if last == 0:  # afterwards every number in the history is one that was counted here
        held = select(func.max(_PROMOTION.c.to_version), func.max(_PROMOTION.c.from_version)).where(
            _PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name
        )
        last = max(promoted or 0 for promoted in conn.execute(held).one())
    number = last + 1
    changes = {"last_version": number, "last_updated_timestamp": now}
    conn.execute(update(_MODEL).where(_one(_MODEL, workspace, name)).values(**changes))
    return number


def touch_model(conn: Connection, workspace: str, name: str, now: int) -> None:
    """Record that something of the model changed."""
    conn.execute(update(_MODEL).where(_one(_MODEL, workspace, name)).values(last_updated_timestamp=now))


def no_such_model(name: str) -> NotFound:
    return NotFound(
        f"Registered Model with name={name} not found.",
        remedy="Check the name, or create the model first.",
        kind="registered model",
        key=name,
    )


def _model_exists(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"Registered Model (name={name}) already exists.",
        remedy="Use another name, or the model that is there.",
        kind="registered model",
        key=name,
    )


def _require_no_history(conn: Connection, workspace: str, name: str) -> None:
    history = select(_PROMOTION.c.promotion_id).where(
        _PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name
    )
    if conn.execute(history.limit(1)).first() is not None:
        raise PromotionRefused(
            f"There are promotions of model {name!r}, and their history is never rewritten.",
            remedy="Leave its name as it is, and use one without promotions for another model.",
            model_name=name,
        )


def _new_row(workspace: str, name: str, description: str, now: int) -> dict[str, Any]:
    return {
        "workspace": workspace,
        "name": name,
        "description": description,
        "last_version": 0,
        "creation_timestamp": now,
        "last_updated_timestamp": now,
    }


def _one(table: Any, workspace: str, name: str) -> Any:
    return and_(table.c.workspace == workspace, table.c.name == name)


def _among(table: Any, workspace: str, names: Sequence[str]) -> Any:
    return and_(table.c.workspace == workspace, table.c.name.in_(names))
