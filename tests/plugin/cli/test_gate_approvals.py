"""``headgate gate approve`` and ``reject``, and what promotions make of them."""

from __future__ import annotations

import pytest

from headgate.cli.documents import DOCUMENTED
from headgate.store.entities import Verdict
from headgate.store.store import Store
from tests.plugin.cli.conftest import CommandLine
from tests.store.promotion_cases import CHAMPION, MODEL, candidate, draft

FAR = 32_503_680_000_000  # in the year 3000: commands take the real time


@pytest.fixture
def verdict(store: Store) -> Verdict:
    return store.verdicts.record(draft(store, candidate(store), decided_at=0, expires_at=FAR))


def test_an_approval_is_recorded_and_the_promotion_names_it(
    headgate: CommandLine, store: Store, verdict: Verdict
) -> None:
    said = headgate.json("gate", "approve", verdict.verdict_id, "--reason", "fine", "--actor", "alice")
    assert list(said) == list(DOCUMENTED["approval"])
    assert (said["decision"], said["actor"], said["reason"]) == ("approve", "alice", "fine")
    assert (said["authenticated"], said["source"]) == (False, "cli")
    done = headgate.json("models", "promote", MODEL, "--verdict", verdict.verdict_id, "--require-approval")
    assert (done["promotion"]["approval_id"], done["promotion"]["approved_by"]) == (said["approval_id"], "alice")
    (listed,) = headgate.json("models", "history", MODEL)["promotions"]
    assert listed["approved_by"] == "alice"
    assert "approved by" in headgate("models", "history", MODEL).stdout.splitlines()[0]
    assert headgate.json("gate", "approve", verdict.verdict_id, "--actor", "alice") == said


def test_the_default_actor_is_the_user_of_the_machine(headgate: CommandLine, verdict: Verdict) -> None:
    said = headgate("gate", "approve", verdict.verdict_id)
    assert said.exit_code == 0
    assert f"Verdict {verdict.verdict_id}: {verdict.candidate_model_id} for {MODEL} {CHAMPION}" in said.stdout
    assert "(a claimed name)" in said.stdout


def test_a_rejection_refuses_every_promotion(headgate: CommandLine, store: Store, verdict: Verdict) -> None:
    headgate.json("gate", "reject", verdict.verdict_id, "--reason", "wrong data", "--actor", "alice")
    error = headgate.error("models", "promote", MODEL, "--verdict", verdict.verdict_id, exit_code=3)
    assert error["type"] == "NotApproved"
    assert "alice rejected" in error["message"]
    assert "wrong data" in error["message"]
    assert store.promotions.history(MODEL) == ()


def test_a_promotion_that_requires_an_approval_names_the_command(headgate: CommandLine, verdict: Verdict) -> None:
    words = ("models", "promote", MODEL, "--verdict", verdict.verdict_id, "--require-approval")
    error = headgate.error(*words, exit_code=3)
    assert error["type"] == "NotApproved"
    assert f"headgate gate approve {verdict.verdict_id}" in error["remedy"]


def test_explain_shows_what_people_said(headgate: CommandLine, verdict: Verdict) -> None:
    assert "approved" not in headgate("gate", "explain", verdict.verdict_id).stdout
    headgate.json("gate", "reject", verdict.verdict_id, "--actor", "alice", "--reason", "odd")
    headgate.json("gate", "approve", verdict.verdict_id, "--actor", "alice")
    text = headgate("gate", "explain", verdict.verdict_id).stdout.splitlines()
    assert "rejected by alice (a claimed name)" in text[-2]
    assert ": odd (a-" in text[-2]
    assert "approved by alice" in text[-1]
    document = headgate.json("gate", "explain", verdict.verdict_id)
    assert list(document) == [*DOCUMENTED["verdict"], "approvals"]
    assert [each["decision"] for each in document["approvals"]] == ["reject", "approve"]


def test_what_can_not_be_promoted_can_not_be_approved(headgate: CommandLine, store: Store) -> None:
    expired = store.verdicts.record(draft(store, candidate(store), decided_at=0, expires_at=1))
    error = headgate.error("gate", "approve", expired.verdict_id, exit_code=3)
    assert (error["type"], error["remedy"]) == ("VerdictUnusable", "Decide again.")
    assert headgate.error("gate", "approve", "v-nothing")["type"] == "NotFound"
    assert headgate.error("gate", "reject", "v-nothing")["type"] == "NotFound"
