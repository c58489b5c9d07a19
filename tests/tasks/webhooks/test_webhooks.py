"""Webhooks against a real HTTP server: signed as MLflow signs, in order, again until told, dead and replayed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.store.entities import Verdict
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.webhooks import Webhook, WebhookForm
from headgate.tasks.promote import promote as promote_and_tell
from headgate.tasks.webhooks.body import webhook_body
from headgate.tasks.webhooks.deliver import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    Delivered,
    deliver_webhooks,
    seconds_until_next,
    try_webhook,
)
from headgate.tasks.webhooks.signing import webhook_headers
from tests.store.promotion_cases import CHAMPION, MODEL, NOW, candidate, promote, verdict_on
from tests.tasks.webhooks.receiver import Receiver

SECRET = "correct horse"
ENVIRONMENT = {"HOOK_SECRET": SECRET}


class Clock:
    """Time that goes on by itself, one ms per look, and further when told."""

    def __init__(self) -> None:
        self.now = NOW + 1000

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    settings = Settings(webhook_private_hosts="127.0.0.1", webhook_tries=3)
    with open_store(f"sqlite:///{shutil.copy(migrated_file, tmp_path)}", settings=settings) as opened:
        yield opened


@pytest.fixture
def deliver(store: Store, clock: Clock) -> Callable[[], Delivered]:
    return lambda: deliver_webhooks(store, clock=clock, environment=ENVIRONMENT)


def hook(store: Store, receiver: Receiver, name: str = "deploy", **options: Any) -> Webhook:
    options = {"secret_env": "HOOK_SECRET", **options}
    return store.webhooks.create(name, receiver.url, now=NOW, created_by="alice", **options)


def mlflow_accepts(headers: dict[str, str], body: bytes) -> bool:
    """Check a request by what MLflow's documentation tells receivers to do."""
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.{body.decode()}"
    digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(headers["X-MLflow-Signature"], "v1," + base64.b64encode(digest).decode())


def test_a_promotion_is_told_with_versions_and_verdict_signed_as_mlflow_signs(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered]
) -> None:
    promote(store, candidate(store))
    made = hook(store, receiver)
    event = promote(store, candidate(store))
    assert deliver() == Delivered(told=1)
    ((headers, body),) = receiver.requests
    assert mlflow_accepts(headers, body)
    assert headers["X-MLflow-Delivery-Id"] == headers["Idempotency-Key"] == event.promotion_id
    assert abs(int(headers["X-MLflow-Timestamp"]) - NOW // 1000) < 10
    said = json.loads(body)
    assert (said["entity"], said["action"], said["workspace"]) == ("model_version_alias", "created", "default")
    data = said["data"]
    assert (data["name"], data["alias"], data["version"]) == (MODEL, "champion", "2")  # what MLflow's own event says
    assert (data["from_version"], data["to_version"], data["actor"], data["kind"]) == (1, 2, "alice", "promote")
    assert data["verdict"]["verdict_id"] == event.verdict_id
    assert data["verdict"]["outcome"] == "pass"
    assert [check["rule"] for check in data["verdict"]["checks"]] == ["recall >= 0.95"]
    assert deliver() == Delivered()  # told once
    assert store.deliveries.pending(made.channel) == 0


def test_the_signature_is_that_of_mlflow_itself() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    headers = webhook_headers("id-1", b'{"a":"\xc3\xa9"}', SECRET, now=1_700_000_000_123)
    expected = _generate_hmac_signature(SECRET, "id-1", "1700000000", '{"a":"é"}')
    assert headers["X-MLflow-Signature"] == expected
    assert "X-MLflow-Signature" not in webhook_headers("id-1", b"{}", None, now=NOW)


def test_a_failure_is_tried_again_with_the_same_key_and_body_and_holds_up_its_model_only(
    store: Store, receiver: Receiver, clock: Clock, deliver: Callable[[], Delivered]
) -> None:
    hook(store, receiver)
    receiver.answers = itertools.chain([500], itertools.repeat(200))
    first = promote(store, candidate(store))
    other_target = promote(store, candidate(store), target="@shadow")
    other_model = promote(store, candidate(store), model_name="another")
    assert deliver() == Delivered(told=1, failed=1)
    assert receiver.ids == [first.promotion_id, other_model.promotion_id]
    assert deliver() == Delivered()  # not before its time
    clock.now += round(FIRST_WAIT_SECONDS * 1200) + 1
    assert deliver() == Delivered(told=2)
    assert receiver.ids[2:] == [first.promotion_id, other_target.promotion_id]
    assert receiver.requests[0][1] == receiver.requests[2][1]
    assert receiver.requests[0][0]["X-MLflow-Timestamp"] != receiver.requests[2][0]["X-MLflow-Timestamp"]


def test_what_fails_every_time_is_dead_lets_others_by_and_can_be_replayed(
    store: Store, receiver: Receiver, clock: Clock, deliver: Callable[[], Delivered]
) -> None:
    made = hook(store, receiver)
    receiver.answers = itertools.chain([503] * 3, itertools.repeat(204))
    lost, next_one = promote(store, candidate(store)), promote(store, candidate(store))
    for _ in range(2):
        assert deliver() == Delivered(failed=1)
        clock.now += round(LONGEST_WAIT_SECONDS * 1200)
    assert deliver() == Delivered(told=1, dead=1)
    (dead,) = store.deliveries.dead(made.channel)
    assert (dead.event.event_id, dead.failures, dead.error) == (lost.promotion_id, 3, "HTTP 503: said")
    assert dead.dead_at is not None
    assert deliver() == Delivered()
    assert store.deliveries.replay(made.channel, "p-nothing", now=clock()) == 0
    assert store.deliveries.replay(made.channel, lost.promotion_id, now=clock()) == 1
    assert deliver() == Delivered(told=1)
    assert receiver.ids == [lost.promotion_id] * 3 + [next_one.promotion_id, lost.promotion_id]
    assert store.deliveries.dead() == ()


def test_a_receiver_that_is_gone_for_good_is_asked_once(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered]
) -> None:
    hook(store, receiver)
    receiver.answers = itertools.repeat(410)
    promote(store, candidate(store))
    assert deliver() == Delivered(dead=1)


@pytest.mark.parametrize("header", [("Content-Encoding", "gzip"), ("Content-Length", "400")])
def test_an_answer_that_can_not_be_read_is_a_failure_like_others(
    store: Store, receiver: Receiver, clock: Clock, header: tuple[str, str]
) -> None:
    """A body that is not what its header says, and one that does not come."""
    made = hook(store, receiver)
    receiver.answers, receiver.headers = itertools.repeat(502), dict([header])
    promote(store, candidate(store))
    assert deliver_webhooks(store, clock=clock, environment=ENVIRONMENT, timeout=0.3) == Delivered(failed=1)
    (waiting,) = store.deliveries.due(made.channel, now=2 * NOW)
    assert (waiting.failures, waiting.error) == (1, "HTTP 502")


@pytest.mark.parametrize("url", ["https://[oops", "https://example.org:port/hook", "https://" + "a" * 70 + ".example/"])
def test_a_url_that_is_none_is_a_failure_and_the_next_webhook_is_sent_its_event(
    store: Store, receiver: Receiver, clock: Clock, url: str
) -> None:
    bad = store.webhooks.create("a-bad-one", "env:BAD_URL", now=NOW)
    hook(store, receiver)
    promote(store, candidate(store))
    environment = {**ENVIRONMENT, "BAD_URL": url}
    assert deliver_webhooks(store, clock=clock, environment=environment) == Delivered(told=1, failed=1)
    assert store.deliveries.due(bad.channel, now=2 * NOW)[0].failures == 1


def test_a_webhook_that_breaks_the_sender_keeps_no_other_from_its_events(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(store, receiver, "a-bad-one", form=WebhookForm.SLACK)
    hook(store, receiver)
    promote(store, candidate(store))

    def broken(form: WebhookForm, *about: Any) -> bytes:
        if form is WebhookForm.SLACK:
            raise KeyError(form)
        return webhook_body(form, *about)

    monkeypatch.setattr("headgate.tasks.webhooks.deliver.webhook_body", broken)
    with pytest.raises(KeyError) as raised:
        deliver()
    assert "a-bad-one" in raised.value.__notes__[0]
    assert len(receiver.requests) == 1


def test_a_redirect_is_not_followed(store: Store, receiver: Receiver, deliver: Callable[[], Delivered]) -> None:
    made = hook(store, receiver)
    receiver.answers, receiver.headers = itertools.repeat(307), {"Location": receiver.url}
    promote(store, candidate(store))
    assert deliver() == Delivered(failed=1)
    assert len(receiver.requests) == 1
    assert "redirect" in store.deliveries.get(made.channel, receiver.ids[0]).error  # type: ignore[union-attr]


def test_a_sender_that_died_leaves_its_event_to_another(
    store: Store, receiver: Receiver, clock: Clock, deliver: Callable[[], Delivered]
) -> None:
    from headgate.store.deliveries import Claim

    made = hook(store, receiver)
    event = promote(store, candidate(store))
    assert store.deliveries.claim(event.promotion_id, Claim(made.channel, "died", clock.now + 60_000), now=clock())
    assert deliver() == Delivered()
    clock.now += 60_001
    assert deliver() == Delivered(told=1)


def test_many_senders_send_each_event_once(store: Store, receiver: Receiver) -> None:
    hook(store, receiver)
    events = [promote(store, candidate(store), model_name=f"model-{n % 3}") for n in range(9)]
    done: list[Delivered] = []
    threads = [
        threading.Thread(target=lambda: done.append(deliver_webhooks(store, environment=ENVIRONMENT))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.append(deliver_webhooks(store, environment=ENVIRONMENT))  # what one saw claimed by another, and went
    assert sum(each.told for each in done) == 9
    assert sorted(receiver.ids) == sorted(event.promotion_id for event in events)
    for name in range(3):
        mine = [event.promotion_id for event in events if event.model_name == f"model-{name}"]
        assert [told for told in receiver.ids if told in mine] == mine


def test_only_what_a_webhook_wants_is_sent(store: Store, receiver: Receiver, deliver: Callable[[], Delivered]) -> None:
    hook(store, receiver, topics=["promotion", "guard.set", "stages.set"], model_name=MODEL)
    promote(store, candidate(store), model_name="another")
    promote(store, candidate(store))
    store.stages.set(MODEL, now=NOW)
    done = deliver()
    assert (done.told, done.passed_over) == (3, 2)
    said = [(body["entity"], body["action"], body["data"]["name"]) for body in receiver.bodies]
    assert said == [("guard", "set", MODEL), ("model_version_alias", "created", MODEL), ("stages", "set", MODEL)]


def test_a_rollback_to_nobody_a_stage_and_an_override_are_told(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered]
) -> None:
    hook(store, receiver)
    first = promote(store, candidate(store))
    store.promotions.roll_back(MODEL, CHAMPION, actor="bob", reason="bad", now=NOW)
    promote(store, candidate(store), target="stage:Production")
    store.gates.set(MODEL, CHAMPION, {**_definition(store)}, overriders=["root"], now=NOW)
    store.promotions.override(MODEL, CHAMPION, first.to_version, actor="root", reason="at 3 AM", now=NOW)
    assert deliver() == Delivered(told=4)
    said = [(body["entity"], body["action"], body["data"]["kind"]) for body in receiver.bodies]
    assert said == [
        ("model_version_alias", "created", "promote"),
        ("model_version_alias", "deleted", "roll_back"),
        ("model_version_stage", "set", "promote"),
        ("model_version_alias", "created", "override"),
    ]
    assert receiver.bodies[2]["data"]["stage"] == "Production"


def _definition(store: Store) -> dict[str, Any]:
    standing = store.gates.get(MODEL, CHAMPION)
    assert standing is not None
    return dict(standing.gate_definition)


def test_slack_is_told_in_its_own_form_and_nothing_in_it_is_a_command(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered]
) -> None:
    hook(store, receiver, form=WebhookForm.SLACK, secret_env="")
    verdict = verdict_on(store, candidate(store))
    store.promotions.promote(verdict.verdict_id, actor="<!channel> & co", reason="better", now=NOW)
    assert deliver() == Delivered(told=1)
    (said,) = receiver.bodies
    assert said["text"] == (f"{MODEL} @champion: nobody → version 1, promoted by &lt;!channel&gt; &amp; co: better")
    assert [block["type"] for block in said["blocks"]] == ["section", "section"]
    assert "✓ recall &gt;= 0.95" in said["blocks"][1]["text"]["text"]
    assert "X-MLflow-Signature" not in receiver.requests[0][0]


def test_the_secret_is_nowhere_but_in_the_signature(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered], caplog: pytest.LogCaptureFixture
) -> None:
    made = hook(store, receiver)
    receiver.answers = itertools.repeat(500)
    promote(store, candidate(store))
    deliver()
    told = f"{made!r} {caplog.text} {store.deliveries.due(made.channel, now=NOW + 10**9)!r} {receiver.requests!r}"
    assert SECRET not in told
    assert made.shown_url.endswith("/…")


def test_a_variable_that_is_not_set_is_a_failure_that_names_it(store: Store, receiver: Receiver) -> None:
    made = hook(store, receiver)
    promote(store, candidate(store))
    assert deliver_webhooks(store, environment={}) == Delivered(failed=1)
    assert receiver.requests == []
    (waiting,) = store.deliveries.due(made.channel, now=2 * NOW)
    assert waiting.error == "The variable HOOK_SECRET is not set where the webhook is sent from."


def test_a_url_may_be_a_variable(store: Store, receiver: Receiver) -> None:
    made = store.webhooks.create("slack", "env:SLACK_URL", now=NOW)
    assert made.shown_url == "env:SLACK_URL"
    assert try_webhook(store, "slack", environment={"SLACK_URL": receiver.url}).told
    assert receiver.bodies[0]["data"]["test"] is True
    assert "SLACK_URL" in try_webhook(store, "slack", environment={}).error


def test_a_webhook_that_rests_is_sent_nothing_and_everything_afterwards(
    store: Store, receiver: Receiver, deliver: Callable[[], Delivered]
) -> None:
    hook(store, receiver)
    assert not store.webhooks.set_active("deploy", False).active
    promote(store, candidate(store))
    assert deliver() == Delivered()
    store.webhooks.set_active("deploy", True)
    assert deliver() == Delivered(told=1)


def test_a_deleted_webhook_is_sent_nothing(store: Store, receiver: Receiver, deliver: Callable[[], Delivered]) -> None:
    made = hook(store, receiver)
    promote(store, candidate(store))
    store.webhooks.delete("deploy")
    promote(store, candidate(store))
    assert deliver() == Delivered()
    assert store.deliveries.pending(made.channel) == 0
    with pytest.raises(NotFound):
        store.webhooks.get("deploy")


def test_a_promotion_sends_what_is_due_and_stands_when_that_fails(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(store, receiver, secret_env="")
    receiver.answers = itertools.chain([200], itertools.repeat(500))
    for _ in range(2):
        verdict: Verdict = verdict_on(store, candidate(store))
        promote_and_tell(store, verdict.verdict_id, actor="alice", now=NOW)
    assert len(receiver.requests) == 2
    assert len(store.promotions.history(MODEL)) == 2


@pytest.mark.parametrize(
    ("name", "url", "options"),
    [
        ("", "https://example.org", {}),
        ("x", "ftp://example.org", {}),
        ("x", "https://", {}),
        ("x", "https://user:word@example.org", {}),
        ("x", "https://example.org:port", {}),
        ("x", "env:not a name", {}),
        ("x", "https://example.org", {"secret_env": "the secret itself"}),
        ("x", "https://example.org", {"topics": ["weather"]}),
        ("x", "https://example.org", {"topics": []}),
    ],
)
def test_what_can_not_be_a_webhook_is_refused(store: Store, name: str, url: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.webhooks.create(name, url, now=NOW, **options)
    assert "word" not in str(refused.value)
    assert "the secret itself" not in str(refused.value)


def test_a_webhook_is_made_with_all_its_topics_or_not_at_all(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headgate.store import deliveries
    from headgate.store.errors import StoreUnavailable

    subscribed = deliveries._is_subscribed

    def breaks_down(conn: Any, row: dict[str, Any]) -> bool:
        if row["topic"] == "guard.set":
            raise StoreUnavailable("The store is gone.")
        return subscribed(conn, row)

    monkeypatch.setattr(deliveries, "_is_subscribed", breaks_down)
    with pytest.raises(StoreUnavailable):
        hook(store, receiver, topics=["promotion", "guard.set"])
    monkeypatch.undo()
    assert store.webhooks.list() == ()
    made = hook(store, receiver, topics=["promotion", "guard.set"])
    promote(store, candidate(store))  # its gate becomes the guard
    assert store.deliveries.pending(made.channel) == 2


def test_names_of_webhooks_are_unique(store: Store, receiver: Receiver) -> None:
    hook(store, receiver)
    with pytest.raises(AlreadyExists):
        hook(store, receiver)


def test_waits_grow_to_a_limit_and_respect_what_the_receiver_asks() -> None:
    waits = [seconds_until_next(failures, None) for failures in range(14)]
    assert FIRST_WAIT_SECONDS * 0.8 <= waits[0] <= FIRST_WAIT_SECONDS * 1.2
    assert all(wait <= LONGEST_WAIT_SECONDS * 1.2 for wait in waits)
    assert waits[-1] >= LONGEST_WAIT_SECONDS * 0.8
    assert seconds_until_next(0, 120.0) == 120.0
    assert seconds_until_next(0, 1e9) == LONGEST_WAIT_SECONDS


def test_a_body_says_the_same_in_every_try(store: Store) -> None:
    event = store.outbox.get(promote(store, candidate(store)).promotion_id)
    for form in WebhookForm:
        assert webhook_body(form, event, None) == webhook_body(form, event, None)
