"""Deciding and promoting against a store: evidence out of it, the verdict and the promotion into it.

The decision itself is :func:`headgate.tasks.gates.decide.decide`, the promotion :mod:`headgate.store.promotions`. With
the first promotion through it, a gate becomes the guard of the target: from then on nothing else moves that target.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import LoggedModelStatus, Outcome, PromotionKind, Verdict
from headgate.store.errors import GateErrored, GateHeld, GateRejected, HeadgateError, InvalidModel
from headgate.store.targets import parse_target
from headgate.tasks.gate_evidence import evaluation_keys, evidence_of, gather, read_contest
from headgate.tasks.gates.decide import decide
from headgate.tasks.gates.evidence import unmeasured
from headgate.tasks.gates.explain import failures
from headgate.tasks.gates.file import load_gate
from headgate.tasks.gates.model import Gate
from headgate.tasks.model_ids import model_id_of

if TYPE_CHECKING:
    from headgate.store.deliveries import Claim
    from headgate.store.entities import Promotion
    from headgate.store.promotion_evidence import Contest
    from headgate.store.store import Store

_SHOWN_FAILURES = 3


def decide_promotion(
    store: Store,
    gate: Gate | str | Path,
    model_name: str,
    target: str,
    candidate: str,
    *,
    evaluation_run_ids: Collection[str] | None = None,
    decided_by: str = "",
    run_id: str | None = None,
    shadow: bool = False,
    claim: Claim | None = None,
    now: int | None = None,
) -> Verdict:
    """Decide by a gate whether a candidate may hold a target, and record the verdict. Nothing is promoted.

    Where the candidate holds the target already, put there by a verdict of this very gate, that verdict is the answer:
    a task that is retried after its promotion gets what it lost, and the promotion with it.

    Args:
        store: where the evidence is and the verdict goes.
        gate: a Gate, or the path of a gate file.
        model_name: the registered model, which need not exist yet.
        target: ``@alias`` or ``stage:Name``.
        candidate: a LoggedModel's id, or a ``models:/`` URI of one or of a version.
        evaluation_run_ids: count only what these runs measured on the candidate; None for everything that was measured.
        decided_by: who asks, for the record.
        run_id: the run that the decision is part of, for the record.
        shadow: only watch what the gate says: the verdict is recorded and permits nothing.
        claim: who tells of a rejection; see :meth:`headgate.store.verdicts.Verdicts.record`.
        now: UTC epoch ms; None takes the current time.

    Returns:
        The recorded verdict, whatever it says; see :func:`gate_error`.

    Raises:
        InvalidGate: the gate file can't be read.
        InvalidInput: ``target`` is neither an alias nor a stage, or the URI can't be read.
        InvalidModel: the candidate is not READY, or the version has no LoggedModel.
        NotFound: no such candidate.
        StoreUnavailable, ArtifactStoreUnavailable: no answer; a retry may help.
    """
    gate = gate if isinstance(gate, Gate) else load_gate(gate)
    target = str(parse_target(target))
    now = now_ms() if now is None else now
    model_id = model_id_of(store, candidate)
    contest = read_contest(store, gate, model_name, target, model_id, evaluation_run_ids)
    if not shadow and (standing := _verdict_that_stands(store, gate, model_name, target, contest)) is not None:
        return standing
    _require_ready(contest)
    found = gather(store, gate, contest, model_name, target, run_ids=evaluation_run_ids, now=now)
    verdict = decide(
        gate,
        found.candidate,
        found.champion,
        now,
        model_name=model_name,
        target=target,
        workspace=store.workspace,
        decided_by=decided_by,
        run_id=run_id,
        shadow=shadow,
    )
    return store.verdicts.record(verdict, tells=True, claim=claim)


def promote(
    store: Store,
    verdict_id: str,
    *,
    actor: str,
    authenticated: bool = False,
    reason: str = "",
    version: int | None = None,
    model_id: str | None = None,
    allow_older: bool = False,
    approval_id: str | None = None,
    require_approval: bool = False,
    claim: Claim | None = None,
    now: int | None = None,
) -> Promotion:
    """Promote the candidate of a passing verdict; see :meth:`headgate.store.promotions.Promotions.promote`.

    Raises:
        NotApproved: somebody rejected it, or an approval is required and there is none.
        StaleApproval: ``approval_id`` does not stand for this verdict.
        GateRejected, GateHeld, GateErrored: the verdict does not pass.
        NotFound: no such verdict, or no such ``version``.
        PromotionRefused: the store refused, and says why.
    """
    if (error := gate_error(store.verdicts.get(verdict_id))) is not None:
        raise error
    promotion = store.promotions.promote(
        verdict_id,
        version=version,
        model_id=model_id,
        actor=actor,
        authenticated=authenticated,
        reason=reason,
        allow_older=allow_older,
        approval_id=approval_id,
        require_approval=require_approval,
        claim=claim,
        now=now_ms() if now is None else now,
    )
    _tell(store)
    return promotion


def promoted_before(
    store: Store, model_name: str, target: str, candidate: str, *, run_id: str
) -> tuple[Verdict, Promotion] | None:
    """Return how an earlier try of some work promoted a candidate, even if another model holds the target by now.

    Work that may run twice asks this first: what it promoted once it does not promote again, over whatever came since.

    Args:
        candidate: a LoggedModel's id, or a ``models:/`` URI of one or of a version.
        run_id: the run that the work's decisions are part of.
    """
    passing = store.verdicts.search(
        model_name,
        target=target,
        candidate_model_id=model_id_of(store, candidate),
        run_id=run_id,
        outcome=Outcome.PASS,
    )
    verdict = next((verdict for verdict in passing.items if verdict.used_by is not None), None)
    return None if verdict is None else (verdict, store.promotions.get(str(verdict.used_by)))


def promote_if_passing(
    store: Store,
    gate: Gate | str | Path,
    model_name: str,
    target: str,
    candidate: str,
    *,
    actor: str,
    reason: str = "",
    allow_older: bool = False,
    evaluation_run_ids: Collection[str] | None = None,
    run_id: str | None = None,
    now: int | None = None,
) -> Promotion:
    """Decide by a gate and, when the verdict passes, promote: :func:`decide_promotion`, then :func:`promote`.

    It may run twice: the second time it finds the candidate in its place, and returns the same promotion.

    Raises:
        GateRejected, GateHeld, GateErrored: the verdict does not pass. It is recorded all the same.
        PromotionRefused: the store refused, and says why.
    """
    verdict = decide_promotion(
        store,
        gate,
        model_name,
        target,
        candidate,
        evaluation_run_ids=evaluation_run_ids,
        decided_by=actor,
        run_id=run_id,
        now=now,
    )
    return promote(store, verdict.verdict_id, actor=actor, reason=reason, allow_older=allow_older, now=now)


def roll_back(
    store: Store,
    model_name: str,
    target: str,
    *,
    actor: str,
    reason: str = "",
    to_version: int | None = None,
    from_version: int | None = None,
    from_nobody: bool = False,
    verdict_id: str | None = None,
    claim: Claim | None = None,
    now: int | None = None,
) -> Promotion:
    """Give a target back to whoever held it before; see :meth:`headgate.store.promotions.Promotions.roll_back`.

    A task that may be retried says ``from_version``: it then goes back once, however often it runs.
    """
    promotion = store.promotions.roll_back(
        model_name,
        target,
        actor=actor,
        reason=reason,
        to_version=to_version,
        from_version=from_version,
        from_nobody=from_nobody,
        verdict_id=verdict_id,
        claim=claim,
        now=now_ms() if now is None else now,
    )
    _tell(store)
    return promotion


def override(
    store: Store,
    model_name: str,
    target: str,
    version: int,
    *,
    actor: str,
    reason: str,
    authenticated: bool = False,
    from_version: int | None = None,
    claim: Claim | None = None,
    now: int | None = None,
) -> Promotion:
    """Let a version hold a guarded target without a verdict; see :meth:`headgate.store.promotions.Promotions.override`.

    Raises:
        NotPermitted: the guard does not name the actor as one who may.
        PromotionRefused: the store refused, and says why.
    """
    promotion = store.promotions.override(
        model_name,
        target,
        version,
        actor=actor,
        reason=reason,
        authenticated=authenticated,
        from_version=from_version,
        claim=claim,
        now=now_ms() if now is None else now,
    )
    _tell(store)
    return promotion


def champion_to_evaluate(
    store: Store,
    gate: Gate | str | Path,
    model_name: str,
    target: str,
    candidate: str,
    *,
    evaluation_run_ids: Collection[str] | None = None,
    now: int | None = None,
) -> str | None:
    """Return the id of the champion's LoggedModel when the gate compares with it and it lacks a measurement.

    It lacks what was not measured on the candidate's data, or by another evaluation than the candidate's: with other
    code, another entry point or other parameters. It is then to be evaluated on the data that the candidate was
    measured on, before the gate decides: numbers from different data are never compared, so the verdict would be an
    error. None means there is nothing to evaluate.

    Raises:
        InvalidGate, InvalidInput, NotFound: as :func:`decide_promotion`.
    """
    gate = gate if isinstance(gate, Gate) else load_gate(gate)
    model_id = model_id_of(store, candidate)
    contest = read_contest(store, gate, model_name, target, model_id, evaluation_run_ids)
    champion = evidence_of(contest.champion) if contest.champion is not None else None
    if champion is None:
        return None
    evidence = evidence_of(contest.candidate)
    keys = evaluation_keys(store, (*evidence.measurements, *champion.measurements))
    lacking = unmeasured(gate, evidence, champion, now_ms() if now is None else now, keys)
    return champion.model_id if lacking else None


def champion_of(store: Store, model_name: str, target: str) -> str | None:
    """Return the id of the LoggedModel that holds a target; None when nobody does, or a version without one.

    Raises:
        InvalidInput: ``target`` is neither an alias nor a stage.
    """
    holder = store.promotions.holder(model_name, str(parse_target(target)))
    return None if holder is None else holder.model_id


def gate_error(verdict: Verdict) -> HeadgateError | None:
    """Return the error that a verdict stands for, its first failing checks in the message; None for one that passes.

    The error carries ``verdict_id``, ``model_name``, ``target`` and ``candidate_model_id``.
    """
    if verdict.outcome is Outcome.PASS:
        return None
    kind, says, remedy = {
        Outcome.REJECT: (GateRejected, "rejects", "Train a better candidate, or change the gate."),
        Outcome.HOLD: (GateHeld, "holds back", "Somebody has to look at it; then decide again."),
        Outcome.ERROR: (GateErrored, "could not judge", "Supply the missing evidence, then decide again."),
    }[verdict.outcome]
    failed = failures(verdict)
    if verdict.outcome is Outcome.HOLD and all(check.kind == "approval" for check in failed):
        remedy = f"Once people agree (headgate gate approve {verdict.verdict_id}), decide again."
    reasons = " ".join(f"[{check.rule}] {check.message}" for check in failed[:_SHOWN_FAILURES])
    more = f" And {len(failed) - _SHOWN_FAILURES} more checks." if len(failed) > _SHOWN_FAILURES else ""
    return kind(
        f"The gate {verdict.gate_name!r} {says} {verdict.candidate_model_id} for {verdict.model_name} {verdict.target} "
        f"(verdict {verdict.verdict_id}): {reasons}{more}",
        remedy=remedy,
        verdict_id=verdict.verdict_id,
        model_name=verdict.model_name,
        target=verdict.target,
        candidate_model_id=verdict.candidate_model_id,
    )


def candidate_model_id(store: Store, candidate: str) -> str:
    """Return the LoggedModel that a candidate's id or ``models:/`` URI stands for now.

    Raises:
        InvalidInput, InvalidModel, NotFound: as :func:`headgate.tasks.model_ids.model_id_of`.
    """
    return model_id_of(store, candidate)


def _tell(store: Store) -> None:
    """Let the webhooks hear of a promotion; loaded with the first one, as most processes promote nothing."""
    from headgate.tasks.webhooks.deliver import deliver_after_promotion

    deliver_after_promotion(store)


def _verdict_that_stands(store: Store, gate: Gate, model_name: str, target: str, contest: Contest) -> Verdict | None:
    """Return the verdict by which the candidate holds the target now, when it is one of this very gate."""
    candidate, champion = contest.candidate, contest.champion
    if champion is None or champion.model_id != candidate.model_id:
        return None
    last = store.promotions.current(model_name, target)
    promoted = last is not None and last.kind is PromotionKind.PROMOTE and last.to_version == champion.version
    if last is None or not promoted or last.verdict_id is None:
        return None
    verdict = store.verdicts.get(last.verdict_id)
    decided = (verdict.gate_digest, verdict.candidate_model_id, verdict.candidate_digest)
    return verdict if decided == (gate.digest, candidate.model_id, candidate.artifact_digest) else None


def _require_ready(contest: Contest) -> None:
    if contest.candidate.status is not LoggedModelStatus.READY:
        raise InvalidModel(
            f"The candidate {contest.candidate.model_id} is {contest.candidate.status}, not READY.",
            remedy="Finish logging the model before a gate decides on it.",
            model_id=contest.candidate.model_id,
        )
