"""YAML as a tree of plain values in which every place knows its line.

What can't be read is collected, not raised, so that a file's mistakes can be told together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from headgate.flows.mistakes import Mistake
from headgate.tasks.places import Place, line_of
from headgate.tasks.yaml_reading import NotYaml, TooLarge, YamlReading, compose, line_of_node

_MAX_BYTES = 4_000_000
_MAX_NODES = 100_000
_MAX_DEPTH = 40


@dataclass(slots=True)
class Tree:
    """The content of a YAML file.

    Args:
        value: mappings, lists, texts, numbers, booleans and None.
        lines: place → 1-based line; a key's own line for what stands under a key.
        texts: place → what was written, for scalars without quotes.
        mistakes: what can't be read, each with its line.
        spoken_for: places with a mistake.
    """

    file: str
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    spoken_for: set[Place] = field(default_factory=set)

    def line(self, place: Place) -> int | None:
        """Return the line of a place, or of the nearest one around it."""
        return line_of(self.lines, place)

    def note(self, place: Place, what: str, remedy: str) -> None:
        """Add a mistake at a place."""
        self.spoken_for.add(place)
        self.mistakes.append(Mistake(what, remedy, self.file, self.line(place)))


def read_tree(text: str, file: str) -> Tree:
    """Read YAML; ``file`` is what messages call it. Never raises: what is wrong stands in ``mistakes``."""
    tree = Tree(file)

    def mistake(line: int | None, what: str, remedy: str) -> None:
        tree.mistakes.append(Mistake(what, remedy, file, line))

    if len(text) > _MAX_BYTES:
        mistake(None, "The file is larger than a pipeline can be.", "Give a pipeline file.")
        return tree
    try:
        node = compose(text)
    except NotYaml as error:
        quotes = "Check indentation and quotes; a value that starts with {{ stands in quotes."
        remedy = "Write the file as plain text." if error.line is None else quotes
        mistake(error.line, f"This is not YAML: {error.reason}.", remedy)
        return tree
    if node is not None:
        reading = _PipelineReading(text, mistake)
        tree.lines, tree.texts = reading.lines, reading.texts
        try:
            tree.value = reading.value(node)
        except TooLarge as error:
            what = "The file is too large or too deep; an alias may contain itself."
            mistake(error.line, what, "Write less in one pipeline.")
    return tree


class _PipelineReading(YamlReading):
    """Knows a template that its author forgot to put in quotes."""

    def __init__(self, text: str, mistake: Callable[[int, str, str], None]) -> None:
        super().__init__(mistake, most_nodes=_MAX_NODES, deepest=_MAX_DEPTH)
        self._text = text

    def mapping(self, node: yaml.MappingNode, place: Place) -> Any:
        if not _unquoted_template(node):
            return super().mapping(node, place)
        what, remedy = "A value that starts with {{ has no quotes.", 'Write "{{ … }}", in quotes.'
        self.mistake(line_of_node(node), what, remedy)
        return self._text[node.start_mark.index : node.end_mark.index]


def _unquoted_template(node: yaml.MappingNode) -> bool:
    """``{{ params.x }}`` without quotes is, to YAML, a mapping whose only key is a mapping."""
    return len(node.value) == 1 and all(
        isinstance(inner, yaml.MappingNode) and inner.flow_style for inner in (node, node.value[0][0])
    )
