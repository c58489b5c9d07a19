"""Aliases of registered models, within a transaction of the caller's. Whether one is guarded is the caller's to ask."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, delete, select

from headgate.store.dialects import upsert
from headgate.store.registry.models import lock_model
from headgate.store.tables import ModelAliasRow

_ALIAS = ModelAliasRow.__table__


def find_alias(conn: Connection, workspace: str, name: str, alias: str) -> int | None:
    """Return the number of the version that an alias names; None when there is no such alias."""
    version: int | None = conn.execute(select(_ALIAS.c.version).where(_one(workspace, name, alias))).scalar()
    return version


def aliases_of(conn: Connection, workspace: str, name: str, version: int) -> tuple[str, ...]:
    """Return the aliases that name a version."""
    of_version = select(_ALIAS.c.alias).where(
        _ALIAS.c.workspace == workspace, _ALIAS.c.name == name, _ALIAS.c.version == version
    )
    return tuple(conn.execute(of_version.order_by(_ALIAS.c.alias)).scalars())


def move_alias(conn: Connection, workspace: str, name: str, alias: str, version: int) -> None:
    """Let an alias name a version, whatever it named before, guarded or not: a promotion has verified its verdict.

    Args:
        conn: in a write transaction that holds the lock of the model's row.
        alias: without ``@``.
        version: one that was found under the lock.
    """
    row = {"workspace": workspace, "name": name, "alias": alias, "version": version}
    conn.execute(upsert(conn, _ALIAS, update=("version",)), [row])


def remove_alias(conn: Connection, workspace: str, name: str, alias: str) -> int | None:
    """Remove an alias, guarded or not; return what it named. One that isn't there is no error, as in MLflow.

    Raises:
        NotFound: the model does not exist.
    """
    lock_model(conn, workspace, name)
    before = find_alias(conn, workspace, name, alias)
    conn.execute(delete(_ALIAS).where(_one(workspace, name, alias)))
    return before


def _one(workspace: str, name: str, alias: str) -> Any:
    return and_(_ALIAS.c.workspace == workspace, _ALIAS.c.name == name, _ALIAS.c.alias == alias)
