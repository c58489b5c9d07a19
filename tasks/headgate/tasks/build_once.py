"""Folders that are built once and used by many processes: environments, and checkouts of projects.

A folder is complete when its marker stands in it. Builders take turns by a lock on a file beside the folder; a folder
without a marker was left by a builder that died, and is built anew. Folders are built where they will stand, because a
Python environment can't be moved.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MARKER = ".headgate-complete"

_POLL_SECONDS = 0.05


def build_once(
    folder: Path,
    build: Callable[[Path], None],
    *,
    usable: Callable[[Path], bool] = Path.is_dir,
    waiting: Callable[[], None] = lambda: None,
) -> Path:
    """Return ``folder``, built by ``build`` unless that has been done already.

    Args:
        folder: where it stands; what is there without a marker is removed.
        build: makes the folder; what it raises goes through, and the next caller builds anew.
        usable: whether a complete folder can still be used; if not, it is built anew.
        waiting: called about twenty times a second while another process builds; what it raises ends the wait.
    """
    if is_complete(folder) and usable(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _turn(folder.with_name(f"{folder.name}.lock"), waiting):
        if is_complete(folder) and usable(folder):  # by the process that had the turn before
            return folder
        _remove(folder)
        build(folder)
        (folder / MARKER).touch()
    return folder


def is_complete(folder: Path) -> bool:
    """Say whether ``folder`` was built to the end."""
    return (folder / MARKER).is_file()


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        (folder / MARKER).unlink(missing_ok=True)  # first: a removal that is interrupted must not look complete
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


@contextmanager
def _turn(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock at ``path``. The kernel frees it when the process dies; the file stays, or two could hold it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _taken(descriptor):
            waiting()
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
