"""Gates as objects: what is refused, the canonical definition, the digest, the rules in words."""

from __future__ import annotations

import json
import math
import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.gates.model import AllOf, AnyOf, Gate, Improvement, Threshold
from tests.tasks.gates.cases import gates

RECALL = Threshold("recall", at_least=0.95)
BETTER = Improvement("f1", by=0.002)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Threshold("recall"), "has none of them"),
        (lambda: Threshold("recall", at_least=0.9, below=1.0), "at_least and below"),
        (lambda: Threshold("recall", at_least=math.nan), "finite number"),
        (lambda: Threshold("recall", at_least=math.inf), "finite number"),
        (lambda: Threshold("recall", at_least=10**400), "finite number"),
        (lambda: Threshold("recall", at_least=True), "must be a number"),
        (lambda: Threshold("recall", at_least="0.9"), "must be a number"),
        (lambda: Threshold("", at_least=0.9), "metric must be a text"),
        (lambda: Threshold("re\ncall", at_least=0.9), "metric must be a text"),
        (lambda: Threshold("recall", at_least=0.9, dataset=7), "dataset must be a text"),
        (lambda: Threshold("recall", at_least=0.9, severity="fatal"), "block or warn"),
        (lambda: Improvement("f1", by="one percent"), "number or a percentage"),
        (lambda: Improvement("f1", by="1e999%"), "finite"),
        (lambda: Improvement("f1", by=math.nan), "finite"),
        (lambda: Improvement("f1", higher_is_better="no"), "true or false"),
        (lambda: AllOf([]), "no check that can block"),
        (lambda: AnyOf([Threshold("recall", at_least=0.9, severity="warn")]), "no check that can block"),
        (lambda: AllOf([RECALL, "f1"]), "not a check"),
        (lambda: Gate("g", RECALL), "must be one group"),
        (lambda: Gate("", AllOf([RECALL])), "name must be a text"),
        (lambda: Gate("g", AllOf([RECALL, AnyOf([BETTER])])), "when there is none"),
        (lambda: Gate("g", AllOf([BETTER]), when_no_champion="maybe"), "pass, hold or reject"),
        (lambda: Gate("g", AllOf([RECALL]), expires_after="soon"), "expires_after must be a duration"),
        (lambda: Gate("g", AllOf([RECALL]), expires_after="0h"), "between 1 second"),
        (lambda: Gate("g", AllOf([RECALL]), expires_after="99999d"), "10 years"),
        (lambda: Gate("g", AllOf([RECALL]), max_age=timedelta(milliseconds=5)), "max_age must be a duration"),
        (lambda: Gate("g", AllOf([RECALL] * 501)), "more than 500"),
    ],
)
def test_what_cannot_decide_is_refused(build: Any, says: str) -> None:
    with pytest.raises(InvalidGate, match=says) as caught:
        build()
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_gate_of_too_many_nested_groups_is_refused_without_exhausting_the_stack() -> None:
    nested = AllOf([RECALL])
    for _ in range(5000):
        nested = AllOf([nested])
    with pytest.raises(InvalidGate, match="within one another"):
        Gate("g", nested)


@pytest.mark.parametrize(
    ("check", "rule"),
    [
        (Threshold("recall", at_least=0.95, dataset="holdout"), "recall >= 0.95 on holdout"),
        (Threshold("loss", at_most=1, dataset_digest="ab12"), "loss <= 1 (digest ab12)"),
        (Threshold("auc", above=0.5), "auc > 0.5"),
        (Threshold("mae", below=3), "mae < 3"),
        (Improvement("f1"), "f1 > champion"),
        (Improvement("f1", by=0), "f1 >= champion"),
        (Improvement("f1", by=0.002, dataset="holdout"), "f1 >= champion + 0.002 on holdout"),
        (Improvement("f1", by=-0.01), "f1 >= champion - 0.01"),
        (Improvement("f1", by="1.0 %"), "f1 >= champion + 1%"),
        (Improvement("rmse", by="-0.5%", higher_is_better=False), "rmse <= champion + 0.5%"),
        (Improvement("rmse", by=2, higher_is_better=False), "rmse <= champion - 2"),
        (Improvement("rmse", higher_is_better=False), "rmse < champion"),
    ],
)
def test_rules_read_as_people_write_them(check: Threshold | Improvement, rule: str) -> None:
    assert check.rule == rule


def test_the_definition_says_every_default() -> None:
    gate = Gate("g", AllOf([RECALL, AnyOf([BETTER])]), when_no_champion="hold", max_age=timedelta(days=7))
    assert gate.definition() == {
        "name": "g",
        "expires_after": "1d",
        "when_no_champion": "hold",
        "max_age": "7d",
        "checks": {
            "all_of": [
                {"metric": "recall", "at_least": 0.95, "severity": "block"},
                {
                    "any_of": [
                        {
                            "metric": "f1",
                            "improves_on": "champion",
                            "by": 0.002,
                            "higher_is_better": True,
                            "severity": "block",
                        }
                    ]
                },
            ]
        },
    }
    assert gate.expires_after_ms == 86_400_000
    assert gate.max_age_ms == 7 * 86_400_000
    assert gate.metrics == ("f1", "recall")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Threshold("m", at_least=1), Threshold("m", at_least=1.0, severity="block")),
        (Threshold("m", at_least=-0.0), Threshold("m", at_least=0)),
        (Improvement("m", by="1%"), Improvement("m", by=" +1.00 % ", higher_is_better=True)),
    ],
)
def test_the_same_demand_has_the_same_digest(one: Threshold | Improvement, other: Threshold | Improvement) -> None:
    first, second = (Gate("g", AllOf([check]), when_no_champion="hold") for check in (one, other))
    assert first == second
    assert first.digest == second.digest
    assert json.dumps(first.definition()) == json.dumps(second.definition())


def test_another_demand_has_another_digest() -> None:
    assert Gate("g", AllOf([RECALL])).digest != Gate("g", AnyOf([RECALL])).digest
    assert Gate("g", AllOf([RECALL])).digest != Gate("g", AllOf([RECALL]), expires_after="25h").digest


@given(gates)
def test_definitions_round_trip(gate: Gate) -> None:
    again = gate_from_definition(json.loads(json.dumps(gate.definition(), allow_nan=False)))
    assert again == gate
    assert again.digest == gate.digest


@given(gates)
def test_gates_survive_pickling(gate: Gate) -> None:
    assert pickle.loads(pickle.dumps(gate)) == gate
