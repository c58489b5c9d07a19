"""What a promotion demands before anything moves: pure functions on plain values. Each raises, or says nothing.

``now`` comes from the promoting machine, the verdict's times from the deciding one: their clocks may differ a little.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headgate.store.clock import iso_date
from headgate.store.composition import composed
from headgate.store.entities import (
    Guard,
    LifecycleStage,
    LoggedModelStatus,
    ModelVersion,
    ModelVersionStatus,
    Outcome,
    Promotion,
    Verdict,
)
from headgate.store.errors import (
    ChampionChanged,
    NotPermitted,
    OlderThanChampion,
    TargetGuarded,
    VerdictUnusable,
)
from headgate.store.guard_rules import listed, require_may_override

CLOCK_SKEW_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the store knows of the LoggedModel that a verdict is about, when it is promoted."""

    model_id: str
    status: str
    lifecycle_stage: str
    artifact_digest: str | None
    artifact_location: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a target now. ``logical_date`` is what its model stands for in time, epoch ms, where that is known."""

    version: int
    model_id: str | None
    logical_date: int | None


def awaits_approval(verdict: Verdict) -> bool:
    """Say whether a verdict is held for nothing else than that people agree: were they to, its gate would pass."""
    waiting = [check for check in verdict.checks if check.kind == "approval" and check.outcome is Outcome.HOLD]
    if verdict.outcome is not Outcome.HOLD or not waiting:
        return False
    agreed = (replace(check, outcome=Outcome.PASS) if check in waiting else check for check in verdict.checks)
    return composed(agreed) is Outcome.PASS


def require_usable(verdict: Verdict, now: int, *, or_awaited: bool = False) -> None:
    """Raise VerdictUnusable unless the verdict passes and ``now`` lies between its decision and its expiry.

    ``or_awaited`` lets one be that waits for an approval: so that it can be approved.
    """
    if verdict.shadow:
        raise unusable(verdict, "was decided in shadow mode", "Decide again without it: a shadow verdict only watches.")
    if verdict.outcome is not Outcome.PASS and not (or_awaited and awaits_approval(verdict)):
        raise unusable(verdict, f"says {verdict.outcome}", "Only a passing verdict promotes.")
    if now > verdict.expires_at:
        raise unusable(verdict, f"expired {(now - verdict.expires_at) // 1000} s ago", "Decide again.")
    if now < verdict.decided_at - CLOCK_SKEW_MS:
        raise unusable(verdict, "was decided in the future", "Set the clocks of the machines, then decide again.")


def require_same_candidate(verdict: Verdict, candidate: Candidate | None, model_id: str | None) -> None:
    """Raise VerdictUnusable unless the verdict's candidate is the one asked for, is there, and has the same files."""
    if model_id is not None and model_id != verdict.candidate_model_id:
        raise unusable(
            verdict, f"is about {verdict.candidate_model_id}, not about {model_id}", f"Decide about {model_id}."
        )
    if candidate is None or candidate.lifecycle_stage != LifecycleStage.ACTIVE:
        raise unusable(verdict, "is about a model that was deleted", "Decide about a model that exists.")
    if candidate.status != LoggedModelStatus.READY:
        raise unusable(
            verdict, f"is about a model that is {candidate.status}", "Finish logging the model, then decide again."
        )
    if candidate.artifact_digest != verdict.candidate_digest:
        raise unusable(verdict, "is about other files than the model has now", "Decide again about these.")


def require_stands_for(version: ModelVersion, verdict: Verdict, candidate: Candidate) -> None:
    """Raise VerdictUnusable unless a version of the registered model is the candidate and nothing else."""
    which = f"version {version.version} of {version.name!r}"
    if version.model_id != candidate.model_id:
        raise unusable(verdict, f"is not about {which}, whose model is {version.model_id}", "Name the right version.")
    if not is_source_of(version, candidate):
        raise unusable(
            verdict,
            f"is not about {which}, whose files are those of {version.source}",
            f"Register models:/{candidate.model_id}, or leave the version to the promotion.",
        )
    if version.status is not ModelVersionStatus.READY:
        raise unusable(verdict, f"is about {which}, which is {version.status}", "Wait until the version is READY.")


def is_source_of(version: ModelVersion, candidate: Candidate) -> bool:
    """Say whether a version's files are the LoggedModel's: a version may name a model and lead elsewhere."""
    location = candidate.artifact_location.rstrip("/")
    return version.source.rstrip("/") in (f"models:/{candidate.model_id}", location)


def require_guarded_by(guard: Guard | None, verdict: Verdict) -> None:
    """Raise unless the target's guard is the verdict's gate, or an older definition of it.

    Raises:
        TargetGuarded: another gate guards the target.
        VerdictUnusable: the gate was changed after the verdict was decided.
    """
    if guard is None or guard.gate_digest == verdict.gate_digest:
        return
    if guard.gate_name != verdict.gate_name:
        raise TargetGuarded(
            f"{verdict.target} of model {verdict.model_name!r} is guarded by the gate {guard.gate_name!r}, and the "
            f"verdict {verdict.verdict_id} is one of {verdict.gate_name!r}.",
            remedy=f"Decide by {guard.gate_name!r}, or set the other gate as the guard of {verdict.target} first.",
            model_name=verdict.model_name,
            target=verdict.target,
            gate_name=guard.gate_name,
        )
    if verdict.decided_at <= guard.updated_at:
        raise unusable(verdict, f"was decided before the gate {guard.gate_name!r} was changed", "Decide again.")


def require_may_replace(guard: Guard | None, verdict: Verdict, actor: str, *, authenticated: bool) -> None:
    """Raise TargetGuarded unless ``actor`` may put the verdict's definition of the gate in the place of the guard's.

    Where the guard names overriders, only they may: as when the gate is set.
    """
    if guard is None or not guard.overriders or guard.gate_digest == verdict.gate_digest:
        return
    try:
        require_may_override(guard, actor, authenticated=authenticated, what="change its gate")
    except NotPermitted as refusal:
        raise TargetGuarded(
            f"{verdict.target} of model {verdict.model_name!r} is guarded by another definition of the gate "
            f"{guard.gate_name!r} than the verdict {verdict.verdict_id} was decided by. {refusal.message}",
            remedy=f"Let an overrider ({listed(guard.overriders)}) set the new gate (headgate models guard), or decide "
            "by the gate that guards it.",
            model_name=verdict.model_name,
            target=verdict.target,
            gate_name=guard.gate_name,
        ) from refusal


def require_same_champion(verdict: Verdict, holder: Holder | None) -> None:
    """Raise ChampionChanged unless the verdict was decided against the current holder."""
    version, model_id = (holder.version, holder.model_id) if holder is not None else (None, None)
    if (version, model_id) != (verdict.champion_version, verdict.champion_model_id):
        raise ChampionChanged(
            f"{_words(version)} holds {verdict.target} of model {verdict.model_name!r} now; the verdict "
            f"{verdict.verdict_id} was decided when {_words(verdict.champion_version).lower()} held it.",
            remedy="Decide again: the candidate has to be compared with the present champion.",
            verdict_id=verdict.verdict_id,
            model_name=verdict.model_name,
            target=verdict.target,
            expected=verdict.champion_version,
            actual=version,
        )
    if model_id is not None and model_id == verdict.candidate_model_id:
        raise unusable(
            verdict, f"is about version {version}, which holds {verdict.target} already", "Nothing is to do."
        )


def require_not_older(verdict: Verdict, holder: Holder | None) -> None:
    """Raise OlderThanChampion when the candidate stands for an earlier logical date than the holder.

    Unknown dates don't compare: what did not come from a scheduled run is no backfill.
    """
    mine, theirs = verdict.candidate_logical_date, holder.logical_date if holder is not None else None
    if holder is not None and mine is not None and theirs is not None and mine < theirs:
        raise OlderThanChampion(
            f"The candidate {verdict.candidate_model_id} stands for an earlier logical date ({iso_date(mine)}) than "
            f"version {holder.version} ({iso_date(theirs)}), which holds {verdict.target} of model "
            f"{verdict.model_name!r}.",
            remedy="A backfill leaves the champion alone; promote with allow_older when it is meant to replace it.",
            verdict_id=verdict.verdict_id,
            model_name=verdict.model_name,
            target=verdict.target,
            logical_date=mine,
            champion_logical_date=theirs,
        )


def require_still_stands(
    verdict: Verdict, used: Promotion | None, last: Promotion | None, holder: Holder | None
) -> None:
    """Raise VerdictUnusable unless the promotion that used the verdict is the last one and still stands.

    Asked again, it is then the answer: whoever lost the first one gets it, and nothing is promoted twice.
    """
    standing = used is not None and used == last and holder is not None and holder.version == used.to_version
    if not standing:
        raise unusable(
            verdict, f"was used by the promotion {verdict.used_by}", "A verdict promotes once: decide again."
        )


def require_rests_on(verdict: Verdict, used: Promotion, approval_id: str | None, *, required: bool) -> None:
    """Raise VerdictUnusable unless the promotion that used the verdict rests on the approval that is asked for."""
    if approval_id not in (None, used.approval_id) or (required and used.approval_id is None):
        rests_on = "no approval" if used.approval_id is None else f"the approval {used.approval_id}"
        raise unusable(
            verdict,
            f"was used by the promotion {used.promotion_id}, which rests on {rests_on}",
            "Decide again, and let somebody approve what the gate says then.",
        )


def unusable(verdict: Verdict, why: str, remedy: str) -> VerdictUnusable:
    return VerdictUnusable(
        f"The verdict {verdict.verdict_id} (gate {verdict.gate_name!r}, {verdict.model_name} {verdict.target}) {why}.",
        remedy=remedy,
        verdict_id=verdict.verdict_id,
        model_name=verdict.model_name,
        target=verdict.target,
    )


def _words(version: int | None) -> str:
    return "Nobody" if version is None else f"Version {version}"
