"""The page of a lineage: the graph drawn, and the same in words. What the reader may not see has a place, no name."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.server.pages.links import Links
from headgate.server.pages.rendering import Page, render
from headgate.server.pages.rights import UNKNOWN
from headgate.server.pages.visit import NotAllowed, Visit
from headgate.store.entities import RunContext
from headgate.store.lineage import EdgeKind, Lineage, Node, NodeKind
from headgate.store.lineage.layout import Box, lay_out
from headgate.store.lineage.render import CUT, KIND_WORDS, detail
from headgate.store.lineage.svg import LONGEST_CAPTION, LONGEST_LABEL, caption, joined_edges, shortened
from headgate.store.store import Store

_NODES = 150
_NOT_SHOWN = "not yours to read"


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """A node with its place; texts are cut to fit into its box, ``full_label`` and ``title`` are whole."""

    kind: str
    caption: str
    label: str
    full_label: str
    title: str
    href: str | None
    root: bool
    x: float
    y: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    path: str
    said: str


def lineage_page(store: Store, visit: Visit, subject: str | None = None) -> Page:
    """Return where something comes from and what came of it.

    Args:
        subject: as :meth:`headgate.store.lineage.LineageGraph.of` takes it.

    Raises:
        NotFound: there is no such thing.
        InvalidInput: the subject can't be read.
        NotAllowed: it belongs to a pipeline that the reader may not see.
    """
    found = store.lineage.of(subject or "", limit=_NODES)
    hidden = _hidden(store, visit, found)
    if found.roots[0] in hidden:
        raise NotAllowed(
            "This belongs to a pipeline that you may not read.",
            remedy="Ask whoever runs it for the right to read its runs.",
        )
    edges = joined_edges(found.edges)
    drawing = lay_out([node.key for node in found.nodes], list(edges))
    labels = {node.key: _NOT_SHOWN if node.key in hidden else node.label or node.id for node in found.nodes}
    words = {node.key: f"{KIND_WORDS[node.kind]} {labels[node.key]}" for node in found.nodes}
    sources: dict[str, list[str]] = {}
    for (source, target), said in edges.items():
        sources.setdefault(target, []).append(f"{words[source]} ({said})")
    nodes = [
        _drawn(
            node,
            visit.links,
            labels[node.key],
            box,
            tuple(sources.get(node.key, ())),
            root=node.key == found.roots[0],
            hidden=node.key in hidden,
        )
        for node, box in zip(found.nodes, drawing.boxes, strict=True)
    ]
    root = found.by_key[found.roots[0]]
    return render(
        "lineage.html",
        visit,
        subject=subject,
        title=f"{KIND_WORDS[root.kind]} {root.label or root.id}",
        nodes=nodes,
        edges=[
            DrawnEdge(line.path, f"{words[line.source]} → {words[line.target]}: {edges[line.source, line.target]}")
            for line in drawing.lines
        ],
        width=drawing.width,
        height=drawing.height,
        cut=f"{CUT} At most {_NODES} things are drawn; headgate lineage show has more." if found.truncated else "",
    )


def _hidden(store: Store, visit: Visit, found: Lineage) -> frozenset[str]:
    """Return the keys of what the reader may not see.

    A run belongs to its pipeline; a model to the run that made it; a verdict to its candidate and its run; an
    evaluation to its model and its run; a dataset to everybody who may see something that was done with it.
    """
    attributes = {node.key: node.attributes for node in found.nodes}
    run_ids = {node.id for node in found.of_kind(NodeKind.RUN)}
    model_ids = {node.id for node in found.of_kind(NodeKind.LOGGED_MODEL)}
    for node in found.nodes:
        said = (node.attributes.get(name) for name in ("run_id", "source_run_id"))
        run_ids.update(each for each in said if isinstance(each, str))
        about = (node.attributes.get(name) for name in ("model_id", "candidate_model_id"))
        model_ids.update(each for each in about if isinstance(each, str))
    runs, models = store.pipeline_runs.contexts(run_ids, model_ids)

    def run_hidden(run_id: object) -> bool:
        return isinstance(run_id, str) and not visit.reader.may_read(runs.get(run_id, UNKNOWN))

    def model_hidden(model_id: object) -> bool:
        owner = models.get(model_id, UNKNOWN) if isinstance(model_id, str) else None
        return isinstance(owner, RunContext) and not visit.reader.may_read(owner)

    hidden = set()
    for node in found.nodes:
        facts = attributes[node.key]
        match node.kind:
            case NodeKind.RUN:
                secret = run_hidden(node.id)
            case NodeKind.LOGGED_MODEL:
                secret = model_hidden(node.id)
            case NodeKind.EVALUATION:
                secret = run_hidden(facts.get("run_id")) or model_hidden(facts.get("model_id"))
            case NodeKind.VERDICT:
                deciding = (e.source for e in found.incoming[node.key] if e.kind is EdgeKind.DECIDED)
                deciders = [key.partition(":")[2] for key in deciding]
                secret = model_hidden(facts.get("candidate_model_id")) or any(map(run_hidden, deciders))
            case _:
                secret = False
        if secret:
            hidden.add(node.key)
    return frozenset(hidden | _hidden_datasets(found, hidden))


def _hidden_datasets(found: Lineage, hidden: set[str]) -> set[str]:
    touching: dict[str, list[str]] = {}
    for edge in found.edges:
        touching.setdefault(edge.source, []).append(edge.target)
        touching.setdefault(edge.target, []).append(edge.source)
    return {
        node.key
        for node in found.of_kind(NodeKind.DATASET)
        if touching.get(node.key) and hidden.issuperset(touching[node.key])
    }


def _drawn(
    node: Node, links: Links, label: str, box: Box, sources: tuple[str, ...], *, root: bool, hidden: bool
) -> DrawnNode:
    more = "" if hidden else detail(node)
    return DrawnNode(
        kind=node.kind.value,
        caption=shortened(KIND_WORDS[node.kind] if hidden else caption(node), LONGEST_CAPTION),
        label=shortened(label, LONGEST_LABEL),
        full_label=label,
        title=f"{KIND_WORDS[node.kind]} {label}{f' ({more})' if more else ''}",
        href=None if hidden else _address(node, links),
        root=root,
        x=box.x,
        y=box.y,
        sources=sources,
    )


def _address(node: Node, links: Links) -> str | None:
    match node.kind:
        case NodeKind.RUN:
            return links.run(node.id)
        case NodeKind.LOGGED_MODEL:
            return links.logged_model(node.id)
        case NodeKind.VERDICT:
            return links.verdict(node.id)
        case NodeKind.MODEL_VERSION:
            return links.version(str(node.attributes["name"]), int(node.attributes["version"]))
        case NodeKind.ALIAS | NodeKind.STAGE:
            return links.model(str(node.attributes["name"]))
        case NodeKind.PROMOTION:
            return links.model(str(node.attributes["model_name"]))
        case NodeKind.DATASET:
            return links.lineage(f"dataset:{node.id}")
        case _:
            return None
