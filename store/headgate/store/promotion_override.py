"""Overrides: a guarded target moves without a verdict, by somebody whom its guard names, on the record."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import Connection

from headgate.store.deliveries import Claim
from headgate.store.entities import Guard, ModelVersionStatus, Promotion, PromotionKind
from headgate.store.errors import ChampionChanged, InvalidInput, PromotionRefused
from headgate.store.gates import find_guard, lock_registered_model
from headgate.store.guard_rules import require_may_override
from headgate.store.promotion_rows import (
    append_promotion,
    give_target,
    last_promotion,
    read_holder,
    read_logical_date,
)
from headgate.store.registry import read_version
from headgate.store.registry.models import no_such_model
from headgate.store.targets import Target, checked_actor
from headgate.store.validation import check_text

_MAX_REASON = 60_000


@dataclass(frozen=True, slots=True)
class Overriding:
    """What somebody wants to have where: ``version`` at ``target``, in place of ``from_version`` if that is said."""

    workspace: str
    model_name: str
    target: Target
    version: int
    from_version: int | None = None


def override(
    conn: Connection,
    wanted: Overriding,
    *,
    actor: str,
    reason: str,
    authenticated: bool,
    now: int,
    claim: Claim | None,
) -> Promotion:
    """Move a guarded target within the caller's transaction; see :meth:`headgate.store.promotions.Promotions.override`.

    Raises:
        NotPermitted, PromotionRefused, ChampionChanged, InvalidInput, NotFound: as said there.
    """
    workspace, name, target = wanted.workspace, wanted.model_name, str(wanted.target)
    _require_reason(actor, reason)
    if not lock_registered_model(conn, workspace, name):
        raise no_such_model(name)
    guard = _required_guard(find_guard(conn, workspace, name, target), wanted)
    require_may_override(guard, checked_actor(actor), authenticated=authenticated)
    holder = read_holder(conn, workspace, name, wanted.target)
    holding = holder.version if holder is not None else None
    if holding == wanted.version:
        return _overridden_before(last_promotion(conn, workspace, name, target), wanted)
    _require_expected(wanted, holding)
    version = read_version(conn, workspace, name, wanted.version)
    if version.status is not ModelVersionStatus.READY:
        raise _refused(wanted, f"version {version.version} is {version.status}", "Wait until the version is READY.")
    give_target(conn, workspace, name, wanted.target, version.version, now)
    event = Promotion(
        promotion_id=f"p-{uuid.uuid4().hex}",
        model_name=name,
        target=target,
        sequence=0,
        kind=PromotionKind.OVERRIDE,
        to_version=version.version,
        from_version=holding,
        created_at=now,
        actor=actor,
        reason=reason,
        logical_date=read_logical_date(conn, version.model_id) if version.model_id is not None else None,
        authenticated=authenticated,
        workspace=workspace,
    )
    told = {"gate_name": guard.gate_name, "gate_digest": guard.gate_digest}
    return append_promotion(conn, event, told, claim)


def _require_reason(actor: str, reason: str) -> None:
    if not actor.strip() or not reason.strip():
        raise InvalidInput(
            "An override has to say who and why.", remedy="Name the actor, and give the reason for the record."
        )
    check_text("reason of the override", reason, _MAX_REASON)


def _required_guard(guard: Guard | None, wanted: Overriding) -> Guard:
    if guard is None:
        raise _refused(wanted, "nothing guards it", "Move the alias or the stage by hand, or guard it first.")
    return guard


def _require_expected(wanted: Overriding, holding: int | None) -> None:
    if wanted.from_version is not None and wanted.from_version != holding:
        raise ChampionChanged(
            f"{'Nobody' if holding is None else f'Version {holding}'} holds {wanted.target} of model "
            f"{wanted.model_name!r} now, not version {wanted.from_version}.",
            remedy="Look at the history, then say again what is to be overridden.",
            model_name=wanted.model_name,
            target=str(wanted.target),
            expected=wanted.from_version,
            actual=holding,
        )


def _overridden_before(last: Promotion | None, wanted: Overriding) -> Promotion:
    """Return the override that put the version where it is, for a caller who lost the answer."""
    if (
        last is not None
        and last.kind is PromotionKind.OVERRIDE
        and last.to_version == wanted.version
        and wanted.from_version in (None, last.from_version)
    ):
        return last
    raise _refused(wanted, f"version {wanted.version} holds it now", "Nothing is to do.")


def _refused(wanted: Overriding, why: str, remedy: str) -> PromotionRefused:
    return PromotionRefused(
        f"{wanted.target} of model {wanted.model_name!r} can't be overridden: {why}.",
        remedy=remedy,
        model_name=wanted.model_name,
        target=str(wanted.target),
    )
