"""Collecting the lineage of something: upstream to the data it comes from, downstream to what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE
from headgate.store.errors import InvalidInput
from headgate.store.lineage import models, promotions, runs
from headgate.store.lineage.graph import Edge, EdgeKind, Lineage, Node, NodeKind, split_key
from headgate.store.lineage.reading import Found, Reading
from headgate.store.lineage.subject import not_found, roots_of

MAX_DEPTH = 20
MAX_NODES = 300
_LARGEST = 5_000
_ROWS_PER_QUERY = 10_000

_LOAD: Mapping[NodeKind, Callable[[Reading, Sequence[str]], Found]] = {
    NodeKind.DATASET: runs.load_datasets,
    NodeKind.RUN: runs.load_runs,
    NodeKind.LOGGED_MODEL: models.load_logged_models,
    NodeKind.EVALUATION: models.load_evaluations,
    NodeKind.VERDICT: promotions.load_verdicts,
    NodeKind.PROMOTION: promotions.load_promotions,
    NodeKind.MODEL_VERSION: promotions.load_versions,
    NodeKind.ALIAS: promotions.load_aliases,
    NodeKind.STAGE: promotions.load_stages,
}
_REACH: Mapping[NodeKind, Callable[[Reading, Sequence[Node]], list[str]]] = {
    NodeKind.DATASET: runs.reach_datasets,
    NodeKind.RUN: runs.reach_runs,
    NodeKind.LOGGED_MODEL: models.reach_logged_models,
    NodeKind.EVALUATION: models.reach_evaluations,
    NodeKind.VERDICT: promotions.reach_verdicts,
    NodeKind.PROMOTION: promotions.reach_promotions,
    NodeKind.MODEL_VERSION: promotions.reach_versions,
    NodeKind.ALIAS: promotions.reach_nothing,
    NodeKind.STAGE: promotions.reach_nothing,
}


class LineageGraph:
    """The lineage of what a workspace holds.

    Args:
        database: the store's.
        workspace: what is outside it is never shown.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def of(
        self,
        subject: str,
        *,
        upstream: bool = True,
        downstream: bool = True,
        depth: int = MAX_DEPTH,
        limit: int = MAX_NODES,
    ) -> Lineage:
        """Return what ``subject`` comes from and what came of it, nearest first.

        Upstream and downstream are followed each in its own direction: what else was made of the same data does not
        appear. A version or an alias stands for its LoggedModel too, and a run for the runs nested in it. The champion
        that a verdict compared with appears, and the data that a model was measured on, but not where they came from.

        Args:
            subject: ``models:/NAME@alias``, ``models:/NAME/3``, ``models:/NAME/latest``, ``models:/NAME/Production``
                (each also without ``models:/``), a model id, ``runs:/…`` or a run id, the id of a verdict or a
                promotion, ``dataset:NAME``, ``dataset:NAME@digest`` or a dataset id.
            upstream: follow edges against their direction.
            downstream: follow edges in their direction.
            depth: how many edges to follow each way, from 0.
            limit: how many nodes to return at most, from 1 to 5,000.

        Returns:
            The graph; ``truncated`` says whether ``depth`` or ``limit`` cut something off. The number of queries grows
            with the depth, not with the number of nodes.

        Raises:
            NotFound: there is no such thing in the workspace.
            InvalidInput: the subject has none of these forms, or names several datasets.
            StoreUnavailable: the database did not answer; a retry may help.
        """
        if depth < 0 or not 1 <= limit <= _LARGEST:
            raise InvalidInput(
                f"A lineage can't have depth {depth} and {limit} nodes.",
                remedy=f"Give a depth from 0 and a limit from 1 to {_LARGEST}.",
            )
        with self._database.read() as connection:
            reading = Reading(connection, self._workspace, _ROWS_PER_QUERY)
            roots = roots_of(reading, subject)
            walk = _Walk(reading, limit)
            walk.visit(roots)
            if roots[0] not in walk.nodes:
                raise not_found(subject)
            if upstream:
                walk.up(roots, depth)
            if downstream:
                walk.down(roots, depth)
            return walk.lineage(roots)


class _Walk:
    """Breadth first; each level takes a fixed number of queries per kind of node."""

    def __init__(self, reading: Reading, limit: int) -> None:
        self.nodes: dict[str, Node] = {}
        self._incoming: dict[str, list[Edge]] = {}
        self._asked: set[str] = set()
        self._reading = reading
        self._limit = limit
        self._cut = False

    def visit(self, keys: Iterable[str]) -> None:
        """Load the nodes that were not asked for yet, as many as there is room for."""
        new = [key for key in dict.fromkeys(keys) if key not in self._asked]
        room = self._limit - len(self.nodes)
        self._cut = self._cut or len(new) > room
        wanted: dict[NodeKind, list[str]] = {}
        for key in new[: max(room, 0)]:
            kind, identifier = split_key(key)
            wanted.setdefault(kind, []).append(identifier)
            self._asked.add(key)
        loaded: dict[str, Node] = {}
        for kind, identifiers in wanted.items():
            found = _LOAD[kind](self._reading, identifiers)
            loaded.update((node.key, node) for node in found.nodes)
            for edge in dict.fromkeys(found.edges):
                self._incoming.setdefault(edge.target, []).append(edge)
        self.nodes.update((key, loaded[key]) for key in new if key in loaded)

    def up(self, roots: Sequence[str], depth: int) -> None:
        level, done = self._kept(roots, set()), set(roots)
        for _ in range(depth):
            incoming = [edge for key in level for edge in self._incoming.get(key, ())]
            self.visit(edge.source for edge in incoming)
            # The champion is a figure to compare with; where it came from is its own lineage.
            level = self._kept((edge.source for edge in incoming if edge.kind is not EdgeKind.CHAMPION), done)
        beyond = {edge.source for key in level for edge in self._incoming.get(key, ())}
        self._cut = self._cut or not self._asked.issuperset(beyond)

    def down(self, roots: Sequence[str], depth: int) -> None:
        level, done = self._kept(roots, set()), set(roots)
        for _ in range(depth):
            keys = self._reached(level)
            self.visit(keys)
            level = self._kept(keys, done)
            # An evaluation says nothing without what it was measured on, and by which run.
            measured = (edge for key in level for edge in self._incoming.get(key, ()) if edge.kind is EdgeKind.MEASURED)
            self.visit(edge.source for edge in measured)
        self._cut = self._cut or not self._asked.issuperset(self._reached(level))

    def lineage(self, roots: Sequence[str]) -> Lineage:
        edges = (edge for key in self.nodes for edge in self._incoming.get(key, ()) if edge.source in self.nodes)
        return Lineage(
            nodes=tuple(self.nodes.values()),
            edges=tuple(edges),
            roots=tuple(key for key in roots if key in self.nodes),
            truncated=self._cut or self._reading.cut,
        )

    def _kept(self, keys: Iterable[str], done: set[str]) -> list[str]:
        """Return the keys to go on from: those that exist and were not gone on from before."""
        kept = [key for key in dict.fromkeys(keys) if key in self.nodes and key not in done]
        done.update(kept)
        return kept

    def _reached(self, level: Sequence[str]) -> list[str]:
        by_kind: dict[NodeKind, list[Node]] = {}
        for key in level:
            by_kind.setdefault(self.nodes[key].kind, []).append(self.nodes[key])
        return [key for kind, nodes in by_kind.items() for key in _REACH[kind](self._reading, nodes)]
