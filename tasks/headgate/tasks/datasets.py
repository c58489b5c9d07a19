"""Datasets by where they are: a path, or a URI that is fetched to this machine."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headgate.store.errors import InvalidInput
from headgate.tasks.beside import beside
from headgate.tasks.download import Downloads
from headgate.tasks.projects.secrets import mask_text
from headgate.tasks.tracking.data import dataset, profile_text, schema_text

if TYPE_CHECKING:
    from headgate.store.entities import Dataset
    from headgate.store.store import Store

_MOST_READ = 64_000_000
_MOST_READ_COMPRESSED = 8_000_000
_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*://|(?:runs|models):)", re.IGNORECASE)


def dataset_at(store: Store, place: str | Path, name: str | None = None) -> Dataset:
    """Describe the file or folder at a place, with the digest of its bytes; see :func:`fetched` for the places.

    The digest is the same wherever the file was read from: that of a validation stands with the metrics of an
    evaluation on the same file. A CSV file of at most 64 MB, or a compressed or Parquet file of at most 8 MB, is
    described with its schema and profile, where pandas is installed and can read it.

    Args:
        store: knows where the artifacts of runs are.
        place: a path or a URI.
        name: of the dataset; None takes the file's name without its ending.
    """
    with tempfile.TemporaryDirectory(prefix="headgate-data-") as folder:
        path = fetched(store, place, Path(folder))
        return _with_schema(described(path, place, name), path)


def dataset_of(store: Store, said: Mapping[str, str] | None, folder: str | Path, subject: str) -> Dataset | None:
    """Return the dataset that a task names; None where it names none.

    Args:
        store: knows where the artifacts of runs are.
        said: ``{"name": …, "path": …}``, with a path (from ``folder``) or a URI; or ``{"name": …, "digest": …,
            "source": …}`` for data that live elsewhere.
        folder: of the orchestrator's file.
        subject: what messages call it: ``The dataset of task 'score'``.

    Raises:
        InvalidInput: it has other keys, or there is nothing at a path.
        HeadgateError: what :func:`dataset_at` raises.
    """
    if said is None:
        return None
    if "path" in said and said.keys() <= {"name", "path"}:
        return dataset_at(store, beside(folder, said["path"]), said.get("name"))
    if {"name", "digest"} <= said.keys() <= {"name", "digest", "source"}:
        return dataset(said["name"], digest=said["digest"], source=said.get("source"))
    raise InvalidInput(
        f"{subject} has the keys {', '.join(sorted(said))}.", remedy="Give name and path, or name, digest and source."
    )


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


def table_kind(path: Path) -> Literal["csv", "parquet"] | None:
    """Return what kind of table a file is, by its name; None for none that pandas would be asked to read."""
    kinds = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in kinds:
        return "csv"
    return "parquet" if kinds and kinds[-1] in (".parquet", ".pq") else None


def _with_schema(found: Dataset, path: Path) -> Dataset:
    """Return a dataset with the schema and profile of its file; as it is where the file can't tell them."""
    kind = table_kind(path)
    most = _MOST_READ if path.suffix.lower() == ".csv" else _MOST_READ_COMPRESSED
    if kind is None or not path.is_file() or path.stat().st_size > most:
        return found
    try:
        import pandas

        table = pandas.read_csv(path) if kind == "csv" else pandas.read_parquet(path)
    except (ImportError, ValueError, OSError):  # parsers' errors are ValueErrors, pyarrow's too
        return found
    return replace(found, schema=schema_text(table), profile=profile_text(table))


def described(path: Path, place: str | Path, name: str | None) -> Dataset:
    """Describe what was fetched from a place to ``path``."""
    text = str(place)
    source = mask_text(text) if _URI.match(text) else None
    return dataset(name or path.name.partition(".")[0], path, source=source)
