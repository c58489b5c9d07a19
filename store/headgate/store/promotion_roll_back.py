"""Rollbacks: whom they restore, and what keeps them from it, within a transaction of the caller's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from headgate.store.entities import LifecycleStage, Promotion, PromotionKind
from headgate.store.errors import ChampionChanged, PromotionRefused
from headgate.store.promotion_checks import unusable
from headgate.store.promotion_history import previous_holder
from headgate.store.promotion_rows import has_held, promotion_to, read_candidate, read_moves
from headgate.store.registry import read_version
from headgate.store.targets import Target
from headgate.store.verdicts import find_verdict, mark_used, no_such_verdict

_MOVES_READ = 100
"""So many of the latest events are read to find whom a rollback after a rollback restores; ten times more if needed."""


def version_to_restore(
    conn: Connection,
    workspace: str,
    last: Promotion | None,
    holding: int | None,
    to_version: int | None,
    name: str,
    target: str,
) -> int | None:
    """Return the version that a rollback gives the target to; None when nobody held it before.

    Raises:
        PromotionRefused: there is nobody to go back to, or ``to_version`` holds the target now or never held it.
    """
    if to_version is not None:
        if to_version == holding:
            raise _refused(name, target, f"version {to_version} holds it now", "Nothing is to do.")
        if not has_held(conn, workspace, name, target, to_version):
            why, remedy = f"version {to_version} never held it", "Promote that version through the gate."
            raise _refused(name, target, why, remedy)
        return to_version
    # Nearly always the last event says what the stack of holders would.
    if last is not None and last.to_version != holding:
        return last.to_version
    if last is not None and last.kind is not PromotionKind.ROLL_BACK:
        return last.from_version
    found: tuple[bool, int | None] | None = None
    newest = _MOVES_READ
    while found is None:
        moves = read_moves(conn, workspace, name, target, newest=newest)
        found = previous_holder(moves, holding, whole=len(moves) < newest)
        newest *= 10
    there_is, previous = found
    if there_is:
        return previous
    raise _refused(name, target, "there is no earlier holder to go back to", "Promote a model through its gate.")


def use_verdict(conn: Connection, workspace: str, verdict_id: str, promotion_id: str, name: str, target: str) -> None:
    """Mark the verdict that a rollback happens for as used.

    Raises:
        NotFound, VerdictUnusable: there is none such, it is about another target, or it was used.
    """
    verdict = find_verdict(conn, workspace, verdict_id)
    if verdict is None:
        raise no_such_verdict(verdict_id)
    if (verdict.model_name, verdict.target) != (name, target):
        raise unusable(verdict, f"is no reason to roll back {target} of {name!r}", "Judge what is to go.")
    if not mark_used(conn, verdict_id, promotion_id):
        raise unusable(verdict, "was used", "Judge again.")


def require_unchanged(conn: Connection, workspace: str, name: str, target: Target, version: int) -> int | None:
    """Refuse a version that is not what was promoted; return the logical date it was promoted with."""
    found = read_version(conn, workspace, name, version)
    promoted = promotion_to(conn, workspace, name, str(target), version)
    if promoted is None or promoted.verdict_id is None:
        return None  # it held the target before the first promotion: nothing is recorded to compare it with
    verdict = find_verdict(conn, workspace, promoted.verdict_id)
    candidate = read_candidate(conn, verdict.candidate_model_id) if verdict is not None else None
    if (
        verdict is None
        or candidate is None
        or found.model_id != verdict.candidate_model_id
        or candidate.artifact_digest != verdict.candidate_digest
        or candidate.lifecycle_stage != LifecycleStage.ACTIVE
    ):
        raise PromotionRefused(
            f"Version {version} of model {name!r} is not any more what was promoted to {target}.",
            remedy="Go back to another version (to_version), or promote a model through the gate.",
            model_name=name,
            target=str(target),
            version=version,
        )
    return promoted.logical_date


def rolled_back_before(
    last: Promotion | None,
    name: str,
    target: str,
    from_version: int | None,
    to_version: int | None,
    holding: int | None,
) -> Promotion:
    """Return the last event where it is the rollback that is asked for, or raise ChampionChanged."""
    if (
        last is not None
        and last.kind is PromotionKind.ROLL_BACK
        and last.from_version == from_version
        and last.to_version == holding
        and to_version in (None, holding)
    ):
        return last
    raise ChampionChanged(
        f"{'Nobody' if holding is None else f'Version {holding}'} holds {target} of model {name!r} now, not "
        f"{'nobody' if from_version is None else f'version {from_version}'}.",
        remedy="Look at the history, then say again what is to be rolled back.",
        model_name=name,
        target=target,
        expected=from_version,
        actual=holding,
    )


def _refused(name: str, target: str, why: str, remedy: str) -> PromotionRefused:
    facts: dict[str, Any] = {"model_name": name, "target": target}
    return PromotionRefused(f"{target} of model {name!r} can't be rolled back: {why}.", remedy=remedy, **facts)
