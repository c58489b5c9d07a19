"""What every artifact back-end can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

ProgressCallback = Callable[[int, int], None]
"""Called with (bytes transferred so far, bytes in total): first with 0, at the end with the total.

Calls come from any thread, but never two at a time. The first number may fall when a part is sent again."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One entry of a listing, as MLflow names it. ``file_size`` is in bytes; None for a folder."""

    path: str
    is_dir: bool
    file_size: int | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was stored: its path below the store's URI, its size in bytes and the SHA-256 of its content."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """A file that a client uploads in parts, straight to the back-end.

    Args:
        upload_id: names the upload until it is completed or aborted.
        part_urls: where each part is put, from part 1 on; they need no credentials and expire.
    """

    upload_id: str
    part_urls: tuple[str, ...]


class ArtifactStore(Protocol):
    """Files below one URI.

    A ``path`` is relative to that URI, with ``/`` between its parts; ``""`` is the URI itself. A path that could leave
    the URI (``..``, absolute, a Windows drive or backslash, percent-encoded forms of these) is refused with
    ``InvalidInput`` before anything is touched.

    Every method may be called from several threads, and every writing method may run twice: the second time it stores
    the same again. A file appears whole or not at all. Errors: ``InvalidInput`` (a path or a source), ``NotFound``,
    ``InvalidSettings`` (credentials, bucket, permissions, a missing extra), ``CorruptArtifact``, and
    ``ArtifactStoreUnavailable``, the only one that a retry may help; the back-end's own retries are spent by then.
    """

    @property
    def uri(self) -> str:
        """The absolute URI that every path is relative to."""

    def put_file(self, source: Path, path: str, *, progress: ProgressCallback | None = None) -> StoredFile:
        """Store the file ``source`` as ``path``, replacing what is there."""

    def put_bytes(self, data: bytes, path: str) -> StoredFile:
        """Store ``data`` as ``path``, replacing what is there."""

    def put_folder(
        self, source: Path, path: str = "", *, progress: ProgressCallback | None = None
    ) -> tuple[StoredFile, ...]:
        """Store every file of the folder ``source`` below ``path``; other files that are there already stay.

        Symbolic links are followed; empty folders are not stored. All names are checked before the first byte moves.

        Returns:
            The stored files, sorted by path.
        """

    def get(self, path: str, destination: Path, *, progress: ProgressCallback | None = None) -> Path:
        """Download a file to ``destination``, or a folder's files to below ``destination``.

        Returns:
            ``destination``. A file that was there is replaced only when the whole download is verified.

        Raises:
            NotFound: there is neither a file nor a folder with that path.
            CorruptArtifact: the bytes are not those that were stored.
        """

    def list(self, path: str = "", *, recursive: bool = False) -> tuple[FileInfo, ...]:
        """List a folder's immediate children, or with ``recursive`` every file below it; sorted by path.

        Paths in the result are relative to the store's URI. A folder that doesn't exist, and a file, have no children.
        """

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading, as a stream of bytes.

        Raises:
            NotFound: at once.
            CorruptArtifact: from the ``read`` that reaches the end, when the bytes are not those that were stored.
        """

    def stat(self, path: str) -> FileInfo | None:
        """Return what stands at ``path``, a file or a folder; None when nothing does."""

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of a file that is stored, without reading it where the back-end keeps its digest.

        Raises:
            NotFound: there is no such file.
        """

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all its files. Nothing there is no error; ``""`` is refused."""

    def presign(self, path: str, *, expires_in: int = 3600) -> str | None:
        """Return a URL that reads the file without credentials for ``expires_in`` seconds.

        None where the back-end has no such URLs (a local folder).
        """

    def presign_upload(self, path: str, *, expires_in: int = 3600) -> str | None:
        """Return a URL that a file can be put to without credentials for ``expires_in`` seconds; None as above.

        What comes in that way has no recorded digest: only its length is verified when it is read.
        """

    def start_multipart(self, path: str, parts: int, *, expires_in: int = 3600) -> MultipartUpload | None:
        """Open an upload of a file in ``parts`` parts (1 to 10,000), which its sender puts to URLs; None as above.

        The file appears when the upload is completed. One that is neither completed nor aborted keeps its parts.
        """

    def complete_multipart(self, path: str, upload_id: str, etags: Mapping[int, str]) -> None:
        """Make the file of the parts that were put.

        Args:
            etags: what the back-end answered to each part, by part number from 1 on.

        Raises:
            NotFound: no such upload is open: it was completed or aborted, or never started.
            InvalidInput: a part is missing, too small or has another etag, or the back-end has no such uploads.
        """

    def abort_multipart(self, path: str, upload_id: str) -> None:
        """Forget an upload and its parts. One that is not open is no error.

        Raises:
            InvalidInput: the back-end has no such uploads.
        """

    def local_path(self, path: str) -> Path | None:
        """Return where the artifact stands on this machine's file system, to read it in place; None elsewhere."""
