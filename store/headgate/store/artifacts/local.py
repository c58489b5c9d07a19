"""Artifacts in a local folder (or a network share that is mounted as one)."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from headgate.store.artifacts.digest import file_sha256
from headgate.store.artifacts.paths import PART_PREFIX, artifact_not_found, checked_path, joined
from headgate.store.artifacts.progress import ProgressMeter
from headgate.store.artifacts.protocol import FileInfo, MultipartUpload, ProgressCallback, StoredFile
from headgate.store.artifacts.walk import checked_source, files_below
from headgate.store.errors import (
    ArtifactStoreUnavailable,
    HeadgateError,
    InvalidInput,
    InvalidSettings,
)

_CHUNK = 1 << 20


class LocalArtifactStore:
    """See :class:`~headgate.store.artifacts.protocol.ArtifactStore`. The folder is made by the first write.

    Files are written beside their place and renamed into it. They are not synced to the disk: what a power loss takes
    of a model is found by the digest that the store keeps of it, when it is loaded.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def uri(self) -> str:
        return str(self._root)

    def put_file(self, source: Path, path: str, *, progress: ProgressCallback | None = None) -> StoredFile:
        target = checked_path(path)
        size = checked_source(source).stat().st_size
        return self._copy_in(source, target, ProgressMeter(progress, size))

    def put_bytes(self, data: bytes, path: str) -> StoredFile:
        return self._write(io.BytesIO(data), checked_path(path), ProgressMeter(None, len(data)))

    def put_folder(
        self, source: Path, path: str = "", *, progress: ProgressCallback | None = None
    ) -> tuple[StoredFile, ...]:
        target = checked_path(path, may_be_root=True)
        files = files_below(source)
        meter = ProgressMeter(progress, sum(file.stat().st_size for _, file in files))
        return tuple(self._copy_in(file, joined(target, name), meter) for name, file in files)

    def get(self, path: str, destination: Path, *, progress: ProgressCallback | None = None) -> Path:
        source = self._place(checked_path(path, may_be_root=True))
        with self._errors(path):
            if source.is_dir():
                files = [(destination / info.path, source / info.path) for info in _files(source)]
                destination.mkdir(parents=True, exist_ok=True)
            elif source.is_file():
                files = [(destination, source)]
            else:
                raise artifact_not_found(self.uri, path)
            meter = ProgressMeter(progress, sum(file.stat().st_size for _, file in files))
            for target, file in files:
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open("rb") as stream, _replacing(target) as part:
                    _copy(stream, part, meter)
        return destination

    def list(self, path: str = "", *, recursive: bool = False) -> tuple[FileInfo, ...]:
        folder = checked_path(path, may_be_root=True)
        place = self._place(folder)
        with self._errors(path):
            if not place.is_dir():
                return ()
            found = _files(place) if recursive else _children(place)
            infos = (FileInfo(joined(folder, info.path), info.is_dir, info.file_size) for info in found)
            return tuple(sorted(infos, key=lambda info: info.path))

    def open(self, path: str) -> BinaryIO:
        place = self._place(checked_path(path))
        with self._errors(path):
            if not place.is_file():
                raise artifact_not_found(self.uri, path)
            return place.open("rb")

    def stat(self, path: str) -> FileInfo | None:
        name = checked_path(path, may_be_root=True)
        place = self._place(name)
        with self._errors(path):
            if place.is_file():
                return FileInfo(name, is_dir=False, file_size=place.stat().st_size)
            return FileInfo(name, is_dir=True) if place.is_dir() else None

    def sha256(self, path: str) -> str:
        place = self._place(checked_path(path))
        with self._errors(path):
            if not place.is_file():
                raise artifact_not_found(self.uri, path)
            return file_sha256(place)

    def delete(self, path: str) -> None:
        place = self._place(checked_path(path))
        with self._errors(path):
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def presign(self, path: str, *, expires_in: int = 3600) -> str | None:
        checked_path(path)
        return None

    def presign_upload(self, path: str, *, expires_in: int = 3600) -> str | None:
        checked_path(path)
        return None

    def start_multipart(self, path: str, parts: int, *, expires_in: int = 3600) -> MultipartUpload | None:
        checked_path(path)
        return None

    def complete_multipart(self, path: str, upload_id: str, etags: Mapping[int, str]) -> None:
        raise self._no_parts(checked_path(path))

    def abort_multipart(self, path: str, upload_id: str) -> None:
        raise self._no_parts(checked_path(path))

    def local_path(self, path: str) -> Path | None:
        return self._place(checked_path(path, may_be_root=True))

    def _no_parts(self, path: str) -> InvalidInput:
        return InvalidInput(
            f"{self.uri} is a folder, which takes no uploads in parts.", remedy="Send the whole file.", path=path
        )

    def _place(self, path: str) -> Path:
        """Return where ``path`` stands; a symbolic link that leads out of the root is refused."""
        place = self._root / path
        root = self._root.resolve()
        if not place.resolve().is_relative_to(root):
            raise InvalidInput(
                f"The artifact {path!r} of {self.uri} is a link that leads out of that folder.",
                remedy="Remove the link, or log the file that it stands for.",
                path=path,
            )
        return place

    def _copy_in(self, source: Path, path: str, meter: ProgressMeter) -> StoredFile:
        with source.open("rb") as stream:
            return self._write(stream, path, meter)

    def _write(self, stream: BinaryIO, path: str, meter: ProgressMeter) -> StoredFile:
        place = self._place(path)
        with self._errors(path):
            place.parent.mkdir(parents=True, exist_ok=True)
            with _replacing(place) as part:
                size, sha256 = _copy(stream, part, meter)
        return StoredFile(path, size, sha256)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _translated(error, self.uri, path) from error


@contextmanager
def _replacing(place: Path) -> Iterator[BinaryIO]:
    """Open a part file beside ``place`` and rename it to ``place`` when the block ends well."""
    part = place.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}")
    try:
        with part.open("xb") as stream:
            yield stream
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _copy(source: BinaryIO, target: BinaryIO, meter: ProgressMeter) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        digest.update(chunk)
        size += len(chunk)
        meter.add(len(chunk))
    return size, digest.hexdigest()


def _children(folder: Path) -> Iterator[FileInfo]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield FileInfo(entry.name, is_dir=True)
            elif entry.is_file() and not entry.name.startswith(PART_PREFIX):
                yield FileInfo(entry.name, is_dir=False, file_size=entry.stat().st_size)


def _files(folder: Path) -> Iterator[FileInfo]:
    for parent, _, names in os.walk(folder):
        for name in names:
            place = Path(parent, name)
            if not name.startswith(PART_PREFIX) and place.is_file():
                path = place.relative_to(folder).as_posix()
                yield FileInfo(path, is_dir=False, file_size=place.stat().st_size)


def _translated(error: OSError, uri: str, path: str) -> HeadgateError:
    what = f"The artifact {path!r} of {uri}"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        return InvalidInput(
            f"{what} can't be a file and a folder at once.",
            remedy="Choose another path, or delete what stands there.",
            path=path,
        )
    if error.errno == errno.ENAMETOOLONG:
        return InvalidInput(f"{what} has a name that is too long.", remedy="Choose a shorter one.", path=path)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return InvalidSettings(
            f"{what} can't be read or written: {error.strerror}.",
            remedy="Give this user access to the folder, or set HEADGATE_ARTIFACT_ROOT to another one.",
            uri=uri,
        )
    return ArtifactStoreUnavailable(
        f"{what} can't be reached: {error}.",
        remedy="Check that the disk is there and has room; then try again.",
        uri=uri,
    )
