"""The watch file: YAML in, a :class:`~headgate.tasks.watch.model.Watch` out, every mistake with file and line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.definition import Origin, Where
from headgate.tasks.gates.file import read_definition, read_file
from headgate.tasks.watch.model import Watch, WatchCheck

WATCH_KEYS = ("name", "window", "min_points", "when_silent", "checks")
CHECK_KEYS = ("metric", "at_least", "above", "at_most", "below", "over", "severity")

_Built = TypeVar("_Built")


def load_watch(path: str | Path) -> Watch:
    """Read a watch file.

    Raises:
        InvalidGate: the file is not there, is not YAML, or says something that a watch can't mean; with ``file`` and
            ``line``.
    """
    return parse_watch(read_file(path, "watch"), file=str(path))


def parse_watch(content: str | bytes, *, file: str = "watch.yaml") -> Watch:
    """Read a watch from the content of a watch file; ``file`` is what errors call it. Raises as :func:`load_watch`."""
    return watch_from_definition(*read_definition(content, file=file))


def watch_from_definition(definition: object, origin: Origin | None = None) -> Watch:
    """Build a watch from plain values, in the form of a watch file or of :meth:`Watch.definition`.

    Raises:
        InvalidGate: an unknown or missing key, or a value of the wrong kind; with ``file`` and ``line`` where known.
    """
    origin = origin or Origin()
    keys = _keys(definition, (), WATCH_KEYS, "A watch", origin)
    for needed in ("name", "checks"):
        if needed not in keys:
            raise origin.mistake((), f"the watch has no `{needed}`.", f"Add `{needed}:` at the top.")
    said = keys["checks"]
    if not isinstance(said, list | tuple):
        raise origin.mistake(("checks",), "`checks` must be a list.", "Write one `- metric: …` per check.")
    checks = tuple(_check(each, ("checks", index), origin) for index, each in enumerate(said))
    rest = {name: keys[name] for name in ("window", "min_points", "when_silent") if name in keys}
    return _built((), origin, lambda: Watch(keys["name"], checks, **rest))


def _check(value: object, where: Where, origin: Origin) -> WatchCheck:
    keys = _keys(value, where, CHECK_KEYS, "A check", origin)
    if "metric" not in keys:
        raise origin.mistake(where, "the check names no `metric`.", "Add `metric:` with the metric's key.")
    return _built(where, origin, lambda: WatchCheck(**keys))


def _keys(value: object, where: Where, known: tuple[str, ...], what: str, origin: Origin) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise origin.mistake(where, f"{what} must be `key: value` lines.", f"Its keys are {', '.join(known)}.")
    for key in value:
        if key not in known:
            raise origin.mistake((*where, str(key)), f"unknown key `{key}`.", f"Use {', '.join(known)}.")
    return {str(key): entry for key, entry in value.items()}


def _built(where: Where, origin: Origin, build: Callable[[], _Built]) -> _Built:
    """Build a part of the watch; a mistake of its own gets the place where it stands."""
    try:
        return build()
    except InvalidGate as error:
        if error.attributes.get("line") is not None:
            raise
        key = error.attributes.get("key")
        place = where if key is None else (*where, key)
        raise origin.mistake(place, f"{error.message[:1].lower()}{error.message[1:]}", error.remedy) from error
