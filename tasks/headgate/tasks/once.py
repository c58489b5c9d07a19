"""Deciding, promoting and rolling back as an orchestrator's tasks do, which may run twice: what was done is found.

All that is asked for is the run of the pipeline run that the task is part of. Without one, as outside of any pipeline
run, nothing is found again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.store.errors import InvalidInput
from headgate.store.targets import parse_target
from headgate.tasks.model_ids import model_id_of
from headgate.tasks.promote import decide_promotion, promote, promoted_before, roll_back

if TYPE_CHECKING:
    from headgate.store.deliveries import Claim
    from headgate.store.entities import Promotion, Verdict
    from headgate.store.store import Store
    from headgate.tasks.gates.model import Gate

_FROM_TAG = "headgate.rollBack."

MORE_DECISIONS = 4
"""So often a task with a gate at hand decides anew, when another promotion came between its decision and its own."""


def decide_once(
    store: Store,
    gate: Gate | str | Path,
    model_name: str,
    target: str,
    candidate: str,
    *,
    run_id: str | None,
    decided_by: str,
    evaluation_run_ids: Collection[str] | None = None,
    shadow: bool = False,
    claim: Claim | None = None,
) -> Verdict:
    """Return the verdict by which this pipeline run has promoted the candidate already, or let the gate decide.

    Args:
        run_id: the run of the pipeline run.
        decided_by: who asks, for the record.
        store, gate, model_name, target, candidate, evaluation_run_ids, shadow, claim: as
            :func:`headgate.tasks.promote.decide_promotion` takes them; so are the errors.
    """
    before = None if run_id is None or shadow else promoted_before(store, model_name, target, candidate, run_id=run_id)
    if before is not None:
        return before[0]
    return decide_promotion(
        store,
        gate,
        model_name,
        target,
        candidate,
        evaluation_run_ids=evaluation_run_ids,
        decided_by=decided_by,
        run_id=run_id,
        shadow=shadow,
        claim=claim,
    )


def require_about(
    store: Store, verdict: Verdict, *, model_name: str | None, target: str | None, candidate: str | None
) -> Verdict:
    """Return a verdict that is on what the task says it promotes; None says nothing.

    Raises:
        InvalidInput: it is on something else.
    """
    said = {
        "model_name": model_name,
        "target": None if model_name is None or target is None else str(parse_target(target)),
        "candidate_model_id": None if candidate is None else model_id_of(store, candidate),
    }
    for field, value in said.items():
        if value not in (None, getattr(verdict, field)):
            raise InvalidInput(
                f"The verdict {verdict.verdict_id} has the {field} {getattr(verdict, field)!r}, not {value!r}.",
                remedy="Give the gate and the promotion the same model_name, target and candidate.",
                verdict_id=verdict.verdict_id,
            )
    return verdict


def promote_once(
    store: Store,
    verdict: Verdict,
    *,
    run_id: str | None,
    actor: str,
    reason: str,
    allow_older: bool = False,
    approval_id: str | None = None,
    require_approval: bool = False,
    claim: Claim | None = None,
) -> Promotion:
    """Return the promotion that this pipeline run has made by the verdict, or make it.

    Args:
        run_id: the run of the pipeline run.
        actor, reason, allow_older, approval_id, require_approval, claim: as :func:`headgate.tasks.promote.promote`
            takes them; so are the errors.
    """
    if verdict.used_by is not None and run_id is not None and verdict.run_id == run_id:
        return store.promotions.get(verdict.used_by)
    return promote(
        store,
        verdict.verdict_id,
        actor=actor,
        reason=reason,
        allow_older=allow_older,
        approval_id=approval_id,
        require_approval=require_approval,
        claim=claim,
    )


def roll_back_once(
    store: Store,
    model_name: str,
    target: str,
    *,
    run_id: str | None,
    task: str,
    map_index: int = -1,
    actor: str,
    reason: str,
    to_version: int | None = None,
    from_version: int | None = None,
    claim: Claim | None = None,
) -> Promotion:
    """Roll back the last promotion of a target, or return how this task did.

    Which version is to go is settled by the first try, and kept with the run of the pipeline run: another try never
    goes back further. When somebody else holds the target by then, the store refuses.

    Args:
        run_id: the run of the pipeline run.
        task, map_index: which task of it this is.
        actor, reason, to_version, from_version, claim: as :func:`headgate.tasks.promote.roll_back` takes them; so are
            the errors.
    """
    kept = from_version is None and run_id is not None
    if kept:
        from_version = _version_to_go(store, model_name, target, str(run_id), task, map_index)
    return roll_back(
        store,
        model_name,
        target,
        actor=actor,
        reason=reason,
        to_version=to_version,
        from_version=from_version,
        from_nobody=kept and from_version is None,
        claim=claim,
    )


def _version_to_go(store: Store, model_name: str, target: str, run_id: str, task: str, map_index: int) -> int | None:
    """Return the version that the first try of this task was to roll back from; None when nobody held the target."""
    tag = _tag(task, map_index)
    kept = store.runs.get(run_id).tags.get(tag)
    if kept is None:
        holder = store.promotions.holder(model_name, target)
        kept = json.dumps({"task": task, "from_version": holder and holder.version})
        store.tags.set(run_id, {tag: kept})
    found: int | None = json.loads(kept)["from_version"]
    return found


def _tag(task: str, map_index: int) -> str:
    """Return the tag that keeps what a task was to do; a task's id may be longer than a tag's key."""
    return _FROM_TAG + hashlib.sha256(f"{task}[{map_index}]".encode()).hexdigest()[:16]
