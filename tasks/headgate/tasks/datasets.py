"""Datasets by where they are: a path, or a URI that is fetched to this machine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.store.errors import InvalidInput
from headgate.tasks.download import Downloads
from headgate.tasks.projects.secrets import mask_text
from headgate.tasks.tracking.data import dataset

if TYPE_CHECKING:
    from headgate.store.entities import Dataset
    from headgate.store.store import Store

_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*://|(?:runs|models):)", re.IGNORECASE)


def dataset_at(store: Store, place: str | Path, name: str | None = None) -> Dataset:
    """Describe the file or folder at a place, with the digest of its bytes; see :func:`fetched` for the places.

    The digest is the same wherever the file was read from: that of a validation stands with the metrics of an
    evaluation on the same file.

    Args:
        store: knows where the artifacts of runs are.
        place: a path or a URI.
        name: of the dataset; None takes the file's name without its ending.
    """
    with tempfile.TemporaryDirectory(prefix="headgate-data-") as folder:
        return described(fetched(store, place, Path(folder)), place, name)


def fetched(store: Store, place: str | Path, folder: Path) -> Path:
    """Return where data are on this machine.

    Args:
        place: a path, or a URI with ``s3``, ``http(s)``, ``runs`` or ``models``.
        folder: where a download may go.

    Raises:
        InvalidInput: there is nothing at a path.
        HeadgateError: what :class:`headgate.tasks.download.Downloads` raises.
    """
    text = str(place)
    if _URI.match(text):
        return Downloads(store)(text, folder)
    if not Path(text).exists():
        raise InvalidInput(f"There is no file {mask_text(text)!r}.", remedy="Give the path of a file.")
    return Path(text)


def described(path: Path, place: str | Path, name: str | None) -> Dataset:
    """Describe what was fetched from a place to ``path``."""
    text = str(place)
    source = mask_text(text) if _URI.match(text) else None
    return dataset(name or path.name.partition(".")[0], path, source=source)
