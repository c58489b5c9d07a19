"""YAML as a tree of plain values in which every place knows its line.

What can't be read is collected, not raised, so that a file's mistakes can be told together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from headgate.flows.mistakes import Mistake, Place
from headgate.tasks.yaml_words import MERGE_TAG, WordsLoader, scalar_value

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
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None

    def note(self, place: Place, what: str, remedy: str) -> None:
        """Add a mistake at a place."""
        self.spoken_for.add(place)
        self.mistakes.append(Mistake(what, remedy, self.file, self.line(place)))


def read_tree(text: str, file: str) -> Tree:
    """Read YAML; ``file`` is what messages call it. Never raises: what is wrong stands in ``mistakes``."""
    tree = Tree(file)
    if len(text) > _MAX_BYTES:
        tree.mistakes.append(Mistake("The file is larger than a pipeline can be.", "Give a pipeline file.", file))
        return tree
    try:
        node = yaml.compose(text, Loader=WordsLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        tree.mistakes.append(
            Mistake(
                f"This is not YAML: {error.problem or error.context}.",
                "Check indentation and quotes; a value that starts with {{ stands in quotes.",
                file,
                mark.line + 1 if mark else None,
            )
        )
        return tree
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        tree.mistakes.append(Mistake(f"This is not YAML: {reason}.", "Write the file as plain text.", file))
        return tree
    if node is not None:
        _Walk(tree, text).run(node)
    return tree


class _Walk:
    def __init__(self, tree: Tree, text: str) -> None:
        self.tree = tree
        self.text = text
        self.seen = 0

    def run(self, node: yaml.Node) -> None:
        try:
            self.tree.value = self.value(node, ())
        except _TooLarge as error:
            self.tree.value = None
            self.tree.mistakes.append(
                Mistake(
                    "The file is too large or too deep; an alias may contain itself.",
                    "Write less in one pipeline.",
                    self.tree.file,
                    error.line,
                )
            )

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.tree.lines.setdefault(place, node.start_mark.line + 1)
        self.seen += 1
        if self.seen > _MAX_NODES or len(place) > _MAX_DEPTH:
            raise _TooLarge(node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return self.scalar(node, place)

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any] | str:
        if _unquoted_template(node):
            self.note(
                node.start_mark.line + 1, "A value that starts with {{ has no quotes.", 'Write "{{ … }}", in quotes.'
            )
            return self.text[node.start_mark.index : node.end_mark.index]
        own: dict[str, Any] = {}
        merges: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.note(line, "A key must be a word.", "Write key: value lines.")
            elif key_node.tag == MERGE_TAG:
                merges.append(value_node)
            elif key_node.value in own:
                self.note(line, f"{key_node.value!r} stands twice.", "Keep one of them.")
            else:
                key = key_node.value
                self.tree.lines.setdefault((*place, key), line)
                own[key] = self.value(value_node, (*place, key))
        return {**self.merged(merges, place), **own} if merges else own

    def merged(self, merges: list[yaml.Node], place: Place) -> dict[str, Any]:
        """Return what ``<<`` brings in; of several mappings, the first one that has a key gives it."""
        values: dict[str, Any] = {}
        for node in merges:
            for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
                value = self.value(source, place)
                if isinstance(value, dict):
                    values = {**value, **values}
                else:
                    self.note(source.start_mark.line + 1, "<< merges mappings only.", "Write <<: *ANCHOR.")
        return values

    def scalar(self, node: yaml.Node, place: Place) -> Any:
        if getattr(node, "style", None) is None:
            self.tree.texts[place] = node.value
        try:
            return scalar_value(node)
        except ValueError:
            text = str(node.value)
            self.note(
                node.start_mark.line + 1, f"{text!r} with the tag {node.tag!r} can't be read.", "Leave the tag out."
            )
            return text

    def note(self, line: int, what: str, remedy: str) -> None:
        self.tree.mistakes.append(Mistake(what, remedy, self.tree.file, line))


def _unquoted_template(node: yaml.MappingNode) -> bool:
    """``{{ params.x }}`` without quotes is, to YAML, a mapping whose only key is a mapping."""
    return len(node.value) == 1 and all(
        isinstance(inner, yaml.MappingNode) and inner.flow_style for inner in (node, node.value[0][0])
    )


class _TooLarge(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line
