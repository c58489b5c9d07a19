"""Projects in ``.zip`` files, local or behind HTTP."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from headgate.store.errors import InvalidProject
from headgate.tasks.build_once import build_once
from headgate.tasks.projects.http import download_http
from headgate.tasks.projects.secrets import mask_text


def unpacked(uri: str, cache: Path) -> Path:
    """Return a folder with the content of a zip file, unpacked once per content.

    Args:
        uri: a path, or an ``http://`` or ``https://`` URL.
        cache: where unpacked archives are kept.

    Raises:
        InvalidProject: there is no such file, it is no zip file, or a member would land outside the folder.
        ProjectUnavailable: the server did not answer; a retry may help.
    """
    with _local_file(uri) as file:
        digest = _digest(file, uri)
        folder = cache / f"{Path(uri).stem[:40]}-{digest[:16]}"
        return build_once(folder, lambda target: _unpack(file, target, uri))


@contextmanager
def _local_file(uri: str) -> Iterator[Path]:
    if not uri.startswith(("http://", "https://")):
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        file = Path(folder, "project.zip")
        download_http(uri, file)
        yield file


def _digest(file: Path, uri: str) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).rstrip(".")
        raise InvalidProject(
            f"The archive {uri} can't be read: {reason}.", remedy="Check the path.", uri=uri
        ) from error


def _unpack(file: Path, folder: Path, uri: str) -> None:
    shown = mask_text(uri)
    root = folder.resolve()
    try:
        with ZipFile(file) as archive:
            for member in archive.namelist():
                if not (root / member).resolve().is_relative_to(root):
                    raise InvalidProject(
                        f"The archive {shown} would write outside its folder: {member!r}.",
                        remedy="Don't use this archive; its maker may mean harm.",
                        uri=shown,
                    )
            folder.mkdir(parents=True)
            archive.extractall(folder)
    except BadZipFile as error:
        raise InvalidProject(f"{shown} is not a zip file.", remedy="Give a .zip file.", uri=shown) from error
