"""The gate file: YAML in, a :class:`~headgate.tasks.gates.model.Gate` out, every mistake with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.definition import Origin, Where, gate_from_definition
from headgate.tasks.gates.model import MAX_CHECKS, MAX_DEPTH, Gate
from headgate.tasks.yaml_words import MERGE_TAG, WordsLoader, scalar_value

_MAX_BYTES = 1_000_000
_MAX_NODES = 20 * MAX_CHECKS
_MAX_NESTING = 2 * MAX_DEPTH + 6


def load_gate(path: str | Path) -> Gate:
    """Read a gate file.

    Args:
        path: the file, usually ``gate.yaml``.

    Returns:
        The gate; equal, in definition and digest, to the same gate built in Python.

    Raises:
        InvalidGate: the file is not there, is not YAML, or says something that a gate can't mean; with ``file`` and
            ``line``.
    """
    return parse_gate(read_file(path), file=str(path))


def read_file(path: str | Path, what: str = "gate") -> bytes:
    """Return the content of a gate file, or of one like it, or raise InvalidGate."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidGate(
            f"The {what} file {path} can't be read: {error.strerror}.",
            remedy=f"Give the path of a {what} file, relative to the working directory or absolute.",
            file=str(path),
            line=None,
        ) from error


def parse_gate(content: str | bytes, *, file: str = "gate.yaml") -> Gate:
    """Read a gate from the content of a gate file; ``file`` is what errors call it. Raises as :func:`load_gate`."""
    return gate_from_definition(*read_definition(content, file=file))


def read_definition(content: str | bytes, *, file: str) -> tuple[Any, Origin]:
    """Return the plain values of a gate file, or of one like it, and where in the file each of them stands.

    Raises:
        InvalidGate: the content is not YAML, or is too large.
    """
    node = _compose(content, file)
    reading = _Reading(file)
    value = reading.value(node, ())
    return value, Origin(file, reading.lines, reading.texts)


def _compose(content: str | bytes, file: str) -> yaml.Node:
    if len(content) > _MAX_BYTES:
        raise InvalidGate(f"{file} is larger than a gate can be.", remedy="Give a gate file.", file=file, line=None)
    try:
        node = yaml.compose(content, Loader=WordsLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        place = file if line is None else f"{file}:{line}"
        raise InvalidGate(
            f"{place}: this is not YAML: {error.problem}.", remedy="Check indentation and quotes.", file=file, line=line
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidGate(
            f"{file}: this is not YAML that can be read: {type(error).__name__}.",
            remedy="Write the gate as UTF-8 text.",
            file=file,
            line=None,
        ) from error
    if node is None:
        raise InvalidGate(f"{file}:1: the file is empty.", remedy="A gate needs a name and checks.", file=file, line=1)
    return node


class _Reading:
    """One pass over the YAML nodes: plain values, and the line and the written text of each place."""

    def __init__(self, file: str) -> None:
        self.lines: dict[Where, int] = {}
        self.texts: dict[Where, str] = {}
        self._file = file
        self._seen = 0

    def value(self, node: yaml.Node, where: Where) -> Any:
        self.lines.setdefault(where, node.start_mark.line + 1)
        self._seen += 1
        if self._seen > _MAX_NODES or len(where) > _MAX_NESTING:  # anchors can make a small file endless
            raise self._mistake(node, "the gate is too large or too deep.", "Split it into several gates.")
        if isinstance(node, yaml.MappingNode):
            own = dict(self._entries(node, where))
            return {**self._merged(node, where), **own}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*where, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, where)

    def _entries(self, node: yaml.MappingNode, where: Where) -> Iterator[tuple[str, Any]]:
        written: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == MERGE_TAG:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._mistake(key_node, "a key must be a word.", "Write `key: value` lines.")
            key = key_node.value
            if key in written:
                raise self._mistake(key_node, f"`{key}` is written twice.", "Keep one of them.")
            written.add(key)
            self.lines.setdefault((*where, key), key_node.start_mark.line + 1)
            yield key, self.value(value_node, (*where, key))

    def _merged(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        """Return what ``<<`` brings in; of several mappings, the first one that has a key gives it."""
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag != MERGE_TAG:
                continue
            for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                if not isinstance(source, yaml.MappingNode):
                    raise self._mistake(source, "<< merges mappings only.", "Write <<: *ANCHOR.")
                values = {**self.value(source, where), **values}
        return values

    def _scalar(self, node: yaml.Node, where: Where) -> Any:
        if getattr(node, "style", None) is None:
            self.texts.setdefault(where, node.value)
        try:
            return scalar_value(node)
        except ValueError as error:
            raise self._mistake(
                node, f"{node.value!r} is not a value that a gate can hold.", "Put it in quotes."
            ) from error

    def _mistake(self, node: yaml.Node, message: str, remedy: str) -> InvalidGate:
        line = node.start_mark.line + 1
        return InvalidGate(f"{self._file}:{line}: {message}", remedy=remedy, file=self._file, line=line)
