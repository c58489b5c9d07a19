"""Sending what is due to the webhooks: from the outbox, claimed by one sender at a time, again until it is told.

Any number of processes may do this at once: ``headgate webhooks deliver``, a ``headgate server``, a task that has just
promoted. Which of them sends an event is decided by the claim of its delivery. A sender that dies leaves a claim that
runs out, and the event is sent again: at least once, with the same idempotency key.

Events of a model come in their order. One that fails holds up the later ones of its model, not those of others, until
it is told or, after the last try, is dead.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.deliveries import Claim
from headgate.store.errors import StoreUnavailable
from headgate.tasks.webhooks.body import example_event, webhook_body
from headgate.tasks.webhooks.send import TIMEOUT_SECONDS, Answer, send

if TYPE_CHECKING:
    from headgate.store.deliveries import Delivery
    from headgate.store.entities import Verdict
    from headgate.store.outbox import OutboxEvent
    from headgate.store.store import Store
    from headgate.store.webhooks import Webhook

FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 3600.0
_CLAIM_MS = 60_000
_AT_ONCE = 20
_log = logging.getLogger("headgate.webhooks")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of one pass, in numbers of events.

    Args:
        told: the receiver took them.
        failed: they are tried again later.
        dead: they are not tried again until somebody replays them.
        passed_over: they are of models that the webhook does not want to hear of.
    """

    told: int = 0
    failed: int = 0
    dead: int = 0
    passed_over: int = 0

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(
            self.told + other.told,
            self.failed + other.failed,
            self.dead + other.dead,
            self.passed_over + other.passed_over,
        )

    @property
    def gone_on(self) -> bool:
        """Whether something is out of the way of what comes behind it."""
        return bool(self.told or self.dead or self.passed_over)


def deliver_webhooks(
    store: Store,
    *,
    seconds: float | None = None,
    timeout: float = TIMEOUT_SECONDS,
    clock: Callable[[], int] = now_ms,
    environment: Mapping[str, str] | None = None,
) -> Delivered:
    """Send what is due to every active webhook, each event once; what fails waits for a later pass.

    Args:
        store: whose events they are.
        seconds: begin no further request after that long; None sends everything that is due.
        timeout: seconds to wait for each answer.
        clock: epoch ms.
        environment: holds secrets and URLs that webhooks name; None takes the process's.

    Raises:
        StoreUnavailable: the store did not answer; a retry may help.
        Exception: whatever else kept the events of a webhook from being sent, after those of all others were.
    """
    until = None if seconds is None else time.monotonic() + seconds
    done = Delivered()
    faults: list[Exception] = []
    for webhook in store.webhooks.list():
        if webhook.active:
            try:
                done += _Sender(store, webhook, timeout, clock, environment).send_due(until)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - raised below: the fault of one is not the others'
                error.add_note(f"While events were sent to the webhook {webhook.name!r}.")
                faults.append(error)
    if faults:
        raise faults[0]
    return done


def deliver_after_promotion(store: Store) -> None:
    """Send what is due, for a few seconds at most, right after a promotion. It never fails the promotion.

    How long is ``HEADGATE_WEBHOOK_SECONDS_AFTER_PROMOTION``; 0 leaves all sending to others.
    """
    seconds = store.settings.webhook_seconds_after_promotion
    if seconds <= 0:
        return
    try:
        done = deliver_webhooks(store, seconds=seconds, timeout=min(seconds, TIMEOUT_SECONDS))
    except Exception as error:  # noqa: BLE001 - the promotion stands; its event waits for whoever sends next
        _log.warning("The webhooks could not be sent now: %s", error)
        return
    if done.failed or done.dead:
        _log.warning("Of the webhooks due, %d failed and are tried again, %d are dead.", done.failed, done.dead)


def keep_delivering(
    store: Store, stop: threading.Event, *, every: float, tell: Callable[[Delivered], None] | None = None
) -> None:
    """Send what is due, again and again, until ``stop`` is set. Whatever goes wrong is logged and tried again.

    Args:
        every: seconds between passes.
        tell: takes what came of each pass.
    """
    while not stop.is_set():
        try:
            done = deliver_webhooks(store)
            if tell is not None:
                tell(done)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody may mend it while we wait
            _log.warning("The webhooks could not be sent, trying again in %.0f s: %s", every, error)
        stop.wait(every)


def try_webhook(
    store: Store, name: str, *, clock: Callable[[], int] = now_ms, environment: Mapping[str, str] | None = None
) -> Answer:
    """Send a webhook an example of a promotion, and return what came of it. Nothing is recorded.

    Raises:
        NotFound: there is no such webhook.
    """
    webhook = store.webhooks.get(name)
    event = example_event(store.workspace, clock())
    body = webhook_body(webhook.form, event, None)
    hosts = store.settings.webhook_private_host_names
    return send(webhook, event.event_id, body, private_hosts=hosts, now=clock(), environment=environment)


def seconds_until_next(failures: int, retry_after: float | None) -> float:
    """Return how long to wait after a try has failed: ever longer, and never less than the receiver asks for.

    Args:
        failures: tries that failed before this one.
        retry_after: seconds, as the receiver said; None when it did not.
    """
    longest = min(FIRST_WAIT_SECONDS * 2.0 ** min(failures, 20), LONGEST_WAIT_SECONDS)
    jittered = longest * random.uniform(0.8, 1.2)  # noqa: S311 - so that not all come back at once
    return max(jittered, min(retry_after or 0.0, LONGEST_WAIT_SECONDS))


class _Sender:
    """Sends what is due to one webhook."""

    def __init__(
        self,
        store: Store,
        webhook: Webhook,
        timeout: float,
        clock: Callable[[], int],
        environment: Mapping[str, str] | None,
    ) -> None:
        self._store = store
        self._webhook = webhook
        self._timeout = timeout
        self._clock = clock
        self._environment = environment
        self._owner = f"webhooks:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def send_due(self, until: float | None) -> Delivered:
        done = Delivered()
        while True:
            due = self._store.deliveries.due(
                self._webhook.channel, now=self._clock(), order="model", max_results=_AT_ONCE
            )
            tried = [self._send_claimed(delivery) for delivery in due if until is None or time.monotonic() < until]
            sent = [came for came in tried if came is not None]
            for came in sent:
                done += came
            # What was told lets the next event of its model be due; else nothing changes by looking again.
            if not any(came.gone_on for came in sent) or (until is not None and time.monotonic() >= until):
                return done

    def _send_claimed(self, delivery: Delivery) -> Delivered | None:
        """Send an event, unless somebody else does; None then."""
        event_id, channel = delivery.event.event_id, self._webhook.channel
        claim = Claim(channel, self._owner, self._clock() + _CLAIM_MS)
        # A claim that ran out is that of a sender that died, told or not: the receiver knows by the key.
        over = delivery if delivery.owner else None
        if not self._store.deliveries.claim(event_id, claim, now=self._clock(), over=over):
            return None
        if self._webhook.model_name not in ("", delivery.event.model_name):
            self._store.deliveries.confirm(channel, event_id, self._owner, now=self._clock())
            return Delivered(passed_over=1)
        answer = self._send(delivery.event)
        return self._note(delivery, answer)

    def _send(self, event: OutboxEvent) -> Answer:
        body = webhook_body(self._webhook.form, event, self._verdict_of(event))
        hosts = self._store.settings.webhook_private_host_names
        return send(
            self._webhook,
            event.event_id,
            body,
            private_hosts=hosts,
            now=self._clock(),
            timeout=self._timeout,
            environment=self._environment,
        )

    def _note(self, delivery: Delivery, answer: Answer) -> Delivered:
        deliveries, channel, event_id = self._store.deliveries, self._webhook.channel, delivery.event.event_id
        now = self._clock()
        if answer.told:
            deliveries.confirm(channel, event_id, self._owner, now=now)
            return Delivered(told=1)
        tries = delivery.failures + 1
        what = f"Webhook {self._webhook.name!r}, event {event_id}, try {tries}: {answer.error}"
        if answer.final or tries >= self._store.settings.webhook_tries:
            deliveries.bury(channel, event_id, self._owner, error=answer.error, now=now)
            _log.error("%s It is dead now: headgate webhooks replay %s", what, self._webhook.name)
            return Delivered(dead=1)
        wait = seconds_until_next(delivery.failures, answer.retry_after)
        deliveries.release(channel, event_id, self._owner, due_at=now + round(wait * 1000), error=answer.error)
        _log.warning("%s Trying again in %.0f s.", what, wait)
        return Delivered(failed=1)

    def _verdict_of(self, event: OutboxEvent) -> Verdict | None:
        verdict_id = event.payload.get("verdict_id")
        return None if not verdict_id else self._store.standings.verdicts([verdict_id]).get(verdict_id)
