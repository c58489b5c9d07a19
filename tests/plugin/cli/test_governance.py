"""Guards, overrides, stage rules, what stood when, watches and webhooks at the command line."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headgate.cli.documents import DOCUMENTED
from headgate.store.entities import Metric, Verdict
from headgate.store.store import Store
from headgate.store.tokens import TokenRole
from tests.plugin.cli.conftest import CommandLine
from tests.store.promotion_cases import CHAMPION, MODEL, NOW, candidate, draft

FAR = 32_503_680_000_000  # in the year 3000: commands take the real time
GATE = """\
name: screening-gate
checks:
  all_of:
    - {metric: recall, at_least: 0.95}
"""


def passing(store: Store) -> Verdict:
    return store.verdicts.record(draft(store, candidate(store), decided_at=0, expires_at=FAR))


def promoted(store: Store) -> int:
    made = store.promotions.promote(passing(store).verdict_id, actor="alice", now=time.time_ns() // 1_000_000)
    assert made.to_version is not None
    return made.to_version


def test_a_guard_says_whose_approvals_it_takes(headgate: CommandLine, store: Store, tmp_path: Path) -> None:
    gate = tmp_path / "gate.yaml"
    gate.write_text(GATE)
    words = ("models", "guard", MODEL, "--to", CHAMPION)
    assert "Nothing guards" in headgate.error(*words)["message"]
    made = headgate.json(*words, "--gate", gate, "--approver", "alice", "--approver", "bob", "--quorum", 2)
    assert list(made) == list(DOCUMENTED["guard"])
    assert (made["approvers"], made["quorum"], made["authenticated"]) == (["alice", "bob"], 2, False)
    changed = headgate.json(*words, "--authenticated", "--overrider", "root")
    assert (changed["approvers"], changed["quorum"], changed["authenticated"]) == (["alice", "bob"], 2, True)
    assert "alice, bob" in headgate(*words).stdout
    refused = headgate.error("models", "unguard", MODEL, "--to", CHAMPION, "--actor", "mallory", exit_code=3)
    assert refused["type"] == "NotPermitted"


def test_a_file_declares_guards(headgate: CommandLine, store: Store, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(GATE)
    file = tmp_path / "guards.yaml"
    file.write_text(f"guards:\n  - {{model: {MODEL}, alias: champion, gate: gate.yaml, overriders: [root]}}\n")
    assert headgate.json("models", "guards", file, "--check") == {"declared": 1}
    assert store.gates.list() == ()
    (made,) = headgate.json("models", "guards", file, "--actor", "alice")["guards"]
    assert list(made) == list(DOCUMENTED["guard"])
    assert (made["target"], made["gate_name"], made["overriders"]) == (CHAMPION, "screening-gate", ["root"])
    assert "screening-gate" in headgate("models", "guards", file, "--actor", "alice").stdout
    file.write_text(file.read_text().replace("root", "alice"))
    assert headgate.error("models", "guards", file, "--actor", "alice", exit_code=3)["type"] == "NotPermitted"
    file.write_text(file.read_text().replace("alias", "name"))
    assert "guards.yaml:2: unknown key `name`" in headgate.error("models", "guards", file)["message"]


def test_a_token_proves_who_approves(
    headgate: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    verdict = passing(store)
    store.gates.set(MODEL, CHAMPION, verdict.gate_definition, quorum=1, authenticated=True, now=0)
    words = ("gate", "approve", verdict.verdict_id)
    assert headgate.error(*words, exit_code=3)["type"] == "NotPermitted"
    _, weak = store.tokens.create("eve", TokenRole.WRITE, now=0)
    monkeypatch.setenv("HEADGATE_TOKEN", weak)
    assert "needs the role promote" in headgate.error(*words, exit_code=3)["message"]
    _, secret = store.tokens.create("alice", TokenRole.PROMOTE, now=0)
    monkeypatch.setenv("HEADGATE_TOKEN", secret)
    assert headgate.error(*words, "--actor", "bob")["type"] == "UsageError"
    said = headgate.json(*words)
    assert (said["actor"], said["authenticated"]) == ("alice", True)
    done = headgate.json("models", "promote", MODEL, "--verdict", verdict.verdict_id)
    assert done["promotion"]["approved_by"] == "alice"
    monkeypatch.setenv("HEADGATE_TOKEN", "hg_nobodys")
    error = headgate.error(*words)
    assert (error["type"], "hg_nobodys" in str(error)) == ("InvalidSettings", False)


def test_an_override_is_a_permission_of_its_own(
    headgate: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = promoted(store), promoted(store)
    words = ("models", "override", MODEL, first, "--to", CHAMPION, "--reason", "incident 118")
    assert headgate.error(*words, exit_code=3)["type"] == "NotPermitted"
    definition = store.gates.list(MODEL)[0].gate_definition
    store.gates.set(MODEL, CHAMPION, definition, overriders=["root"], authenticated=True, now=0)
    assert headgate.error(*words, "--actor", "root", exit_code=3)["type"] == "NotPermitted"
    for role, allowed in ((TokenRole.PROMOTE, False), (TokenRole.OVERRIDE, True)):
        _, secret = store.tokens.create("root", role, now=0)
        monkeypatch.setenv("HEADGATE_TOKEN", secret)
        if not allowed:
            assert "needs the role override" in headgate.error(*words, exit_code=3)["message"]
    event = headgate.json(*words, "--from-version", second)
    assert list(event) == list(DOCUMENTED["promotion"])
    assert (event["kind"], event["actor"], event["authenticated"], event["reason"]) == (
        "override",
        "root",
        True,
        "incident 118",
    )
    assert "override" in headgate("models", "history", MODEL).stdout


def test_stage_rules_are_shown_set_and_taken_away(headgate: CommandLine, store: Store) -> None:
    store.registry.create_model(MODEL, now=NOW)
    assert headgate.json("models", "stages", MODEL) == {"stage_rules": None}
    made = headgate.json("models", "stages", MODEL, "--order", "None,Production,Archived")["stage_rules"]
    assert list(made) == list(DOCUMENTED["stage_rules"])
    assert (made["order"], made["single"]) == (["None", "Production", "Archived"], ["Production"])
    assert "None → Production → Archived" in headgate("models", "stages", MODEL).stdout
    assert headgate.json("models", "stages", MODEL, "--free") == {"stage_rules": None}
    assert headgate.error("models", "stages", "nobody")["type"] == "NotFound"


def test_what_was_in_production_on_a_date(headgate: CommandLine, store: Store) -> None:
    version = promoted(store)
    later = datetime.now(UTC).isoformat()
    found = headgate.json("models", "at", MODEL, "--on", later)["promotions"]
    assert [(each["target"], each["to_version"]) for each in found] == [(CHAMPION, version)]
    assert headgate.json("models", "at", MODEL, "--on", "2020-01-01", "--to", CHAMPION)["promotions"] == []
    assert headgate.error("models", "at", "nobody", "--on", "2020-01-01")["type"] == "NotFound"


def test_a_watch_ends_with_its_outcome(headgate: CommandLine, store: Store, tmp_path: Path) -> None:
    promoted(store), promoted(store)
    file = tmp_path / "watch.yaml"
    file.write_text("name: w\nwindow: 1h\nchecks:\n  - {metric: error_rate, at_most: 0.1}\n")
    words = ("models", "watch", MODEL, "--to", CHAMPION, "--watch", file, "--once")
    held = headgate.json(*words, exit_code=4)
    assert list(held) == list(DOCUMENTED["watched"])
    holder = store.promotions.holder(MODEL, CHAMPION)
    assert holder is not None
    now = time.time_ns() // 1_000_000
    bad = Metric(key="error_rate", value=0.9, timestamp=now, step=0, model_id=holder.model_id)
    store.logged_models.log_metrics(str(holder.model_id), [bad])
    broken = headgate.json(*words, exit_code=3)
    assert (broken["outcome"], broken["rollback"]["kind"]) == ("reject", "roll_back")
    assert headgate.json("models", "history", MODEL)["promotions"][-1]["verdict_id"] == broken["verdict_id"]


def test_a_first_promotion_that_breaks_its_watch_says_that_it_stays(
    headgate: CommandLine, store: Store, tmp_path: Path
) -> None:
    promoted(store)
    holder = store.promotions.holder(MODEL, CHAMPION)
    assert holder is not None
    bad = Metric(key="error_rate", value=0.9, timestamp=time.time_ns() // 1_000_000, step=0, model_id=holder.model_id)
    store.logged_models.log_metrics(str(holder.model_id), [bad])
    file = tmp_path / "watch.yaml"
    file.write_text("name: w\nchecks:\n  - {metric: error_rate, at_most: 0.1}\n")
    ran = headgate("models", "watch", MODEL, "--to", CHAMPION, "--watch", file, "--once")
    assert ran.exit_code == 3
    by_hand = f"headgate models rollback {MODEL} --to {CHAMPION}"
    assert ran.stdout.splitlines()[-1] == f"It was not rolled back. By hand: {by_hand}"


def test_webhooks_are_made_listed_tried_replayed_and_deleted(headgate: CommandLine, store: Store) -> None:
    assert headgate.error("webhooks", "create", "deploy")["type"] == "UsageError"
    made = headgate.json("webhooks", "create", "deploy", "--url", "http://127.0.0.1:9/secret-path")
    assert list(made) == list(DOCUMENTED["webhook"])
    assert (made["url"], made["topics"], made["secret_env"]) == ("http://127.0.0.1:9/…", ["promotion"], "")
    event = store.promotions.promote(passing(store).verdict_id, actor="alice", now=1)
    (listed,) = headgate.json("webhooks", "list")["webhooks"]
    assert (listed["name"], listed["pending"]) == ("deploy", 1)
    assert headgate.json("webhooks", "test", "deploy", exit_code=5)["success"] is False
    assert headgate.json("webhooks", "deliver") == {"told": 0, "failed": 1, "dead": 0}
    channel = store.webhooks.get("deploy").channel
    from headgate.store.deliveries import Claim

    assert store.deliveries.claim(event.promotion_id, Claim(channel, "me", FAR), now=FAR)
    store.deliveries.bury(channel, event.promotion_id, "me", error="gone", now=5)
    (dead,) = headgate.json("webhooks", "dead", "deploy")["dead"]
    assert list(dead) == list(DOCUMENTED["delivery"])
    assert (dead["event_id"], dead["error"], dead["failures"]) == (event.promotion_id, "gone", 2)
    assert headgate.json("webhooks", "replay", "deploy") == {"replayed": 1}
    assert headgate.json("webhooks", "activate", "deploy", "--off")["active"] is False
    assert headgate.json("webhooks", "deliver") == {"told": 0, "failed": 0, "dead": 0}
    headgate.json("webhooks", "delete", "deploy")
    assert headgate.json("webhooks", "list") == {"webhooks": []}
    assert headgate.error("webhooks", "delete", "deploy")["type"] == "NotFound"


def test_a_store_that_is_away_for_a_while_does_not_end_the_sending(
    headgate: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headgate.store.errors import StoreUnavailable
    from headgate.tasks.webhooks import deliver

    passes = iter([StoreUnavailable("The store did not answer."), deliver.Delivered(told=1), KeyboardInterrupt()])

    def next_pass(_: Store) -> deliver.Delivered:
        came = next(passes)
        if isinstance(came, BaseException):
            raise came
        return came

    monkeypatch.setattr(deliver, "deliver_webhooks", next_pass)
    assert "1 told" in headgate("webhooks", "deliver", "--watch", "--every", "1s").stderr
    assert next(passes, None) is None


def test_what_was_told_is_pruned(headgate: CommandLine, store: Store) -> None:
    store.promotions.promote(passing(store).verdict_id, actor="alice", now=1)
    store.promotions.promote(passing(store).verdict_id, actor="alice", now=2)
    assert headgate.json("db", "prune", "--older-than", "1d") == {"pruned": 1}
    assert len(headgate.json("models", "history", MODEL)["promotions"]) == 2


def test_the_topics_of_the_command_are_those_of_the_store() -> None:
    from headgate.cli.commands import webhooks
    from headgate.store.webhooks import TOPICS

    assert webhooks.TOPICS == TOPICS
