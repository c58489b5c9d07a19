"""Triggers that deployments wait with: what they match is what events say, by Prefect's own matching."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from prefect.events import Event, ResourceSpecification

from headgate.prefect.events import (
    LATE_LABEL,
    PROMOTED,
    REJECTED,
    ROLLED_BACK,
    ModelEvent,
    promotion_event,
    rejection_event,
)
from headgate.prefect.triggers import promoted, rejected
from headgate.store.entities import CheckResult, Outcome, Severity, Verdict
from headgate.store.errors import InvalidInput
from headgate.tasks.promoted import PromotedModel

PROMOTION = PromotedModel(
    promotion_id="p-1",
    kind="promote",
    model_name="churn",
    target="@champion",
    version=7,
    previous_version=6,
    sequence=3,
    model_id="m-1",
    digest="ab",
    run_id="r1",
    verdict_id="v-1",
    gate="screening",
    actor="ann",
    reason="better",
    promoted_at=1_700_000_000_000,
)


VERDICT = Verdict(
    verdict_id="v-1",
    gate_name="screening",
    gate_digest="ab",
    gate_definition={},
    outcome=Outcome.REJECT,
    model_name="churn",
    target="@champion",
    candidate_model_id="m-1",
    candidate_digest="cd",
    decided_at=1_700_000_000_000,
    expires_at=1_700_000_000_001,
    decided_by="ann",
)


def event(**changes: object) -> ModelEvent:
    return promotion_event(replace(PROMOTION, **changes), {"promotion_id": "p-1"}, "default")  # type: ignore[arg-type]


def matches(match: ResourceSpecification, said: ModelEvent) -> bool:
    whole = Event(event=said.name, resource=dict(said.resource), related=list(map(dict, said.related)))
    return match.matches(whole.resource)


def test_the_promotion_of_its_alias_fires() -> None:
    trigger = promoted("churn", alias="champion")
    assert trigger.expect == {PROMOTED, ROLLED_BACK}
    assert matches(trigger.match, event())
    assert matches(trigger.match, event(kind="roll_back", version=6, verdict_id=None))
    assert trigger.parameters == {
        "model": "{{ event.payload.model_name }}",
        "version": "{{ event.payload.version }}",
        "verdict_id": "{{ event.payload.verdict_id }}",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"model_name": "other"},
        {"target": "@shadow"},
        {"target": "stage:Production"},
        {"late": True},
        {"version": None},  # a rollback that leaves nobody there
    ],
)
def test_nothing_else_fires(changes: dict[str, object]) -> None:
    assert not matches(promoted("churn", alias="champion").match, event(**changes))


def test_any_place_stages_and_promotions_alone() -> None:
    assert matches(promoted("churn").match, event(target="@shadow"))
    assert matches(promoted("churn", stage="production").match, event(target="stage:Production"))
    assert promoted("churn", rollbacks=False).expect == {PROMOTED}
    assert promoted("churn", parameters={}).parameters == {}
    assert promoted("churn", alias="@champion").name == "churn @champion promoted"
    assert not matches(promoted("churn", workspace="team-a").match, event())


def test_rejections_have_a_trigger_of_their_own() -> None:
    trigger = rejected("churn", alias="champion")
    assert trigger.expect == {REJECTED}
    assert LATE_LABEL not in trigger.match


@pytest.mark.parametrize(
    "said", [{"alias": "champion", "stage": "Production"}, {"alias": "latest"}, {"stage": "Archived"}]
)
def test_what_no_promotion_leads_to_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        promoted("churn", **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["", "churn*", "!churn"])
def test_a_name_that_prefect_would_read_as_a_pattern_is_refused(model: str) -> None:
    with pytest.raises(InvalidInput, match="can't wait for"):
        promoted(model)


def test_the_longest_rejection_is_an_event_that_prefect_takes() -> None:
    texts = dict.fromkeys(("rule", "message", "reason"), "ψ" * 50000)
    check = CheckResult(path="all_of[0]", kind="python", outcome=Outcome.REJECT, severity=Severity.BLOCK, **texts)
    said = rejection_event(replace(VERDICT, checks=(check,) * 500))
    assert said is not None
    assert len(said.payload["checks"]) == len(said.payload["reasons"]) == 100
    assert len(json.dumps(said.payload)) < 1_500_000
    assert rejection_event(replace(VERDICT, outcome=Outcome.HOLD)) is None


def test_the_id_of_an_event_is_that_of_its_promotion() -> None:
    assert event().event_id == event(reason="other").event_id
    assert event().event_id != event(promotion_id="p-2").event_id
