"""Digests of files and of folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from headgate.store.artifacts.protocol import ArtifactStore
from headgate.store.artifacts.walk import files_below
from headgate.store.errors import CorruptArtifact


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify_sha256(actual: str, expected: str, uri: str) -> None:
    """Raise ``CorruptArtifact`` when the digest of what was read from ``uri`` is not the one that was recorded."""
    if actual != expected:
        raise CorruptArtifact(
            f"The bytes of {uri} are not those that were stored: SHA-256 {actual} instead of {expected}.",
            remedy="Restore it from a backup, or log it again.",
            uri=uri,
            expected=expected,
            actual=actual,
        )


def tree_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 for a tree of files, given the (path, SHA-256) of each.

    It is the digest of what ``sha256sum`` prints for the files sorted by their UTF-8 path, so that
    ``find * -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum`` inside the folder gives the same.
    """
    lines = sorted((path.encode(), sha256.encode()) for path, sha256 in files)
    return hashlib.sha256(b"".join(sha256 + b"  " + path + b"\n" for path, sha256 in lines)).hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the :func:`tree_digest` of a folder's files, with paths relative to it.

    Folders called ``__pycache__`` are left out: Python makes them when it imports a model's code in place.

    Raises:
        InvalidInput: ``folder`` is no folder, or a file in it has a name that can't be stored.
    """
    files = ((path, file) for path, file in files_below(folder) if "__pycache__" not in path.split("/")[:-1])
    return tree_digest((path, file_sha256(file)) for path, file in files)


def stored_digest(artifacts: ArtifactStore) -> str | None:
    """Return the :func:`tree_digest` of all files of an artifact store, with paths relative to it; None without any."""
    files = artifacts.list(recursive=True)
    return tree_digest((file.path, artifacts.sha256(file.path)) for file in files) if files else None
