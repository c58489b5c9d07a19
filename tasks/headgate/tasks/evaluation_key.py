"""What the figures of an evaluating entry point are known by: the same key, the same figures of a model on some data.

A project's folder stands by its files, a checkout by its commit, an archive by its digest. Parameters stand by their
values, local files among them by their bytes, wherever they are; the model's id is left out. A file to be downloaded
stands by its name: each pipeline run has an address of its own, and what data are in it the figures' digest says.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from headgate.store.canonical import digest_of
from headgate.tasks.projects.model import EntryPoint
from headgate.tasks.projects.parameters import BoundParameter
from headgate.tasks.projects.source import Source

_MODEL_ID = re.compile(r"\bm-[0-9a-f]{32}\b")
_NO_CODE = {"__pycache__", "mlruns", "mlartifacts", "node_modules"}
_LARGE = 1_000_000


def evaluation_key(source: Source, entry_point: EntryPoint, environment: str, bound: Iterable[BoundParameter]) -> str:
    """Return the key of an entry point with its parameters.

    Args:
        environment: the name of the environment that it runs in.
    """
    return digest_of(
        {
            "code": _code(source),
            "entry_point": entry_point.name,
            "environment": environment,
            "parameters": {parameter.name: _value(parameter) for parameter in bound},
        }
    )


def _code(source: Source) -> str:
    if source.cached is None:
        return _tree(source.directory, whole=False)
    below = source.directory.relative_to(source.cached).as_posix()
    return f"{source.cached.name if source.checkout is None else source.checkout.commit}#{below}"


def _value(parameter: BoundParameter) -> str:
    path = parameter.path
    if parameter.remote:
        return posixpath.basename(urlsplit(parameter.recorded).path)
    if path is None or not path.exists():
        return _MODEL_ID.sub("m-", parameter.recorded)
    return _tree(path, whole=True) if path.is_dir() else _file(path, whole=True)


def _tree(folder: Path, *, whole: bool) -> str:
    """Return a digest of a folder's files; large ones stand by their size and time, unless ``whole``."""
    digest = hashlib.sha256()
    for file in _files(folder):
        digest.update(f"{file.relative_to(folder).as_posix()} {_file(file, whole=whole)}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NO_CODE and not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files))


def _file(file: Path, *, whole: bool) -> str:
    try:
        found = file.stat()
        if not file.is_file() or (not whole and found.st_size > _LARGE):
            return f"{found.st_size} {found.st_mtime_ns}"
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:  # a broken link, or a file that only others may read: no code of this entry point
        return type(error).__name__
