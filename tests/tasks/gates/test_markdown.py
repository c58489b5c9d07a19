"""A verdict as Markdown."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from headgate.store.entities import CheckResult, Outcome, Severity, Verdict
from headgate.tasks.gates.markdown import escaped, verdict_markdown
from headgate.tasks.gates.model import Improvement, Threshold
from headgate.tasks.gates.values import margin_of
from tests.tasks.gates.cases import candidate, champion, gate_of, judge, point

GATE = gate_of(Threshold("recall", at_least=0.95, dataset="holdout"), Improvement("f1", by=0.002, severity="warn"))


def verdict() -> Verdict:
    return judge(GATE, candidate(point("recall", 0.97), point("f1", 0.93)), champion(point("f1", 0.95)))


def test_the_facts_come_first_and_then_a_row_for_each_check() -> None:
    decided = verdict()
    text = verdict_markdown(decided)
    assert f"| Verdict | **PASS** {decided.verdict_id} |" in text
    assert f"| Gate | tumor-screening, definition `{decided.gate_digest[:12]}` |" in text
    assert "| Champion | version 3 (m-dddd" in text
    checks = [line for line in text.splitlines() if "recall" in line or "f1" in line]
    assert "✅ | recall >= 0.95 on holdout | 0.95 | 0.97 | +0.02 |" in checks[0]
    assert "❌" in checks[1]
    assert "(warning only)" in checks[1]
    assert "| -0.022 | 0.95 |" in checks[1]


def with_check(**changes: object) -> str:
    check = CheckResult("all_of[0]", "threshold", "recall >= 0.95", Outcome.PASS, threshold=0.95, actual=0.97)
    check = replace(check, **changes)
    check = replace(check, margin=margin_of(check.actual, check.threshold))
    return verdict_markdown(replace(verdict(), checks=(check,)))


@pytest.mark.parametrize(
    ("threshold", "actual", "shown"),
    [
        (0.95, 0.95, "+0"),
        (0.93, 0.95, "+0.02"),
        (0.3, 0.1, "-0.2"),
        (None, 0.9, ""),
        (0.9, None, ""),
        (0.9, math.nan, ""),
        (0.9, math.inf, ""),
        (1e300, -1e300, "-2e+300"),
        (1.7e308, -1.7e308, ""),
    ],
)
def test_the_margin_is_the_decimal_that_people_would_write(
    threshold: float | None, actual: float | None, shown: str
) -> None:
    assert with_check(threshold=threshold, actual=actual).splitlines()[-1].split("|")[5].strip() == shown


def test_what_was_found_and_why_it_is_asked_are_sentences_of_their_own() -> None:
    row = with_check(message="It is met.", reason="Nobody may be missed", owner="clinic").splitlines()[-1]
    assert row.endswith("| It is met. Why: Nobody may be missed. Owner: clinic. |")


def test_texts_of_the_records_are_shown_and_not_interpreted() -> None:
    text = with_check(rule="a|b <img src=x> [x](y) **b**\n| c", dataset_name="`d`", message="1 & 2 &lt; _3_ ~4~ \\")
    line = text.splitlines()[-1]
    assert r"a\|b \<img src=x> \[x\](y) \*\*b\*\* \| c" in line
    assert r"\`d\`" in line
    assert r"1 &amp; 2 &amp;lt; \_3\_ \~4\~ \\" in line


def test_what_is_unknown_is_left_empty() -> None:
    text = verdict_markdown(replace(verdict(), champion_version=None, candidate_digest=None, decided_by="", checks=()))
    assert "| Champion | none |" in text
    assert "files unknown" in text
    assert " by " not in text


def test_very_many_checks_are_cut() -> None:
    check = CheckResult("all_of[0]", "threshold", "r >= 1", Outcome.PASS, Severity.BLOCK)
    text = verdict_markdown(replace(verdict(), checks=(check,) * 130))
    assert text.count("r >= 1") == 100
    assert text.endswith("And 30 more checks.")


def test_escaped_is_one_line() -> None:
    assert escaped(" a\n\tb ") == "a b"
