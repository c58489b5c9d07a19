"""LoggedModels and their evaluations in the lineage: what leads into them, and what they lead to.

An *evaluation* is everything that one run measured of one model on one dataset. Metrics without a dataset (a training
curve) are no evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, func, select

from headgate.store.lineage.graph import EdgeKind, Node, NodeKind, key_of
from headgate.store.lineage.reading import (
    LOGGED_MODEL,
    MODEL_METRIC,
    RUN_MODEL,
    VERDICT,
    VERDICT_CHECK,
    VERSION,
    Found,
    Reading,
    chosen,
    dataset_id,
    evaluation_id,
    version_id,
)
from headgate.store.lineage.runs import consumers
from headgate.store.metric_values import decode_value

_ATTRIBUTES = ("name", "model_type", "status", "creation_timestamp", "artifact_digest", "source_run_id")
_LABELLED_METRICS = 4


def load_logged_models(reading: Reading, ids: Sequence[str]) -> Found:
    statement = reading.in_workspace(select(LOGGED_MODEL), LOGGED_MODEL).where(LOGGED_MODEL.c.model_id.in_(ids))
    found = Found()
    for row in reading.rows(statement):
        attributes = {**chosen(row, _ATTRIBUTES), "experiment_id": str(row["experiment_id"])}
        key = found.add(NodeKind.LOGGED_MODEL, row["model_id"], row["name"], attributes)
        found.link(NodeKind.RUN, row["source_run_id"], key, EdgeKind.OUTPUT)
    makers = select(RUN_MODEL.c.run_id, RUN_MODEL.c.model_id).where(
        RUN_MODEL.c.model_id.in_(ids), RUN_MODEL.c.direction == "output"
    )
    for row in reading.rows(makers):
        found.link(NodeKind.RUN, row["run_id"], key_of(NodeKind.LOGGED_MODEL, row["model_id"]), EdgeKind.OUTPUT)
    return found


def reach_logged_models(reading: Reading, nodes: Sequence[Node]) -> list[str]:
    ids = [node.id for node in nodes]
    metric = MODEL_METRIC.c
    evaluations = select(metric.model_id, metric.run_id, metric.dataset_name, metric.dataset_digest).distinct()
    rows = reading.rows(evaluations.where(metric.model_id.in_(ids), metric.dataset_digest != ""))
    keys = [key_of(NodeKind.EVALUATION, evaluation_id(*row.values())) for row in rows]
    users = select(RUN_MODEL.c.run_id).where(RUN_MODEL.c.model_id.in_(ids), RUN_MODEL.c.direction == "input")
    keys += [key_of(NodeKind.RUN, row["run_id"]) for row in reading.rows(users.order_by(RUN_MODEL.c.run_id))]
    verdicts = (
        select(VERDICT.c.verdict_id)
        .where(VERDICT.c.workspace == reading.workspace, VERDICT.c.candidate_model_id.in_(ids))
        .order_by(VERDICT.c.decided_at, VERDICT.c.verdict_id)
    )
    keys += [key_of(NodeKind.VERDICT, row["verdict_id"]) for row in reading.rows(verdicts)]
    versions = (
        select(VERSION.c.name, VERSION.c.version)
        .where(VERSION.c.workspace == reading.workspace, VERSION.c.model_id.in_(ids))
        .order_by(VERSION.c.name, VERSION.c.version)
    )
    keys += [key_of(NodeKind.MODEL_VERSION, version_id(row["name"], row["version"])) for row in reading.rows(versions)]
    made_by = {node.key: node.attributes["source_run_id"] for node in nodes if "source_run_id" in node.attributes}
    return keys + (consumers(reading, made_by) if made_by else [])


def load_evaluations(reading: Reading, ids: Sequence[str]) -> Found:
    wanted = set(ids)
    metric = MODEL_METRIC.c
    newest = func.row_number().over(
        partition_by=[metric.model_id, metric.run_id, metric.dataset_name, metric.dataset_digest, metric.key],
        order_by=[metric.timestamp.desc(), metric.step.desc(), metric.metric_id.desc()],
    )
    ranked = (
        reading.in_workspace(select(MODEL_METRIC, newest.label("place")), MODEL_METRIC)
        .where(metric.model_id.in_({identifier.partition("/")[0] for identifier in wanted}))
        .where(metric.dataset_digest != "")
        .subquery()
    )
    latest = select(ranked).where(ranked.c.place == 1).order_by(ranked.c.model_id, ranked.c.run_id, ranked.c.key)
    measured: dict[str, list[RowMapping]] = {}
    for row in reading.rows(latest):
        identifier = evaluation_id(row["model_id"], row["run_id"], row["dataset_name"], row["dataset_digest"])
        if identifier in wanted:
            measured.setdefault(identifier, []).append(row)
    found = Found()
    for identifier, rows in measured.items():
        _add_evaluation(found, identifier, rows)
    return found


def _add_evaluation(found: Found, identifier: str, rows: Sequence[RowMapping]) -> None:
    first = rows[0]
    name, digest = first["dataset_name"], first["dataset_digest"]
    metrics = {row["key"]: decode_value(row["value"], row["is_nan"]) for row in rows}
    attributes = {
        **chosen(first, ("model_id", "run_id")),
        "dataset": name,
        "digest": digest,
        "measured_at": max(row["timestamp"] for row in rows),
        "metrics": metrics,
    }
    shown = ", ".join(f"{key} {value:.4g}" for key, value in list(metrics.items())[:_LABELLED_METRICS])
    label = f"{shown}, …" if len(metrics) > _LABELLED_METRICS else shown
    key = found.add(NodeKind.EVALUATION, identifier, f"{label} on {name or digest}", attributes)
    found.link(NodeKind.LOGGED_MODEL, first["model_id"], key, EdgeKind.MEASURED)
    found.link(NodeKind.DATASET, dataset_id(name, digest), key, EdgeKind.MEASURED)
    found.link(NodeKind.RUN, first["run_id"], key, EdgeKind.MEASURED)


def reach_evaluations(reading: Reading, nodes: Sequence[Node]) -> list[str]:
    """Return the verdicts that have one of these evaluations as evidence."""
    ids = {node.id for node in nodes}
    check, candidate = VERDICT_CHECK.c, VERDICT.c.candidate_model_id
    statement = (
        select(VERDICT.c.verdict_id, candidate, check.run_id, check.dataset_name, check.dataset_digest)
        .join(VERDICT_CHECK, check.verdict_id == VERDICT.c.verdict_id)
        .where(VERDICT.c.workspace == reading.workspace)
        .where(candidate.in_({node.attributes["model_id"] for node in nodes}))
        .where(check.run_id.is_not(None), check.dataset_digest.is_not(None))
        .order_by(VERDICT.c.decided_at, VERDICT.c.verdict_id)
    )
    return [
        key_of(NodeKind.VERDICT, row["verdict_id"])
        for row in reading.rows(statement)
        if evaluation_id(row["candidate_model_id"], row["run_id"], row["dataset_name"] or "", row["dataset_digest"])
        in ids
    ]
