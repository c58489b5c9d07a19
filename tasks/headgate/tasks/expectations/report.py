"""A validation as one HTML page that needs nothing else: no script, no style and no image from elsewhere."""

from __future__ import annotations

from html import escape

from headgate.store.canonical import canonical_json, to_plain
from headgate.store.clock import iso_date
from headgate.store.entities import Outcome
from headgate.tasks.expectations.results import DataValidation, ExpectationResult

_WORDS = {Outcome.PASS: "met", Outcome.REJECT: "not met", Outcome.ERROR: "could not be judged"}
_SHOWN_EXAMPLES = 5
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --pass: #1a7f4b; --reject: #b42318; --error: #9a5b00; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.pass { color: var(--pass); } .reject { color: var(--reject); } .error { color: var(--error); }
"""


def report_html(validation: DataValidation) -> str:
    """Return the page."""
    dataset = validation.dataset
    head = f"{validation.suite} on {dataset.name}"
    facts = {
        "dataset": f"{dataset.name}, digest {dataset.digest}, {validation.rows} rows",
        "source": dataset.source,
        "suite": f"{validation.suite}, digest {validation.suite_digest}",
        "rejected at": f"severity {validation.fail_at} and worse",
        "run": validation.run_id,
        "validated": iso_date(validation.validated_at),
    }
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    rows = "".join(_row(result) for result in validation.results)
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(head)}</title><style>{_STYLE}</style></head>'
        f'<body><h1>{escape(head)}: <span class="{validation.outcome}">{_verdict(validation)}</span></h1>'
        f"<dl>{listed}</dl>"
        "<table><thead><tr><th>outcome</th><th>severity</th><th>expectation</th><th>found</th><th>examples</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></body></html>\n"
    )


def _verdict(validation: DataValidation) -> str:
    met = sum(result.outcome is Outcome.PASS for result in validation.results)
    word = {Outcome.PASS: "passes", Outcome.REJECT: "rejected", Outcome.ERROR: "error"}[validation.outcome]
    return f"{word}, {met} of {len(validation.results)} met"


def _row(result: ExpectationResult) -> str:
    examples = ", ".join(canonical_json(to_plain(value)) for value in result.examples[:_SHOWN_EXAMPLES])
    more = ", …" if len(result.examples) > _SHOWN_EXAMPLES else ""
    return (
        f'<tr><td class="{result.outcome}">{_WORDS[result.outcome]}</td><td>{escape(result.severity)}</td>'
        f"<td><code>{escape(result.rule)}</code></td><td>{escape(result.message)}</td>"
        f"<td><code>{escape(examples)}{more}</code></td></tr>"
    )
