"""Runs and datasets in the lineage: what leads into them, and what they lead to.

A ``load_…`` function takes ids and returns the nodes that exist with the edges into them; a ``reach_…`` function takes
nodes and returns the keys of what may lie behind them. Each asks a fixed number of queries, however many it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping, func, select

from headgate.store.lineage.graph import EdgeKind, Node, NodeKind, key_of
from headgate.store.lineage.reading import (
    DATASET,
    DATASET_INPUT,
    LOGGED_MODEL,
    LONGEST_REFERENCE,
    MODEL_METRIC,
    PARAM,
    RUN,
    RUN_MODEL,
    RUN_TAG,
    SHORTEST_REFERENCE,
    VERDICT,
    VERSION,
    Found,
    Reading,
    chosen,
    dataset_id,
    evaluation_id,
    references,
    version_id,
    without_credentials,
)

_TAGS = {
    "mlflow.project.entryPoint": "entry_point",
    "mlflow.source.git.commit": "git_commit",
    "mlflow.source.name": "source",
}
_RUN_ATTRIBUTES = (
    *("status", "start_time", "end_time", "user_id", "origin", "pipeline", "pipeline_run_id", "task", "attempt"),
    *("logical_date", "parent_run_id", "previous_attempt_id", "superseded_by"),
)


def load_runs(reading: Reading, ids: Sequence[str]) -> Found:
    rows = reading.rows(reading.in_workspace(select(RUN), RUN).where(RUN.c.run_id.in_(ids)))
    tags = _tags(reading, ids)
    found = Found()
    for row in rows:
        attributes = {
            **chosen(row, _RUN_ATTRIBUTES),
            "map_index": row["map_index"] if row["map_index"] >= 0 else None,
            "experiment_id": str(row["experiment_id"]),
            **tags.get(row["run_id"], {}),
        }
        key = found.add(NodeKind.RUN, row["run_id"], row["name"], attributes)
        found.link(NodeKind.RUN, row["parent_run_id"], key, EdgeKind.PARENT)
        found.link(NodeKind.RUN, row["previous_attempt_id"], key, EdgeKind.RETRY)
    _link_inputs(reading, ids, found)
    _link_params(reading, ids, found)
    return found


def reach_runs(reading: Reading, nodes: Sequence[Node]) -> list[str]:
    ids = [node.id for node in nodes]
    keys = [key_of(NodeKind.RUN, run_id) for run_id in children_of(reading, ids)]
    keys += [key_of(NodeKind.RUN, n.attributes["superseded_by"]) for n in nodes if "superseded_by" in n.attributes]
    models = select(LOGGED_MODEL.c.model_id).where(LOGGED_MODEL.c.source_run_id.in_(ids))
    outputs = select(RUN_MODEL.c.model_id).where(RUN_MODEL.c.run_id.in_(ids), RUN_MODEL.c.direction == "output")
    for statement in (models, outputs):
        keys += [key_of(NodeKind.LOGGED_MODEL, row["model_id"]) for row in reading.rows(statement)]
    metric = MODEL_METRIC.c
    evaluations = select(metric.model_id, metric.run_id, metric.dataset_name, metric.dataset_digest).distinct()
    for row in reading.rows(evaluations.where(metric.run_id.in_(ids), metric.dataset_digest != "")):
        keys.append(key_of(NodeKind.EVALUATION, evaluation_id(*row.values())))
    verdicts = select(VERDICT.c.verdict_id).where(VERDICT.c.run_id.in_(ids))
    keys += [key_of(NodeKind.VERDICT, row["verdict_id"]) for row in reading.rows(verdicts)]
    versions = select(VERSION.c.name, VERSION.c.version).where(
        VERSION.c.workspace == reading.workspace, VERSION.c.run_id.in_(ids), VERSION.c.model_id.is_(None)
    )
    keys += [key_of(NodeKind.MODEL_VERSION, version_id(row["name"], row["version"])) for row in reading.rows(versions)]
    return keys + _produced_datasets(reading, ids) + consumers(reading, {node.key: node.id for node in nodes})


def children_of(reading: Reading, ids: Sequence[str]) -> list[str]:
    """Return the ids of the runs nested directly in these, oldest first."""
    statement = select(RUN.c.run_id).where(RUN.c.parent_run_id.in_(ids)).order_by(RUN.c.start_time, RUN.c.run_id)
    return [row["run_id"] for row in reading.rows(statement)]


def consumers(reading: Reading, made_by: Mapping[str, str]) -> list[str]:
    """Return the keys of runs that name something in a param: ``made_by`` gives what, and the run that made it.

    Only runs beside that run, in the same parent, are looked at: no index leads from a param's text to its run.
    """
    maker, sibling = RUN.alias("maker"), RUN.alias("sibling")
    statement = (
        select(PARAM.c.run_id, PARAM.c.value)
        .join(sibling, sibling.c.run_id == PARAM.c.run_id)
        .join(maker, maker.c.parent_run_id == sibling.c.parent_run_id)
        .where(maker.c.run_id.in_(set(made_by.values())))
        .where(func.length(PARAM.c.value).between(SHORTEST_REFERENCE, LONGEST_REFERENCE))
        .order_by(sibling.c.start_time, PARAM.c.run_id)
    )
    rows = reading.rows(statement)
    return [key_of(NodeKind.RUN, r["run_id"]) for r in rows if not made_by.keys().isdisjoint(references(r["value"]))]


def load_datasets(reading: Reading, ids: Sequence[str]) -> Found:
    digests = {identifier.rpartition("@")[2] for identifier in ids}
    statement = reading.in_workspace(select(DATASET), DATASET).where(DATASET.c.digest.in_(digests))
    stored: dict[str, RowMapping] = {}
    for row in reading.rows(statement.order_by(DATASET.c.experiment_id)):
        stored.setdefault(dataset_id(row["name"], row["digest"]), row)
    found = Found()
    for identifier in ids:
        name, _, digest = identifier.rpartition("@")
        # Metrics may name a dataset that is no run's input: only its name and digest are known then.
        stands = stored.get(identifier)
        source = stands["source"] if stands is not None and len(stands["source"]) <= LONGEST_REFERENCE else ""
        attributes = {
            "name": name,
            "digest": digest,
            "source_type": stands["source_type"] if stands is not None else None,
            "source": without_credentials(source),
        }
        key = found.add(NodeKind.DATASET, identifier, name or digest, attributes)
        for maker in references(source):
            if maker.startswith(f"{NodeKind.RUN}:"):
                found.link(NodeKind.RUN, maker.partition(":")[2], key, EdgeKind.OUTPUT)
    return found


def reach_datasets(reading: Reading, nodes: Sequence[Node]) -> list[str]:
    ids = {node.id for node in nodes}
    statement = (
        select(DATASET_INPUT.c.run_id, DATASET.c.name, DATASET.c.digest)
        .join(DATASET_INPUT, DATASET_INPUT.c.dataset_id == DATASET.c.dataset_id)
        .where(DATASET.c.digest.in_({node.attributes["digest"] for node in nodes}))
        .order_by(DATASET_INPUT.c.run_id)
    )
    rows = reading.rows(statement)
    return [key_of(NodeKind.RUN, row["run_id"]) for row in rows if dataset_id(row["name"], row["digest"]) in ids]


def _tags(reading: Reading, ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    tags: dict[str, dict[str, str]] = {}
    statement = select(RUN_TAG.c.run_id, RUN_TAG.c.key, RUN_TAG.c.value)
    for row in reading.rows(statement.where(RUN_TAG.c.run_id.in_(ids), RUN_TAG.c.key.in_(list(_TAGS)))):
        tags.setdefault(row["run_id"], {})[_TAGS[row["key"]]] = without_credentials(row["value"])
    return tags


def _link_inputs(reading: Reading, ids: Sequence[str], found: Found) -> None:
    datasets = (
        select(DATASET_INPUT.c.run_id, DATASET.c.name, DATASET.c.digest)
        .join(DATASET, DATASET.c.dataset_id == DATASET_INPUT.c.dataset_id)
        .where(DATASET_INPUT.c.run_id.in_(ids))
        .order_by(DATASET_INPUT.c.run_id, DATASET.c.name, DATASET.c.digest)
    )
    for row in reading.rows(datasets):
        target = key_of(NodeKind.RUN, row["run_id"])
        found.link(NodeKind.DATASET, dataset_id(row["name"], row["digest"]), target, EdgeKind.INPUT)
    models = select(RUN_MODEL.c.run_id, RUN_MODEL.c.model_id).where(
        RUN_MODEL.c.run_id.in_(ids), RUN_MODEL.c.direction == "input"
    )
    for row in reading.rows(models):
        found.link(NodeKind.LOGGED_MODEL, row["model_id"], key_of(NodeKind.RUN, row["run_id"]), EdgeKind.INPUT)


def _link_params(reading: Reading, ids: Sequence[str], found: Found) -> None:
    """Add the edges of what params name: a model as an input, another run or its artifacts as a reference."""
    statement = (
        select(PARAM.c.run_id, PARAM.c.value)
        .where(PARAM.c.run_id.in_(ids))
        .where(func.length(PARAM.c.value).between(SHORTEST_REFERENCE, LONGEST_REFERENCE))
        .order_by(PARAM.c.run_id, PARAM.c.key)
    )
    for row in reading.rows(statement):
        target = key_of(NodeKind.RUN, row["run_id"])
        for source in references(row["value"]):
            kind, _, identifier = source.partition(":")
            edge = EdgeKind.REFERENCE if kind == NodeKind.RUN else EdgeKind.INPUT
            if source != target:
                found.link(NodeKind(kind), identifier, target, edge)


def _produced_datasets(reading: Reading, ids: Sequence[str]) -> list[str]:
    """Return the keys of datasets whose source is an artifact of one of the runs, as inputs of runs beside it."""
    made = {key_of(NodeKind.RUN, run_id) for run_id in ids}
    maker, sibling = RUN.alias("maker"), RUN.alias("sibling")
    statement = (
        select(DATASET.c.name, DATASET.c.digest, DATASET.c.source)
        .join(DATASET_INPUT, DATASET_INPUT.c.dataset_id == DATASET.c.dataset_id)
        .join(sibling, sibling.c.run_id == DATASET_INPUT.c.run_id)
        .join(maker, maker.c.parent_run_id == sibling.c.parent_run_id)
        .where(maker.c.run_id.in_(ids), func.length(DATASET.c.source).between(SHORTEST_REFERENCE, LONGEST_REFERENCE))
        .order_by(DATASET.c.name, DATASET.c.digest)
    )
    rows = reading.rows(statement)
    return [
        key_of(NodeKind.DATASET, dataset_id(row["name"], row["digest"]))
        for row in rows
        if not made.isdisjoint(references(row["source"]))
    ]
