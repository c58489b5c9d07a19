"""A lineage graph as a value: nodes, and edges that point the way things flow, from the data to the alias that serves.

===============  ==============================================  ==========================================
kind             id                                              incoming edges
===============  ==============================================  ==========================================
dataset          ``name@digest``                                 ``output`` of the run that made its source
run              run id                                          ``input`` of datasets and models, ``parent``,
                                                                 ``retry`` of the attempt before, ``reference``
                                                                 to a run whose id or artifacts a param names
logged_model     model id                                        ``output`` of its run
evaluation       ``model id/run id/name@digest``                 ``measured`` model, dataset and run
verdict          verdict id                                      ``candidate``, ``champion``, ``evidence``, and
                                                                 ``decided`` by a run
promotion        promotion id                                    ``permits``, from its verdict
model_version    ``name/version``                                ``registered`` model or run, ``promotes``
alias            ``name@alias``                                  ``holds``, from the version it points to
stage            ``name/Stage``                                  ``holds``, from each version in it
===============  ==============================================  ==========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any


class NodeKind(StrEnum):
    DATASET = "dataset"
    RUN = "run"
    LOGGED_MODEL = "logged_model"
    EVALUATION = "evaluation"
    VERDICT = "verdict"
    PROMOTION = "promotion"
    MODEL_VERSION = "model_version"
    ALIAS = "alias"
    STAGE = "stage"


class EdgeKind(StrEnum):
    INPUT = "input"
    OUTPUT = "output"
    PARENT = "parent"
    RETRY = "retry"
    REFERENCE = "reference"
    MEASURED = "measured"
    CANDIDATE = "candidate"
    CHAMPION = "champion"
    EVIDENCE = "evidence"
    DECIDED = "decided"
    PERMITS = "permits"
    REGISTERED = "registered"
    PROMOTES = "promotes"
    HOLDS = "holds"


def key_of(kind: NodeKind, identifier: str) -> str:
    """Return what edges call a node: its kind and its id."""
    return f"{kind.value}:{identifier}"


def split_key(key: str) -> tuple[NodeKind, str]:
    """Return the kind and the id that :func:`key_of` joined."""
    kind, _, identifier = key.partition(":")
    return NodeKind(kind), identifier


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that is recorded.

    Args:
        kind: what it is.
        id: names it among its kind; see the module.
        label: a few words for people.
        attributes: plain values by name; times are epoch ms. What is unknown is left out.
    """

    kind: NodeKind
    id: str
    label: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return key_of(self.kind, self.id)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """``source`` flowed into ``target``; both are keys of nodes (:func:`key_of`)."""

    source: str
    target: str
    kind: EdgeKind


@dataclass(frozen=True)
class Lineage:
    """What something comes from and what came of it.

    Args:
        nodes: in the order in which they were found, nearest first.
        edges: between these nodes only.
        roots: keys of what was asked for, first; then what stands for the same thing (an alias's version, its model).
        truncated: whether a limit cut something off.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    roots: tuple[str, ...] = ()
    truncated: bool = False

    @cached_property
    def by_key(self) -> Mapping[str, Node]:
        return {node.key: node for node in self.nodes}

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges into each node, by the node's key."""
        return self._grouped("target")

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges out of each node, by the node's key."""
        return self._grouped("source")

    def of_kind(self, kind: NodeKind) -> tuple[Node, ...]:
        """Return the nodes of one kind."""
        return tuple(node for node in self.nodes if node.kind is kind)

    def _grouped(self, end: str) -> Mapping[str, tuple[Edge, ...]]:
        grouped: dict[str, list[Edge]] = {node.key: [] for node in self.nodes}
        for edge in self.edges:
            grouped[getattr(edge, end)].append(edge)
        return {key: tuple(edges) for key, edges in grouped.items()}
