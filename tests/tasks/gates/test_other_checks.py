"""Checks that are not about one metric: they pass on sound evidence only, and say why not in a sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.entities import Approval as Word
from headgate.store.entities import ApprovalDecision, Outcome
from headgate.store.errors import InvalidGate
from headgate.tasks.gates.callables import Answer, Question, ask
from headgate.tasks.gates.evidence import Evidence, FunctionAnswer, PairedFound, ValidationFound
from headgate.tasks.gates.explain import decision_json, explain
from headgate.tasks.gates.html import verdict_html
from headgate.tasks.gates.model import (
    AnyOf,
    Approval,
    Budget,
    Demand,
    Expectations,
    Freshness,
    Function,
    Gate,
    Improvement,
    Signature,
    Threshold,
)
from headgate.tasks.model_format.signature import ModelSignature
from tests.tasks.gates.cases import CANDIDATE, DAY, MINUTE, NOW, RUN, candidate, champion, gate_of, judge, point

COLUMNS = ({"type": "double", "name": "age", "required": True}, {"type": "string", "name": "site", "required": False})
SIGNATURE = ModelSignature(inputs=COLUMNS, outputs=({"type": "long", "required": True},))
VALIDATION = ValidationFound(
    "scans", "5u17e", "holdout", "feed1234", (("age", "critical", Outcome.PASS), ("site", "warning", Outcome.REJECT)),
    run_id=RUN, validated_at=NOW - MINUTE,
)  # fmt: skip


def said_by(check: Demand, evidence: Evidence, against: Evidence | None = None) -> tuple[Outcome, str]:
    (found,) = judge(gate_of(check), evidence, against).checks
    assert found.message
    return found.outcome, found.message


@pytest.mark.parametrize(
    ("limit", "size", "outcome"),
    [
        ("1kB", 1000, "pass"),
        ("1kB", 1001, "reject"),
        ("1KiB", 1, "invalid"),
        ("1 kiB", 1024, "pass"),
        (1e6, 10**6 + 1, "reject"),
        ("2GB", None, "error"),
    ],
)
def test_the_size_of_the_model_is_held_to_its_budget(limit: Any, size: int | None, outcome: str) -> None:
    if outcome == "invalid":
        with pytest.raises(InvalidGate, match="no limit of model_size"):
            Budget("model_size", at_most=limit)
        return
    assert said_by(Budget("model_size", at_most=limit), candidate(size=size))[0] == outcome


def test_the_latency_is_a_metric_with_a_unit() -> None:
    check = Budget("latency_p95", at_most="0.04s")
    assert gate_of(check).metrics == ("latency_p95_ms",)
    assert said_by(check, candidate(point("latency_p95_ms", 40.0)))[0] == "pass"
    assert said_by(check, candidate(point("latency_p95_ms", 41.0)))[0] == "reject"
    assert said_by(check, candidate())[0] == "error"


@pytest.mark.parametrize(
    ("age", "outcome"),
    [(DAY, "pass"), (7 * DAY, "pass"), (7 * DAY + 1, "reject"), (-DAY, "pass"), (-8 * DAY, "error"), (None, "error")],
)
def test_the_data_that_a_candidate_stands_for_must_be_fresh(age: int | None, outcome: str) -> None:
    evidence = candidate(logical_date=None if age is None else NOW - age)
    assert said_by(Freshness("data", max_age="7d"), evidence)[0] == outcome


def test_the_oldest_evidence_that_the_gate_reads_must_be_fresh() -> None:
    gate = gate_of(Threshold("recall", at_least=0), Threshold("f1", at_least=0), Freshness("evidence", max_age="1d"))
    fresh, old = point("recall", 1.0), point("f1", 1.0, timestamp=NOW - 2 * DAY)
    assert judge(gate, candidate(fresh, old)).outcome is Outcome.REJECT
    assert judge(gate, candidate(fresh, old, point("f1", 1.0))).outcome is Outcome.PASS
    assert judge(gate, candidate(fresh)).checks[2].outcome is Outcome.ERROR


def test_what_no_check_chooses_makes_the_evidence_no_fresher() -> None:
    gate = gate_of(Threshold("recall", at_least=0, dataset="holdout"), Freshness("evidence", max_age="7d"))
    old = point("recall", 1.0, timestamp=NOW - 60 * DAY)
    elsewhere = point("recall", 1.0, dataset_name="train", dataset_digest="beef5678")
    (_, check) = judge(gate, candidate(old, elsewhere)).checks
    assert (check.outcome, check.measured_at) == (Outcome.REJECT, NOW - 60 * DAY)
    sliced = gate_of(
        Threshold("recall", at_least=0, slices="site", dataset="holdout"), Freshness("evidence", max_age="7d")
    )
    points = [
        replace(each, key=f"recall/site:{name}") for each, name in ((old, "a"), (elsewhere, "a"), (elsewhere, "b"))
    ]
    assert judge(sliced, candidate(*points)).checks[1].outcome is Outcome.REJECT
    assert judge(sliced, candidate(*points[1:])).checks[1].outcome is Outcome.ERROR


def columns(*changes: dict[str, Any]) -> ModelSignature:
    return replace(SIGNATURE, inputs=tuple(changes))


@pytest.mark.parametrize(
    ("mine", "breaks"),
    [
        (SIGNATURE, None),
        (columns(COLUMNS[0]), None),
        (columns(*COLUMNS, {"type": "long", "name": "extra", "required": False}), None),
        (columns(*COLUMNS, {"type": "long", "name": "extra", "required": True}), "needs the input extra"),
        (columns({**COLUMNS[0], "type": "long"}, COLUMNS[1]), "takes age as long, the champion as double"),
        (columns({**COLUMNS[0], "type": "any"}, COLUMNS[1]), None),
        (columns(COLUMNS[0], {**COLUMNS[1], "required": True}), "can do without"),
        (replace(SIGNATURE, outputs=({"type": "string"},)), "gives number 1 as string"),
        (replace(SIGNATURE, outputs=None), "only the champion tells its outputs"),
        (columns({"type": "double"}), "by name, the other by position"),
    ],
)
def test_a_signature_is_compatible_when_the_champions_callers_can_stay(
    mine: ModelSignature, breaks: str | None
) -> None:
    outcome, message = said_by(Signature(), candidate(signature=mine), champion(signature=SIGNATURE))
    assert outcome == ("pass" if breaks is None else "reject")
    assert breaks is None or breaks in message


def test_an_integer_may_be_taken_as_a_wider_number_and_a_tensor_only_as_itself() -> None:
    narrow = columns({"type": "integer", "name": "age"})
    wide = columns({"type": "double", "name": "age"})
    assert said_by(Signature(), candidate(signature=wide), champion(signature=narrow))[0] == "pass"
    tensor = columns({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}})
    other = columns({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}})
    assert said_by(Signature(), candidate(signature=tensor), champion(signature=tensor))[0] == "pass"
    assert said_by(Signature(), candidate(signature=tensor), champion(signature=other))[0] == "reject"


def test_a_missing_signature_or_champion_is_no_compatibility() -> None:
    assert said_by(Signature(), candidate(), champion(signature=SIGNATURE))[0] == "error"
    assert said_by(Signature(), candidate(signature=SIGNATURE), champion())[0] == "error"
    hold = gate_of(Signature(), when_no_champion="hold")
    assert judge(hold, candidate(signature=SIGNATURE)).outcome is Outcome.HOLD
    with pytest.raises(InvalidGate, match="compares the signature"):
        gate_of(Signature(), when_no_champion=None)


def test_expectations_are_judged_at_the_severity_that_the_gate_says() -> None:
    evidence = candidate(validations=(VALIDATION,))
    assert said_by(Expectations("scans", dataset="holdout"), evidence)[0] == "pass"
    outcome, message = said_by(Expectations("scans", fail_at="warning"), evidence)
    assert (outcome, message) == ("reject", "1 of 2 expectations are not met, first site.")


@pytest.mark.parametrize(
    ("check", "validations"),
    [
        (Expectations("scans"), ()),
        (Expectations("orders"), (VALIDATION,)),
        (Expectations("scans", dataset="train"), (VALIDATION,)),
        (Expectations("scans", dataset_digest="beef"), (VALIDATION,)),
        (Expectations("scans", suite_digest="another"), (VALIDATION,)),
        (Expectations("scans", max_age="30s"), (VALIDATION,)),
        (Expectations("scans"), (replace(VALIDATION, results=()),)),
        (Expectations("scans"), (replace(VALIDATION, results=(("age", "critical", Outcome.ERROR),)),)),
        (Expectations("scans"), (VALIDATION, replace(VALIDATION, dataset_digest="other"))),
    ],
)
def test_what_was_not_validated_is_an_error(check: Expectations, validations: tuple[ValidationFound, ...]) -> None:
    assert said_by(check, candidate(validations=validations))[0] == "error"


# ---------------------------------------------------------------------------------------------------------------------
# Functions.


def fair(question: Question) -> Any:
    say = question.parameters["say"]
    if isinstance(say, str) and say.startswith("raise"):
        raise ValueError("no luck")
    if say == "value":
        return Answer("pass", actual=question.value("recall"))
    return say if say is None else Answer(say, "As I was told.", actual=question.parameters.get("actual"))


def asked(**parameters: Any) -> tuple[Outcome, str]:
    check = Function(f"{__name__}:fair", parameters=parameters)
    answer = ask(check, candidate(point("recall", 0.5)), None, model_name="m", target="@champion", now=NOW)
    return said_by(check, candidate(answers=(answer,)))


def test_a_function_answers_for_itself() -> None:
    for outcome in ("pass", "hold", "reject", "error"):
        assert asked(say=outcome) == (outcome, "As I was told.")
    assert asked(say="value")[0] == "pass"
    outcome, message = asked(say="raise")
    assert (outcome, message) == ("error", f"The function {__name__}:fair raised ValueError: no luck.")
    assert asked(say=None)[0] == "error"
    assert asked(say="maybe")[0] == "error"


@pytest.mark.parametrize("reference", ["no.such.module:f", "math:no_such", "math:pi"])
def test_a_function_that_can_not_be_called_is_an_error(reference: str) -> None:
    check = Function(reference)
    answer = ask(check, candidate(), None, model_name="m", target="@champion", now=NOW)
    assert said_by(check, candidate(answers=(answer,)))[0] == "error"


@given(st.sampled_from(list(Outcome)), st.sampled_from([math.nan, math.inf, -math.inf, 1.7976931348623157e308]))
def test_a_function_never_passes_on_a_figure_that_is_no_number(outcome: Outcome, actual: float) -> None:
    check = Function("fairness:gap")
    assert said_by(check, candidate(answers=(FunctionAnswer(check.key, outcome, actual=actual),)))[0] == "error"
    assert said_by(check, candidate(answers=()))[0] == "error"


# ---------------------------------------------------------------------------------------------------------------------
# People.

APPROVED = gate_of(Approval(quorum=2, by=("alice", "bob", "carol")))


def word(actor: str, decision: str = "approve", at: int = 1, **changes: Any) -> Word:
    facts: dict[str, Any] = {
        "approval_id": f"a-{actor}-{at}",
        "verdict_id": "v-1",
        "sequence": at,
        "decision": ApprovalDecision(decision),
        "actor": actor,
        "authenticated": True,
        "source": "cli",
        "created_at": NOW - MINUTE + at,
        "model_name": "tumor-screening",
        "target": "@champion",
        "candidate_model_id": CANDIDATE,
        "candidate_digest": "ab" * 32,
        "gate_digest": APPROVED.digest,
    }
    return Word(**{**facts, **changes})


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ([], "hold"),
        ([word("alice")], "hold"),
        ([word("alice"), word("alice", authenticated=False)], "hold"),
        ([word("alice"), word("mallory")], "hold"),
        ([word("alice"), word("Alice Smith (alice)")], "hold"),
        ([word("alice"), word("Bob Builder (bob)")], "pass"),
        ([word("alice"), word("bob"), word("Bob Builder (bob)", "reject", at=2)], "reject"),
        ([word("alice"), word("bob")], "pass"),
        ([word("alice"), word("bob"), word("carol", "reject")], "reject"),
        ([word("alice", "reject"), word("alice", at=2), word("bob")], "pass"),
        ([word("alice"), word("bob", candidate_digest="other")], "hold"),
        ([word("alice"), word("bob", gate_digest="other")], "hold"),
        ([word("alice"), word("bob", target="@other")], "hold"),
        ([word("", "timed_out")], "reject"),
        ([word("alice", at=2), word("", "timed_out", at=3)], "reject"),
        ([word("", "timed_out"), word("alice", at=2), word("bob", at=2)], "pass"),
    ],
)
def test_a_gate_holds_until_enough_people_agree(words: list[Word], outcome: str) -> None:
    assert judge(APPROVED, candidate(approvals=tuple(words))).outcome == outcome


def test_one_person_fills_no_quorum_alone_where_anybody_may_approve() -> None:
    gate = gate_of(Approval(quorum=2))
    words = tuple(word(who, gate_digest=gate.digest) for who in ("alice", "Alice Smith (alice)", "bob"))
    assert judge(gate, candidate(approvals=words[:2])).outcome is Outcome.HOLD
    assert judge(gate, candidate(approvals=words)).outcome is Outcome.PASS


def test_a_claimed_name_does_not_count_where_names_must_be_authenticated() -> None:
    gate = gate_of(Approval(authenticated=True))
    claimed = word("alice", authenticated=False, gate_digest=gate.digest)
    assert judge(gate, candidate(approvals=(claimed,))).outcome is Outcome.HOLD
    assert judge(gate, candidate(approvals=(replace(claimed, authenticated=True),))).outcome is Outcome.PASS


# ---------------------------------------------------------------------------------------------------------------------
# Paired tests.

PAIRED = PairedFound("f1", "bootstrap", True, 0.95, "feed1234", RUN, "b" * 32, rows=500, low=0.004)
MINE, THEIRS = point("f1", 0.94), point("f1", 0.93, run_id="b" * 32)


def compared(check: Improvement, *paired: PairedFound, value: float = 0.94) -> Outcome:
    evidence = candidate(replace(MINE, value=value), paired=paired)
    return judge(gate_of(check), evidence, champion(THEIRS)).outcome


def test_an_improvement_must_be_more_than_noise() -> None:
    bootstrap = Improvement("f1", test="bootstrap")
    assert compared(bootstrap, PAIRED) is Outcome.PASS
    assert compared(bootstrap, replace(PAIRED, low=-0.001)) is Outcome.REJECT
    assert compared(bootstrap, PAIRED, value=0.92) is Outcome.REJECT
    assert compared(Improvement("f1", by=0.005, test="bootstrap"), PAIRED) is Outcome.REJECT
    assert compared(Improvement("f1", by=-0.01, test="bootstrap"), replace(PAIRED, low=-0.005)) is Outcome.PASS
    mcnemar = replace(PAIRED, test="mcnemar", low=None, p_value=0.05)
    assert compared(Improvement("f1", test="mcnemar"), mcnemar) is Outcome.PASS
    assert compared(Improvement("f1", test="mcnemar"), replace(mcnemar, p_value=0.06)) is Outcome.REJECT


@pytest.mark.parametrize(
    "changes",
    [
        {"problem": "the rows of the two evaluations are not the same"},
        {"rows": 0},
        {"low": None},
        {"low": math.nan},
        {"low": math.inf},
        {"dataset_digest": "other"},
        {"candidate_run_id": "c" * 32},
        {"champion_run_id": "c" * 32},
        {"confidence": 0.9},
        {"test": "mcnemar"},
        {"metric": "recall"},
        {"higher_is_better": False},
    ],
)
def test_a_test_on_other_rows_or_without_a_number_is_an_error(changes: dict[str, Any]) -> None:
    assert compared(Improvement("f1", test="bootstrap"), replace(PAIRED, **changes)) is Outcome.ERROR


@given(st.floats())
def test_a_probability_that_is_none_never_passes(p_value: float) -> None:
    found = replace(PAIRED, test="wilcoxon", low=None, p_value=p_value)
    outcome = compared(Improvement("f1", test="wilcoxon"), found)
    assert outcome is (Outcome.ERROR if not 0 <= p_value <= 1 else outcome)
    assert (outcome is Outcome.PASS) == (0 <= p_value <= 0.05)


@pytest.mark.parametrize(
    "arguments",
    [
        {"test": "t-test"},
        {"confidence": 0.9},
        {"test": "bootstrap", "confidence": 1},
        {"test": "mcnemar", "by": -0.1},
        {"test": "bootstrap", "slices": "site"},
    ],
)
def test_a_test_without_a_meaning_is_no_check(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidGate):
        Improvement("f1", **arguments)


# ---------------------------------------------------------------------------------------------------------------------
# Errors, owners, forms.


@given(st.sampled_from(["error", "hold", "reject", None]), st.sampled_from(["error", "hold", "reject", None]))
def test_an_error_answers_what_the_check_or_the_gate_says_and_never_pass(mine: str | None, gates: str | None) -> None:
    gate = gate_of(Threshold("recall", at_least=0.9, on_error=mine), on_error=gates)
    verdict = judge(gate, candidate(point("recall", math.nan)))
    assert verdict.outcome == (mine or gates or "error")
    with pytest.raises(InvalidGate, match="on_error must be"):
        gate_of(Threshold("recall", at_least=0.9), on_error="pass")


def test_a_rejected_error_leaves_another_alternative_to_pass() -> None:
    gate = Gate("g", AnyOf([Threshold("recall", at_least=0.9, on_error="reject"), Threshold("f1", at_least=0.5)]))
    assert judge(gate, candidate(point("f1", 0.6))).outcome is Outcome.PASS


def test_the_record_says_whose_a_check_is_and_why_it_exists() -> None:
    check = Threshold("recall", at_least=0.9, owner="clinic <b>", reason="Missed tumours\n cost lives.")
    verdict = judge(gate_of(check), candidate(point("recall", 0.95)))
    assert (verdict.checks[0].owner, verdict.checks[0].reason) == ("clinic <b>", "Missed tumours cost lives.")
    assert any("Why: Missed tumours cost lives. Owner: clinic <b>." in line for line in explain(verdict))
    page = verdict_html(verdict)
    assert "Owner: clinic &lt;b&gt;." in page
    assert not [part for part in ("<script", "<link", "src=", "http") if part in page]


def test_a_decision_is_the_same_whoever_asks_and_whenever() -> None:
    gate = gate_of(Threshold("recall", at_least=0.9))
    one, other = (judge(gate, candidate(point("recall", 0.95)), now=now) for now in (NOW, NOW + DAY))
    assert one != other
    assert decision_json(one) == decision_json(other)
