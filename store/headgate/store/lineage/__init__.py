"""Lineage: from the data to the alias that serves, and back.

``graph`` holds the values. ``walk`` collects them from the store: ``subject`` says where to start, and ``runs``,
``models`` and ``promotions`` know what leads where. ``render`` turns a graph into text, Mermaid or JSON,
``layout`` and ``svg`` into a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "Edge": ".graph",
    "EdgeKind": ".graph",
    "Lineage": ".graph",
    "LineageGraph": ".walk",
    "Node": ".graph",
    "NodeKind": ".graph",
    "to_document": ".render",
    "to_json": ".render",
    "to_mermaid": ".render",
    "to_svg": ".svg",
    "to_text": ".render",
}

if TYPE_CHECKING:
    from headgate.store.lineage.graph import Edge as Edge
    from headgate.store.lineage.graph import EdgeKind as EdgeKind
    from headgate.store.lineage.graph import Lineage as Lineage
    from headgate.store.lineage.graph import Node as Node
    from headgate.store.lineage.graph import NodeKind as NodeKind
    from headgate.store.lineage.render import to_document as to_document
    from headgate.store.lineage.render import to_json as to_json
    from headgate.store.lineage.render import to_mermaid as to_mermaid
    from headgate.store.lineage.render import to_text as to_text
    from headgate.store.lineage.svg import to_svg as to_svg
    from headgate.store.lineage.walk import LineageGraph as LineageGraph

__all__ = [
    "Edge",
    "EdgeKind",
    "Lineage",
    "LineageGraph",
    "Node",
    "NodeKind",
    "to_document",
    "to_json",
    "to_mermaid",
    "to_svg",
    "to_text",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
