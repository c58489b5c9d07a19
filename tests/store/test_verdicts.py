"""Verdicts: written once with their checks, read back as they were, found by model, candidate and run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from headgate.store.deliveries import Claim
from headgate.store.entities import CheckResult, Outcome, Severity, Verdict
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.verdicts import VERDICT_TOPIC
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.gates.evidence import Evidence
from headgate.tasks.gates.explain import verdict_json
from headgate.tasks.gates.model import AllOf, Gate, Improvement, Threshold
from tests.store.promotion_cases import CHAMPION, DAY, DEFINITION, MODEL, NOW, PASSED, candidate, draft
from tests.tasks.gates.cases import candidate as case_candidate
from tests.tasks.gates.cases import candidates, champions, gates, judge

BROKEN = CheckResult(
    path="all_of[1].any_of[0]",
    kind="improvement",
    rule="f1 >= champion + 1% on größer",
    outcome=Outcome.ERROR,
    severity=Severity.WARN,
    metric="f1",
    threshold=1e-7,
    actual=math.nan,
    champion_value=-math.inf,
    dataset_name="größer",
    dataset_digest="ab12",
    message="The candidate's f1 is NaN. \N{WARNING SIGN}",
)
BARE = CheckResult(path="all_of[2]", kind="approval", rule="somebody approves", outcome=Outcome.PASS)


def test_a_verdict_is_read_back_as_it_was_recorded(store: Store) -> None:
    checks = (PASSED, BROKEN, BARE, *(replace(PASSED, path=f"all_of[{n}]") for n in range(3, 15)))
    model = candidate(store)
    verdict = draft(store, model, checks=checks, candidate_logical_date=NOW - DAY, run_id="b" * 32, champion_version=7)
    recorded = store.verdicts.record(verdict)
    assert recorded == verdict
    assert store.verdicts.get(verdict.verdict_id) == verdict


def test_recording_twice_is_recording_once(store: Store) -> None:
    verdict = draft(store, candidate(store), checks=(PASSED, BROKEN))
    store.verdicts.record(verdict)
    assert store.verdicts.record(replace(verdict, checks=(PASSED, replace(BROKEN, actual=float("nan"))))) == verdict
    assert len(store.verdicts.search(MODEL).items) == 1


def test_recording_again_says_by_whom_it_was_used(store: Store) -> None:
    verdict = store.verdicts.record(draft(store, candidate(store)))
    promotion = store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW)
    assert store.verdicts.record(verdict).used_by == promotion.promotion_id


def test_a_used_mark_is_not_recorded_from_outside(store: Store) -> None:
    verdict = draft(store, candidate(store), used_by="p-of-nobody")
    assert store.verdicts.record(verdict).used_by is None
    assert store.verdicts.get(verdict.verdict_id).used_by is None


def test_a_rejection_is_told_once_by_whoever_claimed_it_with_the_verdict(store: Store) -> None:
    rejects = draft(store, candidate(store), outcome=Outcome.REJECT)
    for _ in range(2):
        store.verdicts.record(rejects, tells=True, claim=Claim("prefect", "flow-run:1", NOW + 1000))
    (event,) = store.outbox.read(topics=[VERDICT_TOPIC])
    assert (event.event_id, event.model_name) == (rejects.verdict_id, MODEL)
    assert (event.payload["outcome"], event.payload["candidate_model_id"]) == ("reject", rejects.candidate_model_id)
    (delivery,) = store.deliveries.due("prefect", now=NOW + 1000)
    assert (delivery.event, delivery.owner) == (event, "flow-run:1")


def test_what_does_not_reject_is_told_to_nobody(store: Store) -> None:
    rejects = {"outcome": Outcome.REJECT}
    store.verdicts.record(draft(store, candidate(store)), tells=True)
    store.verdicts.record(draft(store, candidate(store), **rejects, shadow=True), tells=True)
    store.verdicts.record(draft(store, candidate(store), **rejects))  # a watch's judgement: its rollback is told
    assert store.outbox.read() == ()


@pytest.mark.parametrize("change", [{"outcome": Outcome.HOLD}, {"checks": (BARE,)}, {"decided_by": "mallory"}])
def test_a_verdict_is_never_rewritten(store: Store, change: dict[str, Any]) -> None:
    verdict = store.verdicts.record(draft(store, candidate(store)))
    with pytest.raises(AlreadyExists, match="another verdict"):
        store.verdicts.record(replace(verdict, **change))
    assert store.verdicts.get(verdict.verdict_id) == verdict


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"workspace": "other"}, "workspace"),
        ({"target": "champion"}, "not the target of a promotion"),
        ({"target": "stage:production"}, "canonical"),
        ({"model_name": "a/b"}, "Invalid model name"),
        ({"gate_digest": "00"}, "gate digest"),
        ({"gate_definition": {**DEFINITION, "more": math.nan}, "gate_digest": "00"}, "gate digest"),
        ({"checks": ()}, "without a sound blocking check"),
        ({"checks": (replace(PASSED, severity=Severity.WARN),)}, "without a sound blocking check"),
        ({"checks": (PASSED, replace(PASSED, outcome=Outcome.ERROR))}, "without a sound blocking check"),
        ({"expires_at": NOW - 1}, "expires before"),
        ({"decided_by": "x" * 257}, "257 characters"),
        ({"gate_name": "x" * 251}, "251 characters"),
        ({"checks": (replace(PASSED, metric="x" * 251),)}, "251 characters"),
        ({"checks": (replace(PASSED, message="\0"),)}, "can't store"),
    ],
)
def test_a_verdict_that_contradicts_itself_is_refused(sqlite_store: Store, change: dict[str, Any], says: str) -> None:
    verdict = replace(draft(sqlite_store, candidate(sqlite_store)), **change)
    with pytest.raises(InvalidInput, match=says):
        sqlite_store.verdicts.record(verdict)
    assert sqlite_store.verdicts.search(run_id=None, candidate_model_id=verdict.candidate_model_id).items == ()


@given(gate=gates, evidence=candidates, against=champions)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_decided_verdict_is_read_back_byte_for_byte(
    store: Store, gate: Gate, evidence: Evidence, against: Evidence | None
) -> None:
    decided = judge(gate, evidence, against)
    assert verdict_json(store.verdicts.record(decided)) == verdict_json(decided)
    assert verdict_json(store.verdicts.get(decided.verdict_id)) == verdict_json(decided)


@pytest.mark.parametrize("number", [1e16, 1.7e308, 123456789012345680.0, 1e-7, 5e-324, 1.0, -0.0, 0.1 + 0.2])
def test_every_number_of_a_definition_is_read_back_byte_for_byte(store: Store, number: float) -> None:
    gate = Gate("g", AllOf([Threshold("m", at_least=number), Improvement("m", by=-number)]), when_no_champion="hold")
    decided = judge(gate, case_candidate())
    store.verdicts.record(decided)
    assert verdict_json(store.verdicts.get(decided.verdict_id)) == verdict_json(decided)
    assert gate_from_definition(store.verdicts.get(decided.verdict_id).gate_definition).digest == gate.digest


def test_a_verdict_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="v-none") as caught:
        store.verdicts.get("v-none")
    assert (caught.value.kind, caught.value.key) == ("verdict", "v-none")


def test_a_workspace_does_not_see_the_verdicts_of_another(sqlite_store: Store) -> None:
    verdict = sqlite_store.verdicts.record(draft(sqlite_store, candidate(sqlite_store)))
    with open_store(sqlite_store.url, settings=Settings(workspace="other")) as other:
        with pytest.raises(NotFound):
            other.verdicts.get(verdict.verdict_id)
        with pytest.raises(AlreadyExists):
            other.verdicts.record(replace(verdict, workspace="other"))


@pytest.fixture
def recorded(store: Store) -> list[Verdict]:
    """Nine verdicts, three of them at the same time, the newest first."""
    models = [candidate(store) for _ in range(3)]
    verdicts = []
    for number in range(9):
        verdict = draft(
            store,
            models[number % 3],
            decided_at=NOW + min(number, 6),
            outcome=Outcome.REJECT if number % 2 else Outcome.PASS,
            target=CHAMPION if number < 8 else "stage:Production",
            run_id=f"{number}" * 32,
            checks=(PASSED, BROKEN),
        )
        verdicts.append(store.verdicts.record(verdict))
    store.verdicts.record(draft(store, models[0], model_name="another"))
    return sorted(verdicts, key=lambda v: (v.decided_at, v.verdict_id), reverse=True)


def test_verdicts_are_found_the_newest_first(store: Store, recorded: list[Verdict]) -> None:
    search = store.verdicts.search
    assert list(search(MODEL).items) == recorded
    assert list(search(MODEL, outcome=Outcome.REJECT).items) == [v for v in recorded if v.outcome == "reject"]
    assert list(search(MODEL, target="stage:production").items) == [v for v in recorded if v.target != CHAMPION]
    assert list(search(run_id="4" * 32).items) == [v for v in recorded if v.run_id == "4" * 32]
    model_id = recorded[0].candidate_model_id
    found = search(MODEL, candidate_model_id=model_id).items
    assert list(found) == [v for v in recorded if v.candidate_model_id == model_id]
    assert search("nothing").items == ()


@pytest.mark.parametrize("size", [1, 2, 4, 8, 9, 10])
def test_pages_join_to_the_whole(store: Store, recorded: list[Verdict], size: int) -> None:
    found: list[Verdict] = []
    token = None
    while True:
        page = store.verdicts.search(MODEL, max_results=size, page_token=token)
        assert len(page.items) <= size
        found += page.items
        token = page.next_page_token
        if token is None:
            break
    assert found == recorded


@pytest.mark.parametrize(
    "arguments",
    [{}, {"outcome": Outcome.PASS}, {"model_name": MODEL, "max_results": 0}, {"model_name": MODEL, "max_results": 1001}]
    + [{"model_name": MODEL, "page_token": token} for token in ("x", "1", ":", "a:b")],
)
def test_a_search_that_can_not_be_answered_is_refused(sqlite_store: Store, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        sqlite_store.verdicts.search(**arguments)
