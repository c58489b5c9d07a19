"""A verdict as Markdown: for the dialog that asks somebody to approve, and for pages that take Markdown.

Tables are GitHub's, as the orchestrators' interfaces render them. Every text out of the records is escaped: a dataset's
name or a gate's rule is shown, never interpreted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headgate.store.entities import CheckResult, Outcome, Severity, Verdict
from headgate.tasks.gates.explain import because_words, time_text
from headgate.tasks.gates.values import plain

_SHOWN_DIGEST = 12
_SHOWN_CHECKS = 100
_SPECIAL = re.compile(r"([\\`*_\[\]<|~])")
_MARKS = {Outcome.PASS: "✅", Outcome.HOLD: "⏸️", Outcome.REJECT: "❌", Outcome.ERROR: "⚠️"}
_COLUMNS = ("", "Check", "Demanded", "Measured", "Margin", "Champion", "Data", "Why")


def verdict_markdown(verdict: Verdict) -> str:
    """Return what was decided on what, and each check with its figures: two tables, without a heading."""
    champion = "none"
    if verdict.champion_version is not None:
        model = f" ({verdict.champion_model_id})" if verdict.champion_model_id is not None else ""
        champion = f"version {verdict.champion_version}{model}"
    by = f" by {escaped(verdict.decided_by)}" if verdict.decided_by else ""
    facts = [
        (
            "Verdict",
            f"**{verdict.outcome.upper()}** {verdict.verdict_id}{' (shadow: it only watches)' * verdict.shadow}",
        ),
        ("Model", f"{escaped(verdict.model_name)} {escaped(verdict.target)}"),
        ("Candidate", f"{escaped(verdict.candidate_model_id)}, {_digest('files', verdict.candidate_digest)}"),
        ("Champion", escaped(champion)),
        ("Gate", f"{escaped(verdict.gate_name)}, {_digest('definition', verdict.gate_digest)}"),
        ("Decided", f"{time_text(verdict.decided_at)}{by}"),
        ("Expires", time_text(verdict.expires_at)),
    ]
    shown = verdict.checks[:_SHOWN_CHECKS]
    more = len(verdict.checks) - len(shown)
    checks = _table(_COLUMNS, (_check_row(check) for check in shown))
    return "\n".join([*_table(("", ""), facts), "", *checks, *([f"\nAnd {more} more checks."] if more else [])])


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;")


def _check_row(check: CheckResult) -> tuple[str, ...]:
    warning = " (warning only)" if check.severity is Severity.WARN else ""
    data = " ".join(filter(None, (check.dataset_name, (check.dataset_digest or "")[:_SHOWN_DIGEST])))
    return (
        _MARKS[check.outcome],
        f"{escaped(check.rule)}{warning}",
        _number(check.threshold),
        _number(check.actual),
        "" if check.margin is None else f"{check.margin:+.6g}",
        _number(check.champion_value),
        escaped(data),
        escaped(f"{check.message}{because_words(check)}"),
    )


def _number(value: float | None) -> str:
    return "" if value is None else plain(float(value))


def _digest(of: str, digest: str | None) -> str:
    return f"{of} unknown" if digest is None else f"{of} `{digest[:_SHOWN_DIGEST]}`"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [line(columns), line(["---"] * len(columns)), *map(line, rows)]
