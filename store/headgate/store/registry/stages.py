"""Stages of model versions, within a transaction of the caller's. Whether one is guarded is the caller's to ask."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from headgate.store.errors import InvalidInput
from headgate.store.registry.models import touch_model
from headgate.store.registry.versions import lock_version
from headgate.store.tables import ModelVersionRow

NO_STAGE = "None"
ARCHIVED = "Archived"
ACTIVE_STAGES = ("Staging", "Production")
STAGES = (NO_STAGE, *ACTIVE_STAGES, ARCHIVED)

_VERSION = ModelVersionRow.__table__


def canonical_stage(stage: str) -> str:
    """Return MLflow's spelling of a stage.

    Raises:
        InvalidInput: not a stage.
    """
    for known in STAGES:
        if stage.lower() == known.lower():
            return known
    raise InvalidInput(
        f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.", kind="stage", key=stage
    )


def stage_holders(conn: Connection, workspace: str, name: str, stage: str) -> tuple[int, ...]:
    """Return the numbers of the versions in a stage (canonical), the newest first."""
    in_stage = select(_VERSION.c.version).where(
        _VERSION.c.workspace == workspace, _VERSION.c.name == name, _VERSION.c.current_stage == stage
    )
    return tuple(conn.execute(in_stage.order_by(_VERSION.c.version.desc())).scalars())


def move_stage(
    conn: Connection, workspace: str, name: str, version: int, stage: str, *, archive_existing: bool = False, now: int
) -> tuple[int, ...]:
    """Put a version into a stage, guarded or not: a promotion has verified its verdict.

    Args:
        conn: in a write transaction; the model's row is locked until it ends.
        stage: in any case.
        archive_existing: move the other versions of this stage to Archived; only for Staging and Production.
        now: UTC epoch ms.

    Returns:
        The numbers of the versions that were archived, the newest first.

    Raises:
        NotFound: the model or the version does not exist.
        InvalidInput: not a stage, or ``archive_existing`` for one that is not active.
    """
    target = canonical_stage(stage)
    if archive_existing and target not in ACTIVE_STAGES:
        raise InvalidInput(
            f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
            "stage.",
            remedy=f"Valid stages are {', '.join(ACTIVE_STAGES)}.",
            kind="stage",
            key=stage,
        )
    lock_version(conn, workspace, name, version)
    of_model = update(_VERSION).where(_VERSION.c.workspace == workspace, _VERSION.c.name == name)
    archived: tuple[int, ...] = ()
    if archive_existing:
        archived = tuple(held for held in stage_holders(conn, workspace, name, target) if held != version)
        leaving = of_model.where(_VERSION.c.version.in_(archived))
        conn.execute(leaving.values(current_stage=ARCHIVED, last_updated_timestamp=now))
    moving = of_model.where(_VERSION.c.version == version)
    conn.execute(moving.values(current_stage=target, last_updated_timestamp=now))
    touch_model(conn, workspace, name, now)
    return archived
