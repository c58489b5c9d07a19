"""Promotions as events of a real Prefect: once each, whoever promoted and whoever died."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prefect import flow

from headgate.prefect import promote_model
from headgate.prefect.artifacts.links import promotions_key
from headgate.prefect.artifacts.publish import newest_artifacts
from headgate.prefect.assets import dataset_asset, materializing, model_asset
from headgate.prefect.channel import event_channel, tell_due, tell_promotion, tell_rejection
from headgate.prefect.events import PROMOTED, REJECTED, ROLLED_BACK, promotion_event
from headgate.prefect.server_events import send
from headgate.prefect.tasks.tell_promotions import tell_promotions
from headgate.store.clock import now_ms
from headgate.store.deliveries import Claim
from headgate.store.entities import Metric
from headgate.store.errors import NotFound, StoreUnavailable
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import decide_promotion, promote, roll_back
from headgate.tasks.promoted import promotion_to_tell
from tests.plugin.prefect.answers import post
from tests.plugin.prefect.projects import GATE, measured, new_name

if TYPE_CHECKING:
    from headgate.store.entities import Promotion
    from headgate.store.store import Store
    from tests.plugin.prefect.server import PrefectServer

pytestmark = pytest.mark.usefixtures("prefect_server")
ROOT = Path(__file__).parents[3]
# Its claim has run out when somebody looks, as half a minute later.
DYING = """\
import os
import signal
import sys

from prefect import flow

from headgate.prefect import channel, decide_gate, promote_model, roll_back_model, watch_model
from tests.plugin.prefect.projects import GATE

WATCH = {"name": "after-deploy", "window": "1h", "checks": [{"metric": "error_rate", "at_most": 0.1}]}
channel.CLAIM_MS = 1
word = "tell_rejection" if sys.argv[1] == "decides" else "tell_promotion"
setattr(channel, word, lambda *_: os.kill(os.getpid(), signal.SIGKILL))

@flow
def promotes(name, model_id):
    promote_model(model_id, gate=GATE, model_name=name)

@flow
def rolls_back(name, model_id):
    roll_back_model(name)

@flow
def decides(name, model_id):
    decide_gate(GATE, model_name=name, candidate=model_id)

@flow
def watches(name, model_id):
    watch_model(WATCH, model_name=name, every=None)

globals()[sys.argv[1]](*sys.argv[2:])
"""


def promoted_in(store: Store, name: str, f1: float = 0.9, claim: Claim | None = None) -> Promotion:
    verdict = decide_promotion(store, gate_from_definition(GATE), name, "@champion", measured(store, f1))
    return promote(store, verdict.verdict_id, actor="ann", reason="better", claim=claim)


def events_of(server: PrefectServer, name: str, count: int, seconds: float = 60) -> list[dict[str, Any]]:
    """Return the events about a model, once the server has written down so many."""
    return found_events(server, {"resource": {"labels": {"headgate.model": [name]}}}, count, seconds)


def found_events(server: PrefectServer, which: dict[str, Any], count: int, seconds: float = 60) -> list[dict[str, Any]]:
    until = time.monotonic() + seconds
    wanted = {**which, "order": "ASC"}
    while True:
        found = list(post(server, "/events/filter", {"filter": wanted})["events"])
        if len(found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.2)


@pytest.mark.oldest_prefect
def test_a_promotion_is_one_event_with_what_was_committed(store: Store, prefect_server: PrefectServer) -> None:
    name, candidate = new_name(), measured(store, 0.9)

    @flow
    def retraining() -> tuple[Promotion, bool]:
        promotion = promote_model(candidate, gate=GATE, model_name=name, reason="better")
        return promotion, tell_promotion(store, promotion.promotion_id)

    promotion, again = retraining()
    assert not again
    (event,) = events_of(prefect_server, name, 1)
    assert event["event"] == PROMOTED
    assert event["resource"] == {
        "prefect.resource.id": f"headgate.model-version.{name}.1",
        "prefect.resource.name": f"{name} version 1",
        "headgate.model": name,
        "headgate.target": "@champion",
        "headgate.version": "1",
        "headgate.workspace": "default",
        "headgate.late": "false",
    }
    roles = {each["prefect.resource.role"]: each["prefect.resource.id"] for each in event["related"]}
    assert roles["model"] == f"headgate.model.{name}"
    assert roles["verdict"] == f"headgate.verdict.{promotion.verdict_id}"
    assert {"run", "logged-model", "flow", "flow-run"} <= roles.keys()
    payload = event["payload"]
    assert (payload["model_name"], payload["version"], payload["verdict_id"]) == (name, 1, promotion.verdict_id)
    assert (payload["actor"], payload["reason"], payload["model_uri"]) == (
        "prefect:retraining",
        "better",
        f"models:/{name}/1",
    )
    assert payload["to_version"] == 1  # the committed row as it is
    delivery = store.deliveries.get("prefect", promotion.promotion_id)
    assert delivery is not None
    assert delivery.delivered_at is not None
    (artifact,) = newest_artifacts(promotions_key(name), 10)
    assert promotion.promotion_id in str(artifact.description)
    assert "```mermaid" in str(artifact.data)


def test_a_rollback_is_an_event_of_the_version_that_holds_again(store: Store, prefect_server: PrefectServer) -> None:
    name = new_name()
    first, second = promoted_in(store, name, 0.8), promoted_in(store, name, 0.9)
    back = roll_back(store, name, "@champion", actor="ann", reason="it got worse")
    for promotion in (first, second, back):
        assert tell_promotion(store, promotion.promotion_id)
    events = events_of(prefect_server, name, 3)
    assert [event["event"] for event in events] == [PROMOTED, PROMOTED, ROLLED_BACK]
    assert [event["payload"]["version"] for event in events] == [1, 2, 1]
    assert [event["resource"]["headgate.late"] for event in events] == ["true", "true", "false"]
    assert events[2]["payload"]["verdict_id"] is None
    assert len(newest_artifacts(promotions_key(name), 10)) == 3


def test_a_rejected_candidate_is_an_event_without_a_version(store: Store, prefect_server: PrefectServer) -> None:
    name = new_name()
    verdict = decide_promotion(store, gate_from_definition(GATE), name, "@champion", measured(store, 0.2))
    assert tell_rejection(store, verdict)
    assert not tell_rejection(store, verdict)
    (event,) = events_of(prefect_server, name, 1)
    assert event["event"] == REJECTED
    assert event["payload"]["candidate_model_id"] == verdict.candidate_model_id
    assert "f1 >= 0.5" in event["payload"]["reasons"][0]
    assert not tell_rejection(store, promoted_verdict(store, name))


def promoted_verdict(store: Store, name: str) -> Any:
    return store.verdicts.get(str(promoted_in(store, name).verdict_id))


def test_what_was_promoted_elsewhere_is_told_by_whoever_looks(store: Store, prefect_server: PrefectServer) -> None:
    assert tell_due(store) == ()  # from now on
    one, other = new_name(), new_name()
    promotions = [promoted_in(store, one, 0.8), promoted_in(store, other), promoted_in(store, one, 0.9)]
    assert sorted(tell_due(store)) == sorted(each.promotion_id for each in promotions)
    assert tell_due(store) == ()
    assert [event["payload"]["version"] for event in events_of(prefect_server, one, 2)] == [1, 2]
    assert [event["payload"]["version"] for event in events_of(prefect_server, other, 1)] == [1]


def test_what_was_rejected_elsewhere_is_told_and_shadows_are_not(store: Store, prefect_server: PrefectServer) -> None:
    assert tell_due(store) == ()  # from now on
    name, gate = new_name(), gate_from_definition(GATE)
    rejected = decide_promotion(store, gate, name, "@champion", measured(store, 0.1))
    decide_promotion(store, gate, name, "@champion", measured(store, 0.1), shadow=True)
    assert tell_due(store) == (rejected.verdict_id,)
    assert tell_due(store) == ()
    (event,) = events_of(prefect_server, name, 1)
    assert (event["event"], event["payload"]["verdict_id"]) == (REJECTED, rejected.verdict_id)


@pytest.mark.parametrize("how", ["promotes", "rolls_back", "watches", "decides"])
def test_a_task_that_is_killed_between_its_commit_and_its_word(
    store: Store, prefect_server: PrefectServer, tmp_path: Path, how: str
) -> None:
    """Nobody has ever subscribed to this store: it is the claim that the task committed by which the event is found."""
    name, model_id = new_name(), measured(store, 0.1 if how == "decides" else 0.9)
    before = [] if how in ("promotes", "decides") else [promoted_in(store, name, f1) for f1 in (0.7, 0.8)]
    if how == "watches":
        log_error_rate(store, name)
    file = tmp_path / "dying_flows.py"
    file.write_text(DYING)
    environment = {**prefect_server.environment, "HEADGATE_STORE_URL": store.url, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, str(file), how, name, model_id], env=environment, capture_output=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    made = [promotion.promotion_id for promotion in store.promotions.history(name)[len(before) :]]
    if how == "decides":
        made = [verdict.verdict_id for verdict in store.verdicts.search(name).items]
    assert len(made) == 1
    assert tell_due(store) == tuple(made)
    assert tell_due(store) == ()
    (event,) = events_of(prefect_server, name, 1)
    assert event["event"] == {"promotes": PROMOTED, "decides": REJECTED}.get(how, ROLLED_BACK)
    assert event["payload"]["verdict_id" if how == "decides" else "promotion_id"] == made[0]


def log_error_rate(store: Store, name: str) -> None:
    holder = store.promotions.holder(name, "@champion")
    assert holder is not None
    point = Metric("error_rate", 0.9, now_ms(), model_id=holder.model_id)
    store.logged_models.log_metrics(str(holder.model_id), [point])


def test_what_a_dead_task_told_is_not_told_again(store: Store, prefect_server: PrefectServer) -> None:
    name = new_name()
    tell_due(store)
    dead = Claim(event_channel(), "task:gone", now_ms() - 1)
    promotion = promoted_in(store, name, claim=dead)
    model = promotion_to_tell(store, promotion.promotion_id)
    send(promotion_event(model, store.outbox.get(promotion.promotion_id).payload, "default"))
    assert len(events_of(prefect_server, name, 1)) == 1

    assert tell_due(store) == ()
    delivery = store.deliveries.get("prefect", promotion.promotion_id)
    assert delivery is not None
    assert delivery.delivered_at is not None
    assert len(events_of(prefect_server, name, 1)) == 1


def test_what_a_dead_task_did_not_tell_is_told(store: Store, prefect_server: PrefectServer) -> None:
    name = new_name()
    promotion = promoted_in(store, name, claim=Claim(event_channel(), "task:gone", now_ms() - 1))
    assert tell_due(store) == (promotion.promotion_id,)
    assert len(events_of(prefect_server, name, 1)) == 1


def test_a_task_at_work_is_left_to_it(store: Store) -> None:
    promotion = promoted_in(store, new_name(), claim=Claim(event_channel(), "task:alive", now_ms() + 60_000))
    assert not tell_promotion(store, promotion.promotion_id)


def test_a_server_that_does_not_answer_loses_nothing(store: Store, prefect_server: PrefectServer) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    name = new_name()
    promotion = promoted_in(store, name)
    nobody = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0})
    with nobody, pytest.raises(StoreUnavailable, match="Prefect's server did not answer"):
        tell_promotion(store, promotion.promotion_id)
    assert tell_promotion(store, promotion.promotion_id)
    assert len(events_of(prefect_server, name, 1)) == 1


def test_an_unknown_promotion_is_an_error(store: Store) -> None:
    with pytest.raises(NotFound, match="p-unknown"):
        tell_promotion(store, "p-unknown")


def test_a_task_that_makes_a_model_says_so_as_an_asset(store: Store, prefect_server: PrefectServer) -> None:
    name = new_name()
    asset = model_asset(name, alias="champion")
    makes = materializing(tell_promotions, asset, of=[dataset_asset("holdout")])

    @flow
    def retraining() -> None:
        makes.submit().result()

    retraining()
    (event,) = found_events(prefect_server, {"resource": {"id": [asset.key]}}, 1)
    assert event["event"] == "prefect.asset.materialization.succeeded"
    assert "headgate://datasets/holdout" in {each["prefect.resource.id"] for each in event["related"]}
