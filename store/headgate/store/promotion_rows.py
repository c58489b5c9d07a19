"""What promotions read and write, within a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from headgate.store.canonical import to_plain
from headgate.store.deliveries import Claim, write_claim
from headgate.store.entities import Promotion, PromotionKind
from headgate.store.errors import ChampionChanged
from headgate.store.outbox import announce
from headgate.store.promotion_checks import Candidate, Holder
from headgate.store.promotion_history import Move
from headgate.store.registry import move_alias, move_stage, remove_alias, stage_holders
from headgate.store.registry.stages import ARCHIVED
from headgate.store.tables import LoggedModelRow, ModelAliasRow, ModelVersionRow, PromotionRow, RunRow
from headgate.store.targets import Target

PROMOTION_TOPIC = "promotion"

_ALIAS = ModelAliasRow.__table__
_PROMOTION = PromotionRow.__table__
_VERSION = ModelVersionRow.__table__
_LOGGED_MODEL = LoggedModelRow.__table__
_RUN = RunRow.__table__
_COLUMNS = tuple(field.name for field in fields(Promotion))


def read_history(
    conn: Connection,
    workspace: str,
    name: str,
    target: str | None = None,
    *,
    version: int | None = None,
    newest: int | None = None,
) -> tuple[Promotion, ...]:
    """Return the promotions of a model, oldest first; arguments as of ``Promotions.history``."""
    statement = select(_PROMOTION).where(_PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name)
    if version is not None:
        statement = statement.where(or_(_PROMOTION.c.to_version == version, _PROMOTION.c.from_version == version))
    if target is not None:
        statement = statement.where(_PROMOTION.c.target == target).order_by(_PROMOTION.c.sequence.desc())
    else:
        latest_first = (_PROMOTION.c.created_at, _PROMOTION.c.target, _PROMOTION.c.sequence)
        statement = statement.order_by(*(column.desc() for column in latest_first))
    rows = conn.execute(statement if newest is None else statement.limit(newest)).mappings().all()
    return tuple(_promotion(row) for row in reversed(rows))


def read_last_promotions(conn: Connection, workspace: str, names: Collection[str]) -> tuple[Promotion, ...]:
    """Return the last event of every target of several models, in one statement."""
    of_models = and_(_PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name.in_(names))
    newest = (
        select(_PROMOTION.c.model_name, _PROMOTION.c.target, func.max(_PROMOTION.c.sequence).label("sequence"))
        .where(of_models)
        .group_by(_PROMOTION.c.model_name, _PROMOTION.c.target)
        .subquery()
    )
    same = [_PROMOTION.c[column.name] == column for column in newest.columns]
    rows = conn.execute(select(_PROMOTION).join(newest, and_(*same)).where(of_models)).mappings()
    return tuple(_promotion(row) for row in rows)


def read_newest_promotions(
    conn: Connection, workspace: str, limit: int, before: tuple[int, str] | None = None
) -> tuple[Promotion, ...]:
    """Return the newest events of all models, the newest first; with ``before``, those behind that time and id."""
    statement = select(_PROMOTION).where(_PROMOTION.c.workspace == workspace)
    if before is not None:
        when, promotion_id = before
        same_time = and_(_PROMOTION.c.created_at == when, _PROMOTION.c.promotion_id < promotion_id)
        statement = statement.where(or_(_PROMOTION.c.created_at < when, same_time))
    newest_first = (_PROMOTION.c.created_at.desc(), _PROMOTION.c.promotion_id.desc())
    rows = conn.execute(statement.order_by(*newest_first).limit(limit)).mappings()
    # Of one millisecond, a target's events come in their own order, which no index of all models has.
    return tuple(sorted(map(_promotion, rows), key=lambda event: (event.created_at, event.sequence), reverse=True))


def read_promotions(conn: Connection, workspace: str, promotion_ids: Collection[str]) -> tuple[Promotion, ...]:
    """Return the events with these ids, the newest first."""
    wanted = and_(_PROMOTION.c.workspace == workspace, _PROMOTION.c.promotion_id.in_(promotion_ids))
    rows = conn.execute(select(_PROMOTION).where(wanted).order_by(_PROMOTION.c.created_at.desc())).mappings()
    return tuple(_promotion(row) for row in rows)


def read_promotion(conn: Connection, promotion_id: str) -> Promotion | None:
    row = conn.execute(select(_PROMOTION).where(_PROMOTION.c.promotion_id == promotion_id)).mappings().first()
    return _promotion(row) if row is not None else None


def last_promotion(conn: Connection, workspace: str, name: str, target: str) -> Promotion | None:
    return next(iter(read_history(conn, workspace, name, target, newest=1)), None)


def read_moves(conn: Connection, workspace: str, name: str, target: str, *, newest: int) -> tuple[Move, ...]:
    """Return how a target moved, oldest first: the latest events of its history, and of each only what moved."""
    columns = [_PROMOTION.c[field.name] for field in fields(Move)]
    of_target = and_(
        _PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name, _PROMOTION.c.target == target
    )
    latest = select(*columns).where(of_target).order_by(_PROMOTION.c.sequence.desc()).limit(newest)
    rows = conn.execute(latest).all()
    return tuple(Move(PromotionKind(row.kind), row.from_version, row.to_version) for row in reversed(rows))


def has_held(conn: Connection, workspace: str, name: str, target: str, version: int) -> bool:
    """Say whether a version held a target at some time, by its history."""
    of_target = and_(
        _PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name, _PROMOTION.c.target == target
    )
    one = select(_PROMOTION.c.promotion_id).where(of_target)
    # Nearly always a promotion put it there; only one that was there before the first event is nobody's "to".
    return any(
        conn.execute(one.where(column == version).limit(1)).first() is not None
        for column in (_PROMOTION.c.to_version, _PROMOTION.c.from_version)
    )


def standing_at(conn: Connection, workspace: str, name: str, target: str, when: int) -> Promotion | None:
    """Return the last event of a target that was made at ``when`` (epoch ms) or before."""
    of_target = and_(
        _PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name, _PROMOTION.c.target == target
    )
    newest_first = (_PROMOTION.c.created_at.desc(), _PROMOTION.c.sequence.desc())
    statement = select(_PROMOTION).where(of_target, _PROMOTION.c.created_at <= when).order_by(*newest_first)
    row = conn.execute(statement.limit(1)).mappings().first()
    return _promotion(row) if row is not None else None


def promoted_targets(conn: Connection, workspace: str, name: str) -> tuple[str, ...]:
    """Return the targets that a model's history knows: a step in the index for each, however long the history is."""
    of_model = and_(_PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name)
    found: list[str] = []
    target = conn.execute(select(func.min(_PROMOTION.c.target)).where(of_model)).scalar()
    while target is not None:
        found.append(target)
        target = conn.execute(
            select(func.min(_PROMOTION.c.target)).where(of_model, _PROMOTION.c.target > target)
        ).scalar()
    return tuple(found)


def append_promotion(
    conn: Connection, promotion: Promotion, told: Mapping[str, Any], claim: Claim | None = None
) -> Promotion:
    """Write an event of the history with the next sequence, and its outbox row.

    Args:
        conn: in a write transaction that holds the lock of the model's row.
        promotion: its ``sequence`` is set here, and its ``created_at`` where the writer's clock is behind that of the
            event before: in a target's history the time never goes back, so what stood when is what came last by then.
        told: what the outbox says beside the promotion itself and the model that holds the target now.
        claim: who tells the event into one of the outbox's channels; None leaves it to whoever claims it.

    Raises:
        ChampionChanged: another transaction wrote this sequence, or used this verdict, first. The lock makes that
            impossible; the unique keys would still refuse it if a writer came without the lock.
    """
    of_target = and_(
        _PROMOTION.c.workspace == promotion.workspace,
        _PROMOTION.c.model_name == promotion.model_name,
        _PROMOTION.c.target == promotion.target,
    )
    newest = select(_PROMOTION.c.sequence, _PROMOTION.c.created_at).where(of_target)
    last = conn.execute(newest.order_by(_PROMOTION.c.sequence.desc()).limit(1)).first()
    sequence, earliest = (last.sequence, last.created_at) if last is not None else (0, promotion.created_at)
    values = {name: getattr(promotion, name) for name in _COLUMNS}
    values |= {"sequence": sequence + 1, "created_at": max(promotion.created_at, earliest)}
    try:
        conn.execute(insert(_PROMOTION).values(**values))
    except IntegrityError as error:
        raise ChampionChanged(
            f"Another promotion of {promotion.target} of model {promotion.model_name!r} came first.",
            remedy="Decide again: the candidate has to be compared with the present champion.",
            model_name=promotion.model_name,
            target=promotion.target,
        ) from error
    written = Promotion(**values)
    subject = promotion_subject(written.model_name, written.target)
    payload = {**to_plain(written), **_promoted_model(conn, written), **told}
    event = (written.workspace, PROMOTION_TOPIC, subject, payload, written.created_at)
    outbox_id = announce(conn, *event, model_name=written.model_name, event_id=written.promotion_id)
    if claim is not None:
        write_claim(conn, outbox_id, written.workspace, subject, claim, model_name=written.model_name)
    return written


def promotion_subject(model_name: str, target: str) -> str:
    """Return what the outbox says that a promotion is about: ``tumor-screening@champion``."""
    return f"{model_name}{target}"


def _promoted_model(conn: Connection, promotion: Promotion) -> dict[str, Any]:
    """Return the LoggedModel that holds the target now, the run that made it and the digest of its files."""
    told = dict.fromkeys(("model_id", "run_id", "digest"))
    if promotion.to_version is None:
        return told
    of_version = (
        select(_VERSION.c.model_id, _VERSION.c.run_id, _LOGGED_MODEL.c.artifact_digest)
        .select_from(_VERSION.outerjoin(_LOGGED_MODEL, _LOGGED_MODEL.c.model_id == _VERSION.c.model_id))
        .where(_VERSION.c.workspace == promotion.workspace, _VERSION.c.name == promotion.model_name)
        .where(_VERSION.c.version == promotion.to_version)
    )
    row = conn.execute(of_version).first()
    return told if row is None else {"model_id": row.model_id, "run_id": row.run_id, "digest": row.artifact_digest}


def read_candidate(conn: Connection, model_id: str) -> Candidate | None:
    """Return what a promotion has to know of a LoggedModel, deleted ones included."""
    columns = [_LOGGED_MODEL.c[field.name] for field in fields(Candidate)]
    row = conn.execute(select(*columns).where(_LOGGED_MODEL.c.model_id == model_id)).mappings().first()
    return Candidate(**row) if row is not None else None


def read_logical_date(conn: Connection, model_id: str) -> int | None:
    """Return what a LoggedModel stands for in time: the logical date of the run that made it."""
    of_model = select(_RUN.c.logical_date).join(_LOGGED_MODEL, _LOGGED_MODEL.c.source_run_id == _RUN.c.run_id)
    date: int | None = conn.execute(of_model.where(_LOGGED_MODEL.c.model_id == model_id)).scalar()
    return date


def read_holder(conn: Connection, workspace: str, name: str, target: Target) -> Holder | None:
    """Return who holds a target: the version that the alias names, or the newest one in the stage."""
    of_model = (_VERSION.c.workspace == workspace, _VERSION.c.name == name)
    one = select(_VERSION.c.version, _VERSION.c.model_id).where(*of_model)
    if target.alias is not None:
        named = [_ALIAS.c[key] == _VERSION.c[key] for key in ("workspace", "name", "version")]
        one = one.join(_ALIAS, and_(*named)).where(_ALIAS.c.alias == target.alias)
    else:
        newest = next(iter(stage_holders(conn, workspace, name, str(target.stage))), None)
        one = one.where(_VERSION.c.version == newest)
    found = conn.execute(one).first()
    if found is None:
        return None
    version, model_id = found
    put_there = promotion_to(conn, workspace, name, str(target), version)
    if put_there is not None:
        logical_date = put_there.logical_date
    else:
        logical_date = read_logical_date(conn, model_id) if model_id is not None else None
    return Holder(version, model_id, logical_date)


def promotion_to(conn: Connection, workspace: str, name: str, target: str, version: int) -> Promotion | None:
    """Return the newest promotion (not a rollback) that gave a target to a version."""
    newest = (
        select(_PROMOTION)
        .where(_PROMOTION.c.workspace == workspace, _PROMOTION.c.model_name == name, _PROMOTION.c.target == target)
        .where(_PROMOTION.c.to_version == version, _PROMOTION.c.kind == PromotionKind.PROMOTE)
        .order_by(_PROMOTION.c.sequence.desc())
        .limit(1)
    )
    row = conn.execute(newest).mappings().first()
    return _promotion(row) if row is not None else None


def promotion_of_model(conn: Connection, model_id: str) -> Promotion | None:
    """Return a promotion that gave a target to a version of a LoggedModel; None when it never was promoted."""
    versions = select(_VERSION.c.workspace, _VERSION.c.name, _VERSION.c.version).where(_VERSION.c.model_id == model_id)
    for workspace, name, version in conn.execute(versions).all():
        for target in promoted_targets(conn, workspace, name):
            found = promotion_to(conn, workspace, name, target, version)
            if found is not None:
                return found
    return None


def give_target(conn: Connection, workspace: str, name: str, target: Target, version: int, now: int) -> None:
    """Let a version hold a target. Whoever held a stage before is archived."""
    if target.alias is not None:
        move_alias(conn, workspace, name, target.alias, version)
    else:
        move_stage(conn, workspace, name, version, str(target.stage), archive_existing=True, now=now)


def take_target(conn: Connection, workspace: str, name: str, target: Target, now: int) -> None:
    """Let nobody hold a target: the alias goes, the holders of a stage are archived."""
    if target.alias is not None:
        remove_alias(conn, workspace, name, target.alias)
        return
    for version in stage_holders(conn, workspace, name, str(target.stage)):
        move_stage(conn, workspace, name, version, ARCHIVED, now=now)


def _promotion(row: Mapping[Any, Any]) -> Promotion:
    return Promotion(**{**{name: row[name] for name in _COLUMNS}, "kind": PromotionKind(row["kind"])})
