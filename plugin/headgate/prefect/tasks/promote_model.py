"""``promote_model``: move an alias or a stage to a candidate, with a passing verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task
from headgate.store.entities import Promotion
from headgate.store.errors import ChampionChanged, InvalidInput

if TYPE_CHECKING:
    from headgate.store.entities import Verdict
    from headgate.store.store import Store
    from headgate.tasks.gates.model import Gate


@headgate_task(task_run_name="promote-{model_name}")
def promote_model(
    candidate: Any = None,
    *,
    verdict: str | Verdict | None = None,
    gate: str | Path | Mapping[str, Any] | Gate | None = None,
    model_name: str | None = None,
    target: str = "@champion",
    evaluation_runs: Any = None,
    allow_older: bool = False,
    require_approval: bool = False,
    approval: str | None = None,
    reason: str | None = None,
    store: str | None = None,
) -> Promotion:
    """Promote a candidate: by the verdict of ``decide_gate``, or by a gate that decides here and now.

    The store verifies the verdict and the champion it was decided against, moves the alias or the stage, and writes the
    event, in one transaction; then Prefect is told. Where another promotion came first, a gate at hand decides again,
    against the new champion; a verdict from elsewhere is refused. A retry, and a flow run that runs again, find the
    promotion that was made, whoever holds the target by now, and promote nothing again.

    Args:
        candidate: as ``decide_gate`` takes it. Needed with a gate; with a verdict, one on another model is refused.
        verdict: what ``decide_gate`` or ``approve_promotion`` returned, or a verdict's id; without ``gate``.
        gate: as ``decide_gate`` takes it; without ``verdict``.
        model_name: the registered model. Needed with a gate; with a verdict, one on another model is refused.
        target: ``@alias`` or ``stage:Name``; as ``model_name``.
        evaluation_runs: as ``decide_gate`` takes it, with a gate.
        allow_older: let a candidate of an earlier logical date than the champion's take its place.
        require_approval: refuse a verdict that nobody approved.
        approval: the id of the approval that it rests on; None takes the latest that stands, if there is one.
        reason: why, for the record; None names the flow run.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Raises:
        GateRejected, GateHeld, GateErrored: the verdict does not pass; it is recorded all the same.
        OlderThanChampion, NotApproved: a backfill, or a person's no.
        PromotionRefused: the store refused, and says why.
        InvalidInput: there is neither a verdict nor a gate, or the verdict is on something else.
    """
    from headgate.prefect.channel import delivery_claim, tell_promotion
    from headgate.prefect.identity import actor, open_parent_run
    from headgate.prefect.identity import reason as reason_of
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.once import MORE_DECISIONS, promote_once

    _check(verdict, gate, model_name, candidate)
    with open_store_of(store) as opened:
        run_id = open_parent_run(opened)
        left = 0 if gate is None else MORE_DECISIONS
        while True:
            found = _verdict(opened, verdict, gate, model_name, target, candidate, evaluation_runs, run_id)
            try:
                promotion = promote_once(
                    opened,
                    found,
                    run_id=run_id,
                    actor=actor(),
                    reason=reason_of(reason),
                    allow_older=allow_older,
                    approval_id=approval,
                    require_approval=require_approval,
                    claim=delivery_claim(),
                )
            except ChampionChanged as refusal:
                if not left:
                    raise
                left -= 1
                get_run_logger().info("%s", refusal)
                continue
            get_run_logger().info(
                "Version %s of %s has %s", promotion.to_version, promotion.model_name, promotion.target
            )
            tell_promotion(opened, promotion.promotion_id)
            return promotion


def _check(verdict: object, gate: object, model_name: str | None, candidate: object) -> None:
    if (verdict is None) == (gate is None):
        raise InvalidInput(
            f"promote_model has {'both a verdict and' if gate is not None else 'neither a verdict nor'} a gate.",
            remedy="Give verdict=decide_gate(…), or gate=, model_name= and a candidate to decide and promote at once.",
        )
    if gate is not None and (model_name is None or candidate is None):
        raise InvalidInput(
            f"promote_model has a gate, and no {'model_name' if model_name is None else 'candidate'}.",
            remedy="Say which model of which name it decides on.",
        )


def _verdict(
    store: Store,
    verdict: str | Verdict | None,
    gate: Any,
    model_name: str | None,
    target: str,
    candidate: Any,
    evaluation_runs: Any,
    run_id: str | None,
) -> Verdict:
    """Return the verdict to promote by; one of a gate at hand that does not pass raises."""
    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.verdict import publish_verdict
    from headgate.prefect.channel import delivery_claim, tell_rejection
    from headgate.prefect.identity import actor
    from headgate.prefect.tasks.decide_gate import read_gate
    from headgate.tasks.handed_on import model_in, run_ids_in
    from headgate.tasks.once import decide_once, require_about
    from headgate.tasks.promote import gate_error

    said = None if candidate is None else model_in(candidate)
    if gate is None:
        verdict_id = verdict if isinstance(verdict, str) else getattr(verdict, "verdict_id", None)
        if not isinstance(verdict_id, str):
            raise InvalidInput(
                f"There is no verdict to promote by: {verdict!r:.200}.", remedy="Give what decide_gate returned."
            )
        found = store.verdicts.get(verdict_id)
        return require_about(store, found, model_name=model_name, target=target, candidate=said)
    found = decide_once(
        store,
        read_gate(gate),
        str(model_name),
        target,
        str(said),
        run_id=run_id,
        decided_by=actor(),
        evaluation_run_ids=run_ids_in(evaluation_runs),
        claim=delivery_claim(),
    )
    show(lambda: publish_verdict(found))
    tell_rejection(store, found)
    if (error := gate_error(found)) is not None:
        raise error
    return found
