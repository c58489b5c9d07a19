"""Verdicts, promotions, versions, aliases and stages in the lineage: what leads into them, and what they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.sql.elements import KeyedColumnElement

from headgate.store.lineage.graph import EdgeKind, Node, NodeKind, key_of
from headgate.store.lineage.reading import (
    ALIAS,
    PROMOTION,
    VERDICT,
    VERDICT_CHECK,
    VERSION,
    Found,
    Reading,
    chosen,
    evaluation_id,
    version_id,
)

_VERDICT_ATTRIBUTES = (
    *("outcome", "gate_name", "gate_digest", "model_name", "target", "candidate_model_id", "decided_at", "decided_by"),
    *("expires_at", "champion_version", "champion_model_id", "used_by"),
)
_PROMOTION_ATTRIBUTES = (
    *("model_name", "target", "sequence", "kind", "from_version", "to_version", "created_at", "actor", "reason"),
    *("verdict_id", "logical_date", "approval_id", "approved_by"),
)
_VERSION_ATTRIBUTES = ("name", "version", "current_stage", "creation_timestamp", "user_id", "model_id", "run_id")
_NO_STAGE = "None"


def load_verdicts(reading: Reading, ids: Sequence[str]) -> Found:
    verdicts = select(VERDICT).where(VERDICT.c.workspace == reading.workspace, VERDICT.c.verdict_id.in_(ids))
    found = Found()
    for row in reading.rows(verdicts):
        label = f"{row['outcome']} by gate {row['gate_name']}"
        key = found.add(NodeKind.VERDICT, row["verdict_id"], label, chosen(row, _VERDICT_ATTRIBUTES))
        found.link(NodeKind.LOGGED_MODEL, row["candidate_model_id"], key, EdgeKind.CANDIDATE)
        found.link(NodeKind.LOGGED_MODEL, row["champion_model_id"], key, EdgeKind.CHAMPION)
        found.link(NodeKind.RUN, row["run_id"], key, EdgeKind.DECIDED)
    check = VERDICT_CHECK.c
    evidence = (
        select(VERDICT.c.candidate_model_id, check.verdict_id, check.run_id, check.dataset_name, check.dataset_digest)
        .join(VERDICT_CHECK, check.verdict_id == VERDICT.c.verdict_id)
        .where(VERDICT.c.workspace == reading.workspace, check.verdict_id.in_(ids))
        .where(check.run_id.is_not(None), check.dataset_digest.is_not(None))
        .distinct()
    )
    for row in reading.rows(evidence):
        dataset = (row["dataset_name"] or "", row["dataset_digest"])
        source = evaluation_id(row["candidate_model_id"], row["run_id"], *dataset)
        found.link(NodeKind.EVALUATION, source, key_of(NodeKind.VERDICT, row["verdict_id"]), EdgeKind.EVIDENCE)
    return found


def reach_verdicts(reading: Reading, nodes: Sequence[Node]) -> list[str]:
    statement = select(PROMOTION.c.promotion_id).where(PROMOTION.c.verdict_id.in_([node.id for node in nodes]))
    return [key_of(NodeKind.PROMOTION, row["promotion_id"]) for row in reading.rows(statement)]


def load_promotions(reading: Reading, ids: Sequence[str]) -> Found:
    statement = select(PROMOTION).where(PROMOTION.c.workspace == reading.workspace, PROMOTION.c.promotion_id.in_(ids))
    found = Found()
    for row in reading.rows(statement):
        verb = {"roll_back": "rollback", "override": "override"}.get(row["kind"], "promotion")
        label = f"{verb} {row['sequence']} of {row['model_name']} {row['target']}"
        key = found.add(NodeKind.PROMOTION, row["promotion_id"], label, chosen(row, _PROMOTION_ATTRIBUTES))
        found.link(NodeKind.VERDICT, row["verdict_id"], key, EdgeKind.PERMITS)
    return found


def reach_promotions(_: Reading, nodes: Sequence[Node]) -> list[str]:
    said = [node.attributes for node in nodes if "to_version" in node.attributes]
    return [key_of(NodeKind.MODEL_VERSION, version_id(each["model_name"], each["to_version"])) for each in said]


def load_versions(reading: Reading, ids: Sequence[str]) -> Found:
    of_versions = _any_of(VERSION.c.name, VERSION.c.version, map(version_of, ids))
    found = Found()
    for row in reading.rows(select(VERSION).where(VERSION.c.workspace == reading.workspace, of_versions)):
        identifier = version_id(row["name"], row["version"])
        label = f"{row['name']} version {row['version']}"
        key = found.add(NodeKind.MODEL_VERSION, identifier, label, chosen(row, _VERSION_ATTRIBUTES))
        found.link(NodeKind.LOGGED_MODEL, row["model_id"], key, EdgeKind.REGISTERED)
        if not row["model_id"]:
            found.link(NodeKind.RUN, row["run_id"], key, EdgeKind.REGISTERED)
    promotions = (
        select(PROMOTION.c.promotion_id, PROMOTION.c.model_name, PROMOTION.c.to_version)
        .where(PROMOTION.c.workspace == reading.workspace)
        .where(_any_of(PROMOTION.c.model_name, PROMOTION.c.to_version, map(version_of, ids)))
        .order_by(PROMOTION.c.created_at.desc(), PROMOTION.c.sequence.desc())
    )
    for row in reading.rows(promotions):
        target = key_of(NodeKind.MODEL_VERSION, version_id(row["model_name"], row["to_version"]))
        found.link(NodeKind.PROMOTION, row["promotion_id"], target, EdgeKind.PROMOTES)
    return found


def reach_versions(reading: Reading, nodes: Sequence[Node]) -> list[str]:
    of_versions = _any_of(ALIAS.c.name, ALIAS.c.version, (version_of(node.id) for node in nodes))
    aliases = select(ALIAS.c.name, ALIAS.c.alias).where(ALIAS.c.workspace == reading.workspace, of_versions)
    keys = [key_of(NodeKind.ALIAS, f"{r['name']}@{r['alias']}") for r in reading.rows(aliases.order_by(ALIAS.c.alias))]
    staged = [node.attributes for node in nodes if node.attributes["current_stage"] != _NO_STAGE]
    return keys + [key_of(NodeKind.STAGE, f"{each['name']}/{each['current_stage']}") for each in staged]


def load_aliases(reading: Reading, ids: Sequence[str]) -> Found:
    wanted = [identifier.rpartition("@")[::2] for identifier in ids]
    statement = select(ALIAS).where(
        ALIAS.c.workspace == reading.workspace, _any_of(ALIAS.c.name, ALIAS.c.alias, wanted)
    )
    found = Found()
    for row in reading.rows(statement):
        identifier = f"{row['name']}@{row['alias']}"
        key = found.add(NodeKind.ALIAS, identifier, identifier, chosen(row, ("name", "alias", "version")))
        found.link(NodeKind.MODEL_VERSION, version_id(row["name"], row["version"]), key, EdgeKind.HOLDS)
    return found


def load_stages(reading: Reading, ids: Sequence[str]) -> Found:
    wanted = [identifier.rpartition("/")[::2] for identifier in ids]
    statement = (
        select(VERSION.c.name, VERSION.c.version, VERSION.c.current_stage)
        .where(VERSION.c.workspace == reading.workspace, _any_of(VERSION.c.name, VERSION.c.current_stage, wanted))
        .order_by(VERSION.c.name, VERSION.c.version.desc())
    )
    found, added = Found(), set[str]()
    for row in reading.rows(statement):
        identifier = f"{row['name']}/{row['current_stage']}"
        if identifier not in added:
            attributes = {"name": row["name"], "stage": row["current_stage"]}
            found.add(NodeKind.STAGE, identifier, f"{row['name']} {row['current_stage']}", attributes)
            added.add(identifier)
        target = key_of(NodeKind.STAGE, identifier)
        found.link(NodeKind.MODEL_VERSION, version_id(row["name"], row["version"]), target, EdgeKind.HOLDS)
    return found


def reach_nothing(_: Reading, __: Sequence[Node]) -> list[str]:
    """An alias or a stage is where the lineage ends."""
    return []


def version_of(identifier: str) -> tuple[str, int]:
    """Return the name and number that :func:`version_id` joined."""
    name, _, version = identifier.rpartition("/")
    return name, int(version)


def _any_of(
    name: KeyedColumnElement[Any], value: KeyedColumnElement[Any], wanted: Iterable[tuple[str, Any]]
) -> ColumnElement[bool]:
    """Return the condition that a pair of columns is one of the pairs; MySQL finds no index for a list of pairs."""
    by_name: dict[str, list[Any]] = {}
    for each, other in wanted:
        by_name.setdefault(each, []).append(other)
    return or_(false(), *(and_(name == each, value.in_(others)) for each, others in by_name.items()))
