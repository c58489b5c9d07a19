"""The watch file: YAML in, a :class:`~headgate.tasks.watch.model.Watch` out, every mistake with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.tasks.beside import beside
from headgate.tasks.gates.bounds import Bound
from headgate.tasks.gates.file import read_definition, read_file
from headgate.tasks.gates.origin import Origin
from headgate.tasks.places import Place
from headgate.tasks.watch.model import Watch, WatchCheck

WATCH_KEYS = ("name", "window", "min_points", "when_silent", "checks")
_WATCH_TEXTS = ("name", "window", "when_silent")
_CHECK_TEXTS = ("metric", "over", "severity")
CHECK_KEYS = (*_CHECK_TEXTS, *(bound.value for bound in Bound))


def load_watch(path: str | Path) -> Watch:
    """Read a watch file.

    Raises:
        InvalidGate: the file is not there, is not YAML, or says something that a watch can't mean; with ``file`` and
            ``line``.
    """
    return parse_watch(read_file(path, "watch"), file=str(path))


def parse_watch(content: str | bytes, *, file: str = "watch.yaml") -> Watch:
    """Read a watch from the content of a watch file; ``file`` is what errors call it. Raises as :func:`load_watch`."""
    return watch_from_definition(*read_definition(content, file=file, what="watch"))


def watch_of(said: str | Path | Mapping[str, Any] | Watch, folder: str | Path) -> Watch:
    """Return the watch that a task names: by the path of its file, from ``folder``, by its definition, or itself.

    Raises:
        InvalidGate: the file can't be read, or it says something that a watch can't mean.
    """
    if isinstance(said, str | Path):
        return load_watch(beside(folder, said))
    return watch_from_definition(said) if isinstance(said, Mapping) else said


def watch_from_definition(definition: object, origin: Origin | None = None) -> Watch:
    """Build a watch from plain values, in the form of a watch file or of :meth:`Watch.definition`.

    Raises:
        InvalidGate: an unknown or missing key, or a value of the wrong kind; with ``file`` and ``line`` where known.
    """
    origin = origin or Origin(what="watch")
    keys = origin.mapping(definition, (), "A watch")
    origin.refuse_unknown(keys, WATCH_KEYS, ())
    for needed in ("name", "checks"):
        if needed not in keys:
            raise origin.mistake((), f"the watch has no `{needed}`.", f"Add `{needed}:` at the top.")
    said = keys["checks"]
    if not isinstance(said, list | tuple):
        raise origin.mistake(("checks",), "`checks` must be a list.", "Write one `- metric: …` per check.")
    checks = tuple(_check(each, ("checks", index), origin) for index, each in enumerate(said))
    values: dict[str, Any] = {name: origin.text(keys[name], (name,)) for name in _WATCH_TEXTS if name in keys}
    if "min_points" in keys:
        values["min_points"] = keys["min_points"]
    return origin.built((), lambda: Watch(checks=checks, **values))


def _check(value: object, where: Place, origin: Origin) -> WatchCheck:
    keys = origin.mapping(value, where, "A check")
    origin.refuse_unknown(keys, CHECK_KEYS, where)
    if "metric" not in keys:
        raise origin.mistake(where, "the check names no `metric`.", "Add `metric:` with the metric's key.")
    values: dict[str, Any] = {
        key: origin.text(said, (*where, key)) if key in _CHECK_TEXTS else origin.number(said, (*where, key))
        for key, said in keys.items()
    }
    return origin.built(where, lambda: WatchCheck(**values))
