"""Headgate's own YAML files as plain values, with the line and the written text of each place.

Gate, watch, guards and pipeline files are one dialect: the words of :mod:`headgate.tasks.yaml_words`, ``<<`` to merge
what an anchor names, and no key twice. A caller says what becomes of a mistake: it may raise, or collect several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from headgate.tasks.places import Place
from headgate.tasks.yaml_words import MERGE_TAG, WordsLoader, scalar_value


class NotYaml(Exception):
    """A text is not YAML: why, and in which line, where that is known."""

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason, line)
        self.reason = reason
        self.line = line


class TooLarge(Exception):
    """A file says more than its kind may, or goes deeper: anchors can make a small one endless."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def compose(content: str | bytes) -> yaml.Node | None:
    """Return the nodes of a YAML text; None when it is empty.

    Raises:
        NotYaml: it can't be read.
    """
    try:
        return yaml.compose(content, Loader=WordsLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(str(error.problem or error.context), mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise NotYaml(str(error).splitlines()[0], None) from error


class YamlReading:
    """One pass over the nodes of a file.

    Args:
        mistake: told of what can't be read: its line, what is wrong and the remedy. When it returns, reading goes on.
        most_nodes: of the file, what aliases repeat included.
        deepest: how many keys and indexes lead to a place.

    Attributes:
        lines: place → 1-based line; a key's own line for what stands under a key.
        texts: place → what was written, for scalars without quotes.
    """

    def __init__(self, mistake: Callable[[int, str, str], None], *, most_nodes: int, deepest: int) -> None:
        self.lines: dict[Place, int] = {}
        self.texts: dict[Place, str] = {}
        self.mistake = mistake
        self._left = most_nodes
        self._deepest = deepest

    def value(self, node: yaml.Node, place: Place = ()) -> Any:
        """Return what a node means: mappings, lists, texts, numbers, booleans and None.

        Raises:
            TooLarge: there are too many nodes, or one is too deep.
        """
        self.lines.setdefault(place, line_of_node(node))
        self._left -= 1
        if self._left < 0 or len(place) > self._deepest:
            raise TooLarge(line_of_node(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, place)

    def mapping(self, node: yaml.MappingNode, place: Place) -> Any:
        """Return what a mapping means; a dialect may have more to say of one."""
        own: dict[str, Any] = {}
        merges: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = line_of_node(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistake(line, "A key must be a word.", "Write `key: value` lines.")
            elif key_node.tag == MERGE_TAG:
                merges += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            elif key_node.value in own:
                self.mistake(line, f"`{key_node.value}` is written twice.", "Keep one of them.")
            else:
                key = key_node.value
                self.lines.setdefault((*place, key), line)
                own[key] = self.value(value_node, (*place, key))
        return {**self._merged(merges, place), **own} if merges else own

    def _merged(self, sources: list[yaml.Node], place: Place) -> dict[str, Any]:
        """Return what ``<<`` brings in; of several mappings, the first one that has a key gives it."""
        values: dict[str, Any] = {}
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                value = self.value(source, place)
                values = {**value, **values} if isinstance(value, dict) else values
            else:
                self.mistake(line_of_node(source), "<< merges mappings only.", "Write <<: *ANCHOR.")
        return values

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        # What stands here comes before what is merged in, whose text is read later.
        if getattr(node, "style", None) is None:
            self.texts.setdefault(place, node.value)
        try:
            return scalar_value(node)
        except ValueError:
            text = str(node.value)
            what = f"{text!r} with the tag {node.tag!r} can't be read."
            self.mistake(line_of_node(node), what, "Leave the tag out, or put the value in quotes.")
            return text


def line_of_node(node: yaml.Node) -> int:
    """Return the 1-based line that a node begins in."""
    return int(node.start_mark.line) + 1
