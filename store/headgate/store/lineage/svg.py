"""A lineage as a picture of its own: an SVG that needs no page around it, no style sheet and no script. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from headgate.store.lineage.graph import Edge, Lineage, Node, NodeKind
from headgate.store.lineage.layout import BOX_HEIGHT, BOX_WIDTH, Box, lay_out
from headgate.store.lineage.render import KIND_WORDS, detail, one_line

# So many characters fit into a box.
LONGEST_LABEL = 23
LONGEST_CAPTION = 26

_STRIPES = {
    NodeKind.DATASET: "warn",
    NodeKind.RUN: "busy",
    NodeKind.LOGGED_MODEL: "accent",
    NodeKind.EVALUATION: "err",
    NodeKind.VERDICT: "err",
    NodeKind.PROMOTION: "ok",
    NodeKind.MODEL_VERSION: "accent",
    NodeKind.ALIAS: "ok",
    NodeKind.STAGE: "ok",
}
COLOURS = {
    "panel": "#ffffff",
    "sunken": "#f1f3f4",
    "line": "#dfe3e6",
    "text": "#1c2226",
    "dim": "#5b676f",
    "accent": "#0b6b77",
    "ok": "#1f7a38",
    "warn": "#8f5300",
    "err": "#7a3296",
    "busy": "#1a5fb4",
}
"""Those of the pages in the light, as headgate.css there has them; a test compares the two."""
_STYLE = f"""
text {{ font-family: system-ui, sans-serif; font-size: 12.5px; fill: {COLOURS["text"]} }}
.kind {{ font-size: 11px; fill: {COLOURS["dim"]} }}
.edge {{ fill: none; stroke: {COLOURS["dim"]}; stroke-opacity: .6; stroke-width: 1.3 }}
.head {{ fill: {COLOURS["dim"]} }}
.body {{ fill: {COLOURS["sunken"]}; stroke: {COLOURS["line"]} }}
.root {{ stroke: {COLOURS["accent"]}; stroke-width: 2 }}
"""
_ARROW = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" d="M0 0L8 4L0 8z"/></marker>'
)


def to_svg(lineage: Lineage) -> str:
    """Return the lineage as an SVG document, laid out from the data on the left to the alias that serves on the right.

    What is too long for its box is cut; titles say it whole, as far as a viewer shows them.
    """
    edges = joined_edges(lineage.edges)
    drawing = lay_out([node.key for node in lineage.nodes], list(edges))
    root = lineage.roots[0] if lineage.roots else None
    size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}">',
            f"<style>{_STYLE}</style>",
            f"<defs>{_ARROW}</defs>",
            f'<rect width="100%" height="100%" fill="{COLOURS["panel"]}"/>',
            *(
                f'<path class="edge" d="{line.path}" marker-end="url(#head)">'
                f"<title>{escape(edges[line.source, line.target])}</title></path>"
                for line in drawing.lines
            ),
            *(
                part
                for node, box in zip(lineage.nodes, drawing.boxes, strict=True)
                for part in _node(node, box, root=node.key == root)
            ),
            "</svg>",
        ]
    )


def joined_edges(edges: Iterable[Edge]) -> Mapping[tuple[str, str], str]:
    """Return what leads where (keys of source and target), with every way in which it does."""
    joined: dict[tuple[str, str], list[str]] = {}
    for edge in edges:
        joined.setdefault((edge.source, edge.target), []).append(edge.kind.value)
    return {ends: ", ".join(kinds) for ends, kinds in joined.items()}


def caption(node: Node) -> str:
    """Return what a node is, and how it stands, where it has a standing."""
    status = node.attributes.get("status") or node.attributes.get("outcome")
    return f"{KIND_WORDS[node.kind]}, {str(status).lower()}" if status else KIND_WORDS[node.kind]


def shortened(text: str, longest: int) -> str:
    """Return a text with at most so many characters, an ellipsis at the end of one that was longer."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _node(node: Node, box: Box, *, root: bool) -> Iterator[str]:
    label = node.label or node.id
    more = detail(node)
    title = f"{KIND_WORDS[node.kind]} {label}{f' ({more})' if more else ''}"
    yield f'<g transform="translate({box.x:.1f} {box.y:.1f})"><title>{_text(title)}</title>'
    yield f'<rect class="body{" root" if root else ""}" width="{BOX_WIDTH:.0f}" height="{BOX_HEIGHT:.0f}" rx="7"/>'
    yield f'<rect width="4" height="36" x="8" y="8" rx="2" fill="{COLOURS[_STRIPES[node.kind]]}"/>'
    yield f'<text class="kind" x="22" y="20">{_text(shortened(caption(node), LONGEST_CAPTION))}</text>'
    yield f'<text x="22" y="38">{_text(shortened(label, LONGEST_LABEL))}</text></g>'


def _text(text: str) -> str:
    return escape(one_line(text))
