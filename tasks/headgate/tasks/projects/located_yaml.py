"""YAML files whose values know their line, so that a mistake can be shown where it stands."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from headgate.store.errors import InvalidProject
from headgate.tasks.places import line_of

# The deepest place that an MLproject file names: entry_points.<name>.parameters.<name>.default
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class LocatedYaml:
    """The content of a YAML file, and the line of each of its keys and items.

    Args:
        value: what ``yaml.safe_load`` gives.
        lines: path of keys and indexes → 1-based line.
        repeated: lines of keys that stand twice in one mapping (the last one counts), with their path.
    """

    file: Path
    value: Any
    lines: dict[tuple[Hashable, ...], int] = field(default_factory=dict)
    repeated: tuple[tuple[tuple[Hashable, ...], int], ...] = ()

    def line(self, *path: Hashable) -> int | None:
        """Return the line of the value at ``path``, or of the nearest one around it."""
        return line_of(self.lines, path)

    def mistake(self, what: str, *path: Hashable, remedy: str) -> InvalidProject:
        """Return the error that says ``what`` is wrong at ``path``."""
        return invalid_at(self.file, self.line(*path), what, remedy=remedy)


def invalid_at(file: Path | None, line: int | None, what: str, *, remedy: str, **attributes: Any) -> InvalidProject:
    """Return an :class:`InvalidProject` that opens with the place, when there is one."""
    place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
    return InvalidProject(
        f"{place}{what}", remedy=remedy, file=None if file is None else str(file), line=line, **attributes
    )


def read_yaml(file: Path) -> LocatedYaml:
    """Read a YAML file as ``yaml.safe_load`` does.

    Raises:
        InvalidProject: the file can't be read or is not YAML; ``file`` and ``line`` say where.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise invalid_at(file, None, "The file is not UTF-8 text.", remedy="Save it as UTF-8.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).rstrip(".")
        raise invalid_at(file, None, f"The file can't be read: {reason}.", remedy="Check its permissions.") from error
    loader = yaml.SafeLoader(text)
    lines: dict[tuple[Hashable, ...], int] = {}
    repeated: dict[tuple[Hashable, ...], int] = {}
    try:
        root = loader.get_single_node()
        for path, line in () if root is None else _places(root, ()):
            if path in lines and path[:-1] not in repeated:
                repeated[path] = line
            lines[path] = line
        value = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise _not_yaml(file, error) from error
    except (ValueError, RecursionError) as error:  # a date such as 2026-13-45; an alias of itself
        raise invalid_at(file, None, f"This is not YAML: {error}.", remedy="Correct the file.") from error
    finally:
        loader.dispose()
    return LocatedYaml(file, value, lines, tuple(repeated.items()))


def _not_yaml(file: Path, error: yaml.YAMLError) -> InvalidProject:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    line = None if mark is None else mark.line + 1
    return invalid_at(file, line, f"This is not YAML: {problem}.", remedy="Check the indentation and the quotes.")


def _places(node: yaml.Node, path: tuple[Hashable, ...]) -> Iterator[tuple[tuple[Hashable, ...], int]]:
    if not path:
        yield path, node.start_mark.line + 1
    if len(path) >= _DEEPEST:
        return
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            inner = (*path, _key(key_node))
            yield inner, key_node.start_mark.line + 1
            yield from _places(value_node, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _places(item, (*path, index))


def _key(node: yaml.Node) -> Hashable:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else node.start_mark.index
