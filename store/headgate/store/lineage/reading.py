"""What every query of the lineage shares: the workspace it stays in, and a bound on the rows it returns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, FromClause, RowMapping, Select

from headgate.store.lineage.graph import Edge, EdgeKind, Node, NodeKind, key_of
from headgate.store.tables import (
    DatasetInputRow,
    DatasetRow,
    ExperimentRow,
    LoggedModelMetricRow,
    LoggedModelRow,
    ModelAliasRow,
    ModelVersionRow,
    ParamRow,
    PromotionRow,
    RunModelRow,
    RunRow,
    RunTagRow,
    VerdictCheckRow,
    VerdictRow,
)

DATASET = DatasetRow.__table__
DATASET_INPUT = DatasetInputRow.__table__
EXPERIMENT = ExperimentRow.__table__
LOGGED_MODEL = LoggedModelRow.__table__
MODEL_METRIC = LoggedModelMetricRow.__table__
ALIAS = ModelAliasRow.__table__
VERSION = ModelVersionRow.__table__
PARAM = ParamRow.__table__
PROMOTION = PromotionRow.__table__
RUN_MODEL = RunModelRow.__table__
RUN = RunRow.__table__
RUN_TAG = RunTagRow.__table__
VERDICT_CHECK = VerdictCheckRow.__table__
VERDICT = VerdictRow.__table__

# Where a text names a run or a model: `runs:/<id>`, an artifact's URI, `models:/m-<id>`, or the bare id.
_ID = re.compile(r"(?<![0-9a-fA-F-])(?:m-)?[0-9a-f]{32}(?![0-9a-fA-F])")
SHORTEST_REFERENCE = 32
# A longer text is a document, not a reference.
LONGEST_REFERENCE = 2_000
_USER_INFO = re.compile(r"(?<=://)[^/\s@\"']*@")
_QUERY = re.compile(r"(?<=\S)\?[^\s\"']*")


@dataclass
class Found:
    """What one look at the store gave: nodes, and the edges that lead into them."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def add(self, kind: NodeKind, identifier: str, label: str, attributes: Mapping[str, Any]) -> str:
        """Keep a node, without the attributes that say nothing; return its key."""
        said = {name: value for name, value in attributes.items() if value is not None and value != ""}
        self.nodes.append(Node(kind, identifier, label, said))
        return key_of(kind, identifier)

    def link(self, kind: NodeKind, identifier: str | None, target: str, edge: EdgeKind) -> None:
        """Keep an edge from a node that may or may not exist; None is no node."""
        if identifier:
            self.edges.append(Edge(key_of(kind, identifier), target, edge))


@dataclass
class Reading:
    """One transaction's look at the lineage. ``cut`` is set when a query had more rows than it may return."""

    connection: Connection
    workspace: str
    row_limit: int
    cut: bool = False

    def rows(self, statement: Select[Any]) -> Sequence[RowMapping]:
        rows = self.connection.execute(statement.limit(self.row_limit + 1)).mappings().all()
        self.cut = self.cut or len(rows) > self.row_limit
        return rows[: self.row_limit]

    def in_workspace(self, statement: Select[Any], table: FromClause) -> Select[Any]:
        """Keep the rows of ``table`` whose experiment belongs to the workspace."""
        return statement.join(EXPERIMENT, EXPERIMENT.c.experiment_id == table.c.experiment_id).where(
            EXPERIMENT.c.workspace == self.workspace
        )


def references(text: str) -> Iterator[str]:
    """Yield the keys of the runs and LoggedModels that a text names; whether they exist is not known yet."""
    for match in _ID.finditer(text):
        identifier = match.group()
        kind = NodeKind.LOGGED_MODEL if identifier.startswith("m-") else NodeKind.RUN
        yield key_of(kind, identifier)


def dataset_id(name: str, digest: str) -> str:
    return f"{name}@{digest}"


def evaluation_id(model_id: str, run_id: str, dataset: str, digest: str) -> str:
    return f"{model_id}/{run_id}/{dataset_id(dataset, digest)}"


def version_id(name: str, version: int) -> str:
    return f"{name}/{version}"


def chosen(row: RowMapping, names: Sequence[str]) -> dict[str, Any]:
    """Return some columns of a row."""
    return {name: row[name] for name in names}


def without_credentials(text: str) -> str:
    """Return a source without what may be a secret in a URL: who logs in, and a presigned URL's signature."""
    return _QUERY.sub("", _USER_INFO.sub("", text))
