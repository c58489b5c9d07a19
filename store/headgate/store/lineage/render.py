"""A lineage as text, as Mermaid and as JSON. Pure; every door shows the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Set
from typing import Any
from urllib.parse import quote

from headgate.store.lineage.graph import Edge, EdgeKind, Lineage, Node, NodeKind

KIND_WORDS = {
    NodeKind.DATASET: "dataset",
    NodeKind.RUN: "run",
    NodeKind.LOGGED_MODEL: "model",
    NodeKind.EVALUATION: "evaluation",
    NodeKind.VERDICT: "verdict",
    NodeKind.PROMOTION: "promotion",
    NodeKind.MODEL_VERSION: "version",
    NodeKind.ALIAS: "alias",
    NodeKind.STAGE: "stage",
}
CUT = "A limit cut the lineage off: there is more than is shown."

_UNPREFIXED = (NodeKind.PROMOTION, NodeKind.MODEL_VERSION)  # their labels say what they are
_UPSTREAM_WORDS = {
    EdgeKind.CHAMPION: "compared with ",
    EdgeKind.PARENT: "part of ",
    EdgeKind.REFERENCE: "uses ",
    EdgeKind.RETRY: "retry of ",
}
_DOWNSTREAM_WORDS = {
    EdgeKind.CHAMPION: "champion in ",
    EdgeKind.PARENT: "holds ",
    EdgeKind.REFERENCE: "used by ",
    EdgeKind.RETRY: "retried as ",
}

# Opening and closing marks of Mermaid's node shapes.
_SHAPES = {
    NodeKind.DATASET: ("[(", ")]"),
    NodeKind.RUN: ("[", "]"),
    NodeKind.LOGGED_MODEL: ("([", "])"),
    NodeKind.EVALUATION: ("[/", "/]"),
    NodeKind.VERDICT: ("{{", "}}"),
    NodeKind.PROMOTION: (">", "]"),
    NodeKind.MODEL_VERSION: ("[[", "]]"),
    NodeKind.ALIAS: ("((", "))"),
    NodeKind.STAGE: ("((", "))"),
}
_PLAIN_MARKS = frozenset(" _.,:/=+-")
_LONGEST_LABEL = 80
_URL = ":/?#@!$&()*+,;=%"  # what an address may have, but for quotation marks


def detail(node: Node) -> str:
    """Return the few facts about a node that people want beside its label; empty when there are none."""
    attributes = node.attributes
    match node.kind:
        case NodeKind.DATASET:
            return f"digest {attributes['digest']}"
        case NodeKind.RUN:
            attempt, commit = attributes.get("attempt", 1), attributes.get("git_commit")
            parts = [node.id, attributes.get("status"), f"attempt {attempt}" if attempt > 1 else None]
            return ", ".join(str(part) for part in [*parts, commit and f"commit {commit[:12]}"] if part)
        case NodeKind.LOGGED_MODEL | NodeKind.VERDICT:
            return node.id
        case NodeKind.PROMOTION:
            reason = f": {attributes['reason']}" if "reason" in attributes else ""
            return f"by {attributes.get('actor', 'unknown')}{reason}"
        case _:
            return ""


def to_text(lineage: Lineage) -> str:
    """Return the lineage as trees of plain text: below what was asked for, what it comes from; then what came of it.

    A node is written in full where it is first met, and without its details, or with an ellipsis instead of its
    branches, where it is met again.
    """
    if not lineage.nodes:
        return ""
    trees = _Trees(lineage)
    first, *others = lineage.roots or tuple(node.key for node in lineage.nodes[:1])
    lines = [trees.line(first), *trees.below(first, upstream=True)]
    for heading, upstream in (("leads to", False), ("comes from", True)):
        for root in (first, *others):
            branches = list(trees.below(root, upstream=upstream))
            if branches:
                lines += ["", f"{trees.line(root)} {heading}", *branches]
    return "\n".join([*lines, *(["", CUT] if lineage.truncated else [])])


def to_mermaid(lineage: Lineage, links: Mapping[str, str] | None = None) -> str:
    """Return the lineage as a Mermaid flowchart, left to right. Labels are escaped: they are text, never markup.

    Args:
        links: by key of a node, the address of its page; a node without one is drawn without a link.
    """
    names = {node.key: f"n{index}" for index, node in enumerate(lineage.nodes)}
    lines = ["flowchart LR"]
    for node in lineage.nodes:
        opening, closing = _SHAPES[node.kind]
        lines.append(f'    {names[node.key]}{opening}"{_mermaid_text(_said(node))}"{closing}')
    lines += [f"    {names[edge.source]} -->|{edge.kind.value}| {names[edge.target]}" for edge in lineage.edges]
    lines += [f"    style {names[root]} stroke-width:3px" for root in lineage.roots[:1]]
    lines += [f'    click {names[key]} "{quote(url, safe=_URL)}"' for key, url in (links or {}).items() if key in names]
    lines += [f"    %% {CUT}"] if lineage.truncated else []
    return "\n".join(lines)


def to_document(lineage: Lineage) -> dict[str, Any]:
    """Return the lineage as plain JSON values: ``roots``, ``nodes``, ``edges`` and ``truncated``.

    JSON has no NaN and no infinities: such a metric is the text ``NaN``, ``Infinity`` or ``-Infinity``, as in MLflow's
    REST API.
    """
    return {
        "roots": list(lineage.roots),
        "nodes": [
            {
                "key": node.key,
                "kind": node.kind.value,
                "id": node.id,
                "label": node.label,
                "attributes": _json_value(node.attributes),
            }
            for node in lineage.nodes
        ],
        "edges": [{"source": e.source, "target": e.target, "kind": e.kind.value} for e in lineage.edges],
        "truncated": lineage.truncated,
    }


def to_json(lineage: Lineage) -> str:
    """Return :func:`to_document` as JSON text."""
    return json.dumps(to_document(lineage), indent=2, ensure_ascii=False, allow_nan=False)


class _Trees:
    """Writes trees of one lineage, and remembers which nodes were written."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._written: set[str] = set()

    def line(self, key: str) -> str:
        node = self._lineage.by_key[key]
        extra = detail(node) if key not in self._written else ""
        self._written.add(key)
        return one_line(f"{_said(node)} ({extra})" if extra else _said(node))

    def below(self, root: str, *, upstream: bool) -> Iterator[str]:
        """Yield the branches of a root, leaving out those that hold nothing new."""
        fresh = self._leading_to_unwritten(upstream=upstream)
        words = _UPSTREAM_WORDS if upstream else _DOWNSTREAM_WORDS
        opened = {root}
        # A stack instead of recursion: a chain of retries may be long.
        stack = self._branches(root, "", fresh, upstream=upstream)
        while stack:
            edge, indent, last = stack.pop()
            key = edge.source if upstream else edge.target
            again = key in opened
            text = f"{words.get(edge.kind, '')}{self.line(key)}{' …' if again else ''}"
            yield f"{indent}{'└─ ' if last else '├─ '}{text}"
            if not again:
                opened.add(key)
                stack += self._branches(key, indent + ("   " if last else "│  "), fresh, upstream=upstream)

    def _branches(self, key: str, indent: str, fresh: Set[str], *, upstream: bool) -> list[tuple[Edge, str, bool]]:
        edges = (self._lineage.incoming if upstream else self._lineage.outgoing)[key]
        by_end = {edge.source if upstream else edge.target: edge for edge in reversed(edges)}
        shown = [edge for end, edge in reversed(by_end.items()) if end in fresh]
        # The last one pushed is written first.
        return [(edge, indent, edge is shown[-1]) for edge in reversed(shown)]

    def _leading_to_unwritten(self, *, upstream: bool) -> Set[str]:
        backwards = self._lineage.outgoing if upstream else self._lineage.incoming
        found = {node.key for node in self._lineage.nodes if node.key not in self._written}
        stack = list(found)
        while stack:
            for edge in backwards[stack.pop()]:
                before = edge.target if upstream else edge.source
                if before not in found:
                    found.add(before)
                    stack.append(before)
        return found


def _said(node: Node) -> str:
    if node.kind in _UNPREFIXED and node.label.strip():
        return node.label
    return f"{KIND_WORDS[node.kind]} {node.label}".rstrip()


def one_line(text: str) -> str:
    """Return text that can't break out of its line of a terminal: control characters are shown, not obeyed."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _mermaid_text(text: str) -> str:
    short = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
    return "".join(c if c.isalnum() or c in _PLAIN_MARKS else f"#{ord(c)};" for c in short)


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
