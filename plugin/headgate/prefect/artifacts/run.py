"""A run as an artifact: what it measured, with what parameters, and what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.prefect.artifacts.links import artifact_page, lineage_key, run_page
from headgate.prefect.artifacts.markdown import table
from headgate.prefect.artifacts.publish import artifact_key, publish_markdown
from headgate.tasks.gates.markdown import escaped
from headgate.tasks.gates.values import plain

if TYPE_CHECKING:
    from uuid import UUID

    from headgate.store.entities import Run
    from headgate.store.store import Store

_SHOWN = 100


def publish_run(store: Store, run_id: str) -> UUID:
    """Make the artifact of a run; the key is that of its pipeline and task, so what it measures is a history.

    Raises:
        NotFound: no such run.
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    run = store.runs.get(run_id)
    context = run.info.context
    key = artifact_key("run", context.pipeline or "work", context.task or run.info.name)
    description = f"Run {run.info.name}: {run.info.status}"
    return publish_markdown(key, run_markdown(run), description)


def run_markdown(run: Run) -> str:
    """Return the text of the artifact."""
    info = run.info
    page = run_page(info.context)
    facts = [
        ("Run", f"{escaped(info.name)} (`{info.run_id}`)"),
        ("Status", str(info.status)),
        ("Flow run", f"[{escaped(str(info.context.pipeline))}]({page})" if page is not None else ""),
        ("Models", ", ".join(escaped(each.model_id) for each in run.model_outputs[:_SHOWN])),
        ("Data", ", ".join(escaped(f"{each.dataset.name} {each.dataset.digest}") for each in run.dataset_inputs)),
        ("Artifacts", escaped(info.artifact_uri)),
    ]
    parts = [table(("", ""), [row for row in facts if row[1]])]
    if metrics := [(escaped(key), plain(metric.value)) for key, metric in run.metrics.items()]:
        parts.append(_section("Metrics", ("Metric", "Last value"), metrics))
    if params := [(escaped(key), escaped(value)) for key, value in run.params.items()]:
        parts.append(_section("Parameters", ("Parameter", "Value"), params))
    if (lineage := artifact_page(lineage_key(info.run_id))) is not None:
        parts.append(f"[Lineage]({lineage}), where it was published")
    return "\n\n".join(parts) + "\n"


def _section(title: str, columns: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    more = f"\n\nAnd {len(rows) - _SHOWN} more." if len(rows) > _SHOWN else ""
    return f"## {title}\n\n{table(columns, sorted(rows)[:_SHOWN])}{more}"
