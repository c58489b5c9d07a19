"""A verdict as one HTML page that needs nothing else: an artifact, a mail's attachment."""

from __future__ import annotations

from html import escape

from headgate.store.entities import CheckResult, Outcome, Severity, Verdict
from headgate.tasks.gates.explain import because_words, time_text
from headgate.tasks.gates.values import plain

_COLORS = {Outcome.PASS: "#1a7f37", Outcome.HOLD: "#9a6700", Outcome.REJECT: "#cf222e", Outcome.ERROR: "#8250df"}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1f2328; }
h1 { font-size: 1.4rem; } dt { color: #59636e; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid #d1d9e0; padding: .4rem .5rem; }
th, td { text-align: left; vertical-align: top; } .n { text-align: right; font-variant-numeric: tabular-nums; }
.m { color: #59636e; font-size: .85em; overflow-wrap: anywhere; } b { text-transform: uppercase; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; } th, td { border-color: #3d444d; } }
"""
_HEAD = ("Says", "Rule", "Demanded", "Measured", "Margin", "Champion", "Measured on", "Why")
_FIGURES = ("Demanded", "Measured", "Margin", "Champion")


def verdict_html(verdict: Verdict) -> str:
    """Return a verdict with every check as a page. It loads nothing, and shows every text as it is."""
    title = f"Gate {verdict.gate_name}: {verdict.outcome}"
    champion = "none" if verdict.champion_version is None else f"version {verdict.champion_version}"
    facts = {
        "Verdict": f"{verdict.verdict_id}{', in shadow mode: it only watches' * verdict.shadow}",
        "Model": f"{verdict.model_name} {verdict.target}",
        "Candidate": f"{verdict.candidate_model_id}, files {verdict.candidate_digest or 'kept elsewhere'}",
        "Champion": champion,
        "Gate": f"{verdict.gate_name}, definition {verdict.gate_digest}",
        "Decided": f"{time_text(verdict.decided_at)}{f' by {verdict.decided_by}' if verdict.decided_by else ''}",
        "Expires": time_text(verdict.expires_at),
    }
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    head = "".join(f"<th{_class(name)}>{name}</th>" for name in _HEAD)
    rows = "\n".join(_row(check) for check in verdict.checks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>'
        f"<h1>{_outcome(verdict.outcome)} Gate {escape(verdict.gate_name)}</h1>\n<dl>{told}</dl>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></body></html>\n"
    )


def _row(check: CheckResult) -> str:
    warning = ' <span class="m">warning only</span>' if check.severity is Severity.WARN else ""
    at = None if check.measured_at is None else time_text(check.measured_at)
    run = None if check.run_id is None else f"run {check.run_id}"
    source = ", ".join(filter(None, (check.dataset_name, check.dataset_digest, run, at)))
    margin = "" if check.margin is None else f"{check.margin:+.6g}"
    cells = (
        f"<td>{_outcome(check.outcome)}{warning}</td>",
        f'<td>{escape(check.rule)}<br><span class="m">{escape(check.path)}</span></td>',
        *(f'<td class="n">{_number(value)}</td>' for value in (check.threshold, check.actual)),
        f'<td class="n">{margin}</td><td class="n">{_number(check.champion_value)}</td>',
        f'<td class="m">{escape(source)}</td>',
        f"<td>{escape(check.message)}{escape(because_words(check))}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _outcome(outcome: Outcome) -> str:
    return f'<b style="color: {_COLORS[outcome]}">{outcome}</b>'


def _number(value: float | None) -> str:
    return "" if value is None else plain(float(value))


def _class(name: str) -> str:
    return ' class="n"' if name in _FIGURES else ""
