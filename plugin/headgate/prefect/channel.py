"""The channel of the outbox that this Prefect is: each promotion becomes one event here, whoever promoted.

Exactly once per promotion
==========================

A promotion has one event in the store's outbox. The task that promotes claims its delivery, tells Prefect, and
confirms. ``tell_promotions`` tells what was promoted elsewhere (a shell, another orchestrator), and what a task that
died could not.

==  =============================================  ====================================================================
1   before the promotion commits                   nothing happened; a retry promotes
2   after it, before Prefect took the event        a claim stands for half a minute. The task's retry finds it its own
                                                   and tells; without one, ``tell_promotions`` takes it over
3   Prefect took it, the task died before it       whoever comes next asks Prefect for the event, finds it, and confirms
    confirmed
4   two at once                                    the claim is compared and set: one tells
5   the same event sent twice all the same         its id is that of the promotion: Prefect drops the second one
6   a later promotion came before it was told      the event says ``late``, and ``promoted`` does not fire
==  =============================================  ====================================================================

Prefect writes an event down within seconds after it took it; a server that dies in between loses it, as any of its
events. The history artifact of the model is written before the event, and the store has everything for good.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from headgate.prefect.events import promotion_event, rejection_event
from headgate.prefect.server_api import server_answers
from headgate.prefect.server_events import has_arrived, send

if TYPE_CHECKING:
    from headgate.store.deliveries import Claim, Delivery
    from headgate.store.entities import Verdict
    from headgate.store.store import Store

DEFAULT_CHANNEL = "prefect"
# A variable of Prefect: the same for every process that talks to its server.
CHANNEL_VARIABLE = "headgate_event_channel"
CLAIM_MS = 30_000

_AGAIN_MS = 10_000
_log = logging.getLogger("prefect.headgate")


def event_channel() -> str:
    """Return the channel that this Prefect is: what the variable ``headgate_event_channel`` says, or ``prefect``."""
    from prefect.variables import Variable

    with server_answers(f"the variable {CHANNEL_VARIABLE!r}"):
        return str(Variable.get(CHANNEL_VARIABLE, default=DEFAULT_CHANNEL, _sync=True))  # type: ignore[call-overload]


def promotion_claim() -> Claim:
    """Return the claim by which this piece of work tells the event of a promotion."""
    from headgate.store.clock import now_ms
    from headgate.store.deliveries import Claim

    return Claim(event_channel(), teller(), now_ms() + CLAIM_MS)


def teller() -> str:
    """Return what claims call this piece of work: the same for each try of a task, and each life of its flow run."""
    from prefect import runtime

    if runtime.flow_run.id is None:
        return f"process:{socket.gethostname()}:{os.getpid()}"
    return f"flow-run:{runtime.flow_run.id}:{runtime.task_run.task_name or ''}"


def tell_promotion(store: Store, promotion_id: str) -> bool:
    """Tell Prefect of a promotion or a rollback, unless somebody did or is doing so. May run twice.

    Args:
        store: where it is.
        promotion_id: of a promotion that was just made, or found again by a retry.

    Returns:
        Whether this call told it.

    Raises:
        NotFound: there is no such promotion.
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    from headgate.prefect.artifacts.promotions import publish_promotion
    from headgate.store.clock import now_ms
    from headgate.tasks.promoted import promotion_to_tell

    claim = promotion_claim()
    before = store.deliveries.get(claim.channel, promotion_id)
    if not _taken(store, promotion_id, claim, before):
        return False
    try:
        model = promotion_to_tell(store, promotion_id)
        event = promotion_event(model, store.outbox.get(promotion_id).payload, store.workspace)
        told = _may_have_been_told(before, claim) and has_arrived(event)
        if not told:
            publish_promotion(store, model)
            send(event)
    except Exception as error:
        later = now_ms() + _AGAIN_MS
        store.deliveries.release(claim.channel, promotion_id, claim.owner, due_at=later, error=str(error)[:500])
        raise
    store.deliveries.confirm(claim.channel, promotion_id, claim.owner, now=now_ms())
    if not told:
        _log.info("Told Prefect: %s of %s to version %s", event.name, model.model_name, model.version)
    return not told


def tell_rejection(verdict: Verdict) -> bool:
    """Tell Prefect that a gate rejected a candidate; False for a verdict that does not reject. May run twice.

    Raises:
        StoreUnavailable: Prefect's server did not answer; a retry may help.
    """
    event = rejection_event(verdict)
    if event is None:
        return False
    send(event)
    return True


def tell_due(store: Store) -> tuple[str, ...]:
    """Tell Prefect of every promotion that this channel has not had yet; from the first call on, it gets them all.

    Returns:
        The ids of the promotions that were told, in their order.

    Raises:
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    from headgate.store.clock import now_ms
    from headgate.store.promotion_rows import PROMOTION_TOPIC

    channel = event_channel()
    store.deliveries.subscribe(channel, PROMOTION_TOPIC, now=now_ms())
    told: list[str] = []
    seen: set[str] = set()
    while True:
        due = store.deliveries.due(channel, now=now_ms())
        new = [each for each in due if each.event.topic == PROMOTION_TOPIC and each.event.event_id not in seen]
        if not new:
            return tuple(told)
        for delivery in new:  # of each subject the earliest; the next one is due when it was told
            seen.add(delivery.event.event_id)
            if tell_promotion(store, delivery.event.event_id):
                told.append(delivery.event.event_id)


def _taken(store: Store, promotion_id: str, claim: Claim, before: Delivery | None) -> bool:
    from headgate.store.clock import now_ms

    now = now_ms()
    ran_out = (
        before is not None
        and before.owner not in ("", claim.owner)
        and before.delivered_at is None
        and before.due_at <= now
    )
    return store.deliveries.claim(promotion_id, claim, now=now, over=before if ran_out else None)


def _may_have_been_told(before: Delivery | None, claim: Claim) -> bool:
    """Say whether an earlier owner may have told the event and died; a first claim of ours, just made, did not."""
    if before is None or before.claims == 0:
        return False
    return before.owner != claim.owner or before.claims > 1
