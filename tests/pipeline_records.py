"""What one pipeline run left in the store, told without ids, times and names of people: the same through every door."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from headgate.store.entities import Run, RunContext
from headgate.store.lineage import to_document
from headgate.store.store import Store

# Who, when and where; and what only one of the doors can know.
_OF_THE_MOMENT = {
    *("start_time", "end_time", "timestamp", "created_at", "decided_at", "expires_at", "measured_at", "time"),
    *("creation_timestamp", "last_updated_timestamp", "registered_at", "promoted_at", "duration", "sequence_time"),
    *(
        "user_id",
        "user",
        "actor",
        "decided_by",
        "decided_by_name",
        "origin",
        "pipeline",
        "pipeline_run_id",
        "experiment_id",
    ),
    *("logical_date", "candidate_logical_date", "data_interval_start", "data_interval_end", "artifact_uri", "reason"),
    *("mlflow.user", "headgate.actor", "id", "key", "source_run_id"),
    *("candidate_digest", "mlflow.log-model.history"),  # of files that say when they were written
}
_OTHERS = re.compile(r"\b(?:\w-)?[0-9a-f]{32}\b")
_DOORS_OWN = ("airflow.", "prefect.")


def records_of(store: Store, parent: Run) -> dict[str, Any]:
    """Return everything that a pipeline run recorded, in words that two runs of one pipeline share."""
    children = [store.runs.get(info.run_id) for info in store.runs.children(parent.info.run_id, all_attempts=True)]
    runs = {run.info.run_id: f"<{_name(run)}>" for run in (parent, *children)}
    names = dict(runs)
    for run in children:
        for index, model in enumerate(store.runs.made_models(run.info.run_id)):
            names[model] = f"<model {index} of {_name(run)}>"
    verdicts = store.verdicts.search(run_id=parent.info.run_id).items
    promotions = [
        promotion
        for verdict in verdicts
        for promotion in store.promotions.history(verdict.model_name, verdict.target)
        if promotion.verdict_id == verdict.verdict_id
    ]
    names |= {verdict.verdict_id: "<verdict>" for verdict in verdicts}
    names |= {promotion.promotion_id: "<promotion>" for promotion in promotions}
    subject = next((f"{verdict.model_name}{verdict.target}" for verdict in verdicts), None)
    graph = to_document(store.lineage.of(parent.info.run_id))
    found = _named(
        {
            "runs": sorted((_run(store, run) for run in (parent, *children)), key=lambda run: str(run["name"])),
            "verdicts": [_plain(dataclasses.asdict(verdict)) for verdict in verdicts],
            "promotions": [_plain(dataclasses.asdict(promotion)) for promotion in promotions],
            "subject": subject,
            "lineage": {
                "nodes": [f"{node['kind']} {node['id']}" for node in graph["nodes"]],
                "edges": [f"{edge['source']} -{edge['kind']}-> {edge['target']}" for edge in graph["edges"]],
            },
        },
        names,
        store.artifact_root,
    )
    return {**found, "lineage": {part: sorted(lines) for part, lines in found["lineage"].items()}}


def _name(run: Run) -> str:
    context: RunContext = run.info.context
    member = "" if context.map_index < 0 else f"[{context.map_index}]"
    return f"{context.task or 'pipeline'}{member} try {context.attempt}"


def _run(store: Store, run: Run) -> dict[str, Any]:
    tags = {key: value for key, value in run.tags.items() if not key.startswith(_DOORS_OWN)}
    return {
        **_plain(dataclasses.asdict(run.info)),
        "run_id": run.info.run_id,
        "what": _name(run),
        "params": dict(run.params),
        "tags": _plain(tags),
        "metrics": {key: (metric.value, metric.step) for key, metric in run.metrics.items()},
        "models": {
            model_id: sorted(
                (metric.key, metric.value, metric.dataset_name, metric.dataset_digest)
                for metric in store.logged_models.metrics(model_id)
            )
            for model_id in store.runs.made_models(run.info.run_id)
        },
        "inputs": [(used.dataset.name, used.dataset.digest) for used in run.dataset_inputs],
        "artifacts": sorted(file.path for file in store.artifacts(run.info.artifact_uri).list()),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if key not in _OF_THE_MOMENT}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _named(document: Any, names: Mapping[str, str], artifact_root: str) -> Any:
    """Put names in the place of ids, wherever they stand in a text."""
    text = json.dumps(document, sort_keys=True, default=str).replace(artifact_root, "<artifacts>")
    for identifier, name in names.items():
        text = text.replace(identifier, name)
    return json.loads(_OTHERS.sub("<of another pipeline run>", text))
