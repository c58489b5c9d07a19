"""Deciding, promoting, registering and rolling back in real flows, and what is not done twice."""

from __future__ import annotations

import pytest
from prefect import flow, task

from headgate.prefect import decide_gate, promote_model, register_model, roll_back_model
from headgate.store import Store
from headgate.store.clock import now_ms
from headgate.store.entities import LoggedModelStatus
from headgate.store.errors import GateErrored, GateRejected, InvalidInput, OlderThanChampion
from tests.plugin.prefect.projects import GATE, measured

pytestmark = pytest.mark.usefixtures("prefect_server")
NAME = "screening"


def holder(store: Store) -> str | None:
    found = store.promotions.holder(NAME, "@champion")
    return None if found is None else found.model_id


@flow
def promoting(candidate: str, **options: object):
    return promote_model(candidate, gate=GATE, model_name=NAME, **options)


def test_a_candidate_that_passes_is_promoted(store: Store) -> None:
    candidate = measured(store, 0.8)

    @flow
    def two_steps():
        verdict = decide_gate(GATE, model_name=NAME, candidate=candidate)
        return verdict, promote_model(verdict=verdict, candidate=candidate, model_name=NAME)

    verdict, promotion = two_steps()
    assert (verdict.outcome, promotion.verdict_id, promotion.to_version) == ("pass", verdict.verdict_id, 1)
    assert (holder(store), promotion.actor) == (candidate, "prefect:two-steps")
    assert promotion.reason.startswith("Prefect flow run ")


def test_a_no_raises_and_spends_no_retry(store: Store) -> None:
    better, worse = measured(store, 0.9), measured(store, 0.7)
    promoting(better)
    tries = []

    @flow
    def retried():
        gate = decide_gate.with_options(retries=3, on_running=[lambda *_: tries.append(1)])
        gate(GATE, model_name=NAME, candidate=worse)

    with pytest.raises(GateRejected) as no:
        retried()
    assert (len(tries), store.verdicts.get(no.value.verdict_id).outcome) == (1, "reject")
    with pytest.raises(GateRejected):
        promoting(worse)
    with pytest.raises(GateErrored):
        promoting(unmeasured(store))
    assert holder(store) == better


def unmeasured(store: Store) -> str:
    model = store.logged_models.create("0", now=now_ms())
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="cd" * 32, now=now_ms())
    return model.model_id


def test_older_data_never_displace_a_newer_champion(store: Store) -> None:
    newer, older = measured(store, 0.6, date=2_000), measured(store, 0.9, date=1_000)
    promoting(newer)
    with pytest.raises(OlderThanChampion):
        promoting(older)
    promoting(older, allow_older=True)
    assert holder(store) == older


def test_a_flow_that_runs_again_promotes_and_rolls_back_once(store: Store) -> None:
    first, second = measured(store, 0.6), measured(store, 0.8)
    promoting(first)
    failures = [True]

    @task
    def announce():
        if failures:
            failures.clear()
            raise RuntimeError("nobody heard it")

    @flow(retries=1)
    def careful():
        promoted = promote_model(second, gate=GATE, model_name=NAME)
        back = roll_back_model(NAME)
        announce()
        return promoted, back

    promoted, back = careful()
    assert (promoted.to_version, back.to_version, holder(store)) == (2, 1, first)
    assert sorted(event.sequence for event in store.promotions.history(NAME, "@champion")) == [1, 2, 3]


def test_a_model_is_one_version_however_often_it_is_registered(store: Store) -> None:
    model = measured(store, 0.6)

    @flow
    def registering():
        return [register_model(model, NAME, tags={"from": "a flow"}) for _ in range(2)]

    versions = registering()
    assert [(version.version, version.model_id) for version in versions] == [(1, model)] * 2


def test_what_can_not_be_meant_is_said(store: Store) -> None:
    @flow
    def wrong(**options: object):
        promote_model(**options)

    for options in ({}, {"gate": GATE, "verdict": "v"}, {"gate": GATE, "model_name": NAME}):
        with pytest.raises(InvalidInput, match="promote_model has"):
            wrong(**options)
