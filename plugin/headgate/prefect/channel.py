"""The channel of the outbox that this Prefect is: each promotion and rejection becomes one event here, whoever made it.

Exactly once
============

A promotion has one event in the store's outbox, and so has a verdict that rejects. The task that promotes or decides
claims its delivery in the very transaction, tells Prefect, and confirms. ``tell_promotions`` tells what was promoted
and rejected elsewhere (a shell, another orchestrator), and what a task that died could not.

==  =============================================  ====================================================================
1   before the promotion commits                   nothing happened; a retry promotes
2   after it, before Prefect took the event        a claim stands for half a minute. The task's retry finds it its own
                                                   and tells; without one, ``tell_promotions`` takes it over
3   Prefect took it, the task died before it       whoever comes next asks Prefect for the event, finds it, and confirms
    confirmed
4   two at once                                    the claim is compared and set: one tells
5   the same event sent twice all the same         its id is made of the record's: Prefect drops the second one
6   a later promotion came before it was told      the event says ``late``, and ``promoted`` does not fire
==  =============================================  ====================================================================

Prefect writes an event down within seconds after it took it; a server that dies in between loses it, as any of its
events. The history artifact of the model is written before the event, and the store has everything for good.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from headgate.prefect.events import ModelEvent, promotion_event, rejection_event
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
_ToTell = tuple[ModelEvent, Callable[[], object]]
_log = logging.getLogger("prefect.headgate")


def event_channel() -> str:
    """Return the channel that this Prefect is: what the variable ``headgate_event_channel`` says, or ``prefect``."""
    from prefect.variables import Variable

    with server_answers(f"the variable {CHANNEL_VARIABLE!r}"):
        return str(Variable.get(CHANNEL_VARIABLE, default=DEFAULT_CHANNEL, _sync=True))  # type: ignore[call-overload]


def delivery_claim() -> Claim:
    """Return the claim by which this piece of work tells the event of a promotion, or of a rejection."""
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
    from headgate.tasks.promoted import promotion_to_tell

    def to_tell() -> _ToTell:
        model = promotion_to_tell(store, promotion_id)
        event = promotion_event(model, store.outbox.get(promotion_id).payload, store.workspace)
        return event, lambda: publish_promotion(store, model)

    return _tell(store, promotion_id, to_tell)


def tell_rejection(store: Store, verdict: Verdict) -> bool:
    """Tell Prefect that a gate rejected a candidate, unless somebody did or is doing so. May run twice.

    Returns:
        Whether this call told it; False for a verdict that does not reject.

    Raises:
        NotFound: the verdict was recorded to be told to nobody.
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    event = rejection_event(verdict)
    return event is not None and _tell(store, verdict.verdict_id, lambda: (event, lambda: None))


def tell_due(store: Store) -> tuple[str, ...]:
    """Tell Prefect of every promotion and rejection that this channel has not had yet; from the first call on, it gets
    them all.

    Returns:
        The ids of the promotions and of the verdicts that were told, in their order.

    Raises:
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    from headgate.store.clock import now_ms
    from headgate.store.promotion_rows import PROMOTION_TOPIC
    from headgate.store.verdicts import VERDICT_TOPIC

    tellers: Mapping[str, Callable[[str], bool]] = {
        PROMOTION_TOPIC: lambda event_id: tell_promotion(store, event_id),
        VERDICT_TOPIC: lambda event_id: tell_rejection(store, store.verdicts.get(event_id)),
    }
    channel = event_channel()
    for topic in tellers:
        store.deliveries.subscribe(channel, topic, now=now_ms())
    told: list[str] = []
    seen: set[str] = set()
    while True:
        due = store.deliveries.due(channel, now=now_ms())
        new = [each.event for each in due if each.event.topic in tellers and each.event.event_id not in seen]
        if not new:
            return tuple(told)
        for event in new:  # of each subject the earliest; the next one is due when it was told
            seen.add(event.event_id)
            if tellers[event.topic](event.event_id):
                told.append(event.event_id)


def _tell(store: Store, event_id: str, to_tell: Callable[[], _ToTell]) -> bool:
    """Claim an event, tell it and confirm; return whether this call told it.

    Args:
        event_id: in the outbox.
        to_tell: returns what Prefect is told, and what is shown before.
    """
    from headgate.store.clock import now_ms

    claim = delivery_claim()
    before = store.deliveries.get(claim.channel, event_id)
    if not _taken(store, event_id, claim, before):
        return False
    try:
        event, publish = to_tell()
        told = _may_have_been_told(before, claim) and has_arrived(event)
        if not told:
            publish()
            send(event)
    except Exception as error:
        later = now_ms() + _AGAIN_MS
        store.deliveries.release(claim.channel, event_id, claim.owner, due_at=later, error=str(error)[:500])
        raise
    store.deliveries.confirm(claim.channel, event_id, claim.owner, now=now_ms())
    if not told:
        _log.info("Told Prefect: %s, %s", event.name, event.resource["prefect.resource.name"])
    return not told


def _taken(store: Store, event_id: str, claim: Claim, before: Delivery | None) -> bool:
    from headgate.store.clock import now_ms

    now = now_ms()
    ran_out = (
        before is not None
        and before.owner not in ("", claim.owner)
        and before.delivered_at is None
        and before.due_at <= now
    )
    return store.deliveries.claim(event_id, claim, now=now, over=before if ran_out else None)


def _may_have_been_told(before: Delivery | None, claim: Claim) -> bool:
    """Say whether an earlier owner may have told the event and died; a first claim of ours, just made, did not."""
    if before is None or before.claims == 0:
        return False
    return before.owner != claim.owner or before.claims > 1
