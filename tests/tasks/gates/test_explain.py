"""A verdict in words."""

from __future__ import annotations

import math
from dataclasses import replace

from headgate.store.entities import Outcome
from headgate.tasks.gates.explain import explain, failures, verdict_json, warnings
from headgate.tasks.gates.model import AnyOf, Improvement, Threshold
from tests.tasks.gates.cases import CANDIDATE, RUN, candidate, champion, gate_of, judge, point

GATE = gate_of(
    Threshold("recall", at_least=0.95, dataset="holdout"),
    Improvement("f1", by=0.002, severity="warn"),
    AnyOf([Threshold("loss", below=0.1), Threshold("auc", above=0.9)]),
)


def test_the_lines_say_what_was_decided_and_why() -> None:
    evidence = candidate(point("recall", 0.91), point("f1", math.nan), point("loss", 0.05), point("auc", 0.95))
    verdict = replace(judge(GATE, evidence, champion(point("f1", 0.9))), verdict_id="v-1")
    source = f"dataset holdout, digest feed1234, run {RUN}, at 2027-01-15 07:59:00 UTC"
    assert explain(verdict) == (
        f"REJECT: gate tumor-screening on {CANDIDATE} for tumor-screening @champion",
        "  verdict v-1, decided 2027-01-15 08:00:00 UTC, expires 2027-01-16 08:00:00 UTC",
        "  champion: version 3",
        "  [reject] recall >= 0.95 on holdout: recall is 0.91, which does not meet the rule.",
        f"           demanded 0.95, measured 0.91, margin -0.04, {source}",
        "  [ error] f1 >= champion + 0.002 (warning only): The candidate's f1 is NaN.",
        f"           measured nan, {source}",
        "  [  pass] loss < 0.1: loss is 0.05, which meets the rule.",
        f"           demanded 0.1, measured 0.05, margin -0.05, {source}",
        "  [  pass] auc > 0.9: auc is 0.95, which meets the rule.",
        f"           demanded 0.9, measured 0.95, margin 0.05, {source}",
    )


def test_a_used_verdict_names_its_promotion_and_a_missing_champion_is_said() -> None:
    verdict = replace(judge(gate_of(Threshold("recall", above=0)), candidate(point("recall", 1))), used_by="p-1")
    assert "  champion: none" in explain(verdict)
    assert "  used by promotion p-1" in explain(verdict)


def test_a_timestamp_that_is_no_date_is_still_shown() -> None:
    verdict = judge(gate_of(Threshold("recall", above=0)), candidate(point("recall", 1, timestamp=10**18)))
    assert any("at 1000000000000000000 ms" in line for line in explain(verdict))


def test_failures_are_the_blocking_checks_that_did_not_pass_errors_first() -> None:
    verdict = judge(GATE, candidate(point("recall", 0.91), point("f1", 0.1), point("loss", 0.5)), champion())
    assert verdict.outcome is Outcome.ERROR
    assert [(check.metric, check.outcome) for check in failures(verdict)] == [
        ("auc", "error"),
        ("recall", "reject"),
        ("loss", "reject"),
    ]
    assert [(check.metric, check.outcome) for check in warnings(verdict)] == [("f1", "error")]


def test_a_measured_nan_stands_in_the_json_as_text() -> None:
    verdict = judge(GATE, candidate(point("recall", math.nan), point("f1", -math.inf)))
    assert '"actual":"NaN"' in verdict_json(verdict)
    assert '"actual":"-Infinity"' in verdict_json(verdict)
