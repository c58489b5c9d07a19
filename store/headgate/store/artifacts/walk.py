"""The files of a folder that is about to be stored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from headgate.store.artifacts.paths import checked_path, joined
from headgate.store.errors import InvalidInput


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """Return every file below ``folder`` with its relative path, sorted; symbolic links are followed.

    Raises:
        InvalidInput: ``folder`` is no folder, links form a loop, a link leads nowhere, or a name can't be stored.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{str(folder)!r} is not a folder.", remedy="Give the path of an existing folder.")
    return sorted(_walk(folder, "", (folder.resolve(),)))


def checked_source(source: Path) -> Path:
    """Return ``source`` when it is a file.

    Raises:
        InvalidInput: it is not.
    """
    if not source.is_file():
        what = "is a folder, not a file" if source.is_dir() else "does not exist"
        raise InvalidInput(f"The file {str(source)!r} {what}.", remedy="Give the path of an existing file.")
    return source


def _walk(folder: Path, prefix: str, ancestors: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path, place = joined(prefix, entry.name), Path(entry.path)
            if entry.is_dir():
                yield from _walk(place, path, _descend(place, ancestors) if entry.is_symlink() else ancestors)
            elif entry.is_file():
                yield checked_path(path), place
            else:
                raise InvalidInput(
                    f"{entry.path!r} is neither a file nor a folder (a broken link, a pipe or a socket).",
                    remedy="Remove it from the folder.",
                )


def _descend(link: Path, ancestors: tuple[Path, ...]) -> tuple[Path, ...]:
    target = link.resolve()
    if any(target == ancestor or target in ancestor.parents for ancestor in ancestors):
        raise InvalidInput(f"The link {str(link)!r} leads back to a folder above it.", remedy="Remove the link.")
    return (*ancestors, target)
