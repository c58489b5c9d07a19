"""Artifacts on Amazon S3, and on servers that speak its protocol."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from headgate.store.artifacts.digest import file_sha256, verify_sha256
from headgate.store.artifacts.paths import PART_PREFIX, artifact_not_found, checked_path, joined
from headgate.store.artifacts.progress import ProgressMeter
from headgate.store.artifacts.protocol import FileInfo, MultipartUpload, ProgressCallback, StoredFile
from headgate.store.artifacts.s3_client import new_client, transfer_config
from headgate.store.artifacts.s3_direct import DirectUploads
from headgate.store.artifacts.s3_download import download_file
from headgate.store.artifacts.s3_errors import is_missing, not_deleted, translated_errors
from headgate.store.artifacts.s3_stream import verified_stream
from headgate.store.artifacts.walk import checked_source, files_below
from headgate.store.errors import InvalidInput
from headgate.store.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_SHA256 = "headgate-sha256"
_FILES_AT_ONCE = 4
_DELETED_AT_ONCE = 1000  # what one DeleteObjects request takes
_T = TypeVar("_T")
_R = TypeVar("_R")


class S3ArtifactStore:
    """See :class:`~headgate.store.artifacts.protocol.ArtifactStore`.

    Files of 16 MiB and more go in parts, four at a time. The SHA-256 of each file stands in its object's metadata and
    every download verifies it; objects that something else wrote have none, and only their length is verified.
    boto3 is imported, and credentials are looked up (its usual chain), on first use.
    """

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._settings = settings
        self._clients: dict[tuple[int, str | None], S3Client] = {}
        self._lock = threading.Lock()

    @property
    def uri(self) -> str:
        return f"s3://{joined(self._bucket, self._prefix)}"

    def put_file(self, source: Path, path: str, *, progress: ProgressCallback | None = None) -> StoredFile:
        target = checked_path(path)
        return self._upload(source, target, ProgressMeter(progress, checked_source(source).stat().st_size))

    def put_bytes(self, data: bytes, path: str) -> StoredFile:
        target = checked_path(path)
        sha256 = hashlib.sha256(data).hexdigest()
        with self._errors(path):
            self._client().put_object(
                Bucket=self._bucket, Key=self._key(target), Body=data, **_object_arguments(target, sha256)
            )
        return StoredFile(target, len(data), sha256)

    def put_folder(
        self, source: Path, path: str = "", *, progress: ProgressCallback | None = None
    ) -> tuple[StoredFile, ...]:
        target = checked_path(path, may_be_root=True)
        files = [(checked_path(joined(target, name)), file) for name, file in files_below(source)]
        meter = ProgressMeter(progress, sum(file.stat().st_size for _, file in files))
        return tuple(_side_by_side(lambda pair: self._upload(pair[1], pair[0], meter), files))

    def get(self, path: str, destination: Path, *, progress: ProgressCallback | None = None) -> Path:
        name = checked_path(path, may_be_root=True)
        with self._errors(path):
            head = self._head(name) if name else None
        if head is not None:
            self._download(name, head, destination, ProgressMeter(progress, head["ContentLength"]))
            return destination
        files = self.list(name, recursive=True)
        if not files and name:
            raise artifact_not_found(self.uri, path)
        for file in files:
            checked_path(file.path)  # a key may hold '..', and would be written outside of the destination
        meter = ProgressMeter(progress, sum(file.file_size or 0 for file in files))
        destination.mkdir(parents=True, exist_ok=True)
        start = len(name) + 1 if name else 0
        _side_by_side(lambda file: self._download_listed(file, destination / file.path[start:], meter), files)
        return destination

    def list(self, path: str = "", *, recursive: bool = False) -> tuple[FileInfo, ...]:
        prefix = self._folder_key(checked_path(path, may_be_root=True))
        start = len(self._folder_key(""))
        found = []
        with self._errors(path):
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="" if recursive else "/"):
                found += [
                    FileInfo(item["Key"][start:], is_dir=False, file_size=item["Size"])
                    for item in page.get("Contents", ())
                    if not item["Key"].endswith("/")  # consoles make such objects to show an empty folder
                ]
                found += [FileInfo(item["Prefix"][start:-1], is_dir=True) for item in page.get("CommonPrefixes", ())]
        return tuple(sorted(found, key=lambda info: info.path))

    def open(self, path: str) -> BinaryIO:
        name = checked_path(path)
        with self._errors(path):
            answer = self._client().get_object(Bucket=self._bucket, Key=self._key(name))
        sha256 = answer["Metadata"].get(_SHA256)
        return verified_stream(answer["Body"], sha256, joined(self.uri, name), lambda: self._errors(path))

    def stat(self, path: str) -> FileInfo | None:
        name = checked_path(path, may_be_root=True)
        with self._errors(path):
            if name and (head := self._head(name)) is not None:
                return FileInfo(name, is_dir=False, file_size=head["ContentLength"])
            below = self._client().list_objects_v2(Bucket=self._bucket, Prefix=self._folder_key(name), MaxKeys=1)
        return FileInfo(name, is_dir=True) if below["KeyCount"] else None

    def sha256(self, path: str) -> str:
        name = checked_path(path)
        with self._errors(path):
            head = self._head(name)
        if head is None:
            raise artifact_not_found(self.uri, path)
        if (recorded := head["Metadata"].get(_SHA256)) is not None:
            return recorded
        digest = hashlib.sha256()
        with self.open(name) as stream:  # somebody else's upload
            while piece := stream.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()

    def delete(self, path: str) -> None:
        name = checked_path(path)
        with self._errors(path):
            client = self._client()
            client.delete_object(Bucket=self._bucket, Key=self._key(name))
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._folder_key(name), PaginationConfig={"PageSize": _DELETED_AT_ONCE}
            )
            for page in pages:
                self._delete_keys([item["Key"] for item in page.get("Contents", ())])

    def presign(self, path: str, *, expires_in: int = 3600) -> str | None:
        key = self._key(checked_path(path))
        with self._errors(path):
            return self._signer().generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=expires_in
            )

    def presign_upload(self, path: str, *, expires_in: int = 3600) -> str | None:
        name = checked_path(path)
        with self._errors(path):
            return self._direct(name).presign(expires_in)

    def start_multipart(self, path: str, parts: int, *, expires_in: int = 3600) -> MultipartUpload | None:
        name = checked_path(path)
        with self._errors(path):
            return self._direct(name).start(parts, expires_in)

    def complete_multipart(self, path: str, upload_id: str, etags: Mapping[int, str]) -> None:
        name = checked_path(path)
        with self._errors(path):
            self._direct(name).complete(upload_id, etags)

    def abort_multipart(self, path: str, upload_id: str) -> None:
        name = checked_path(path)
        with self._errors(path):
            self._direct(name).abort(upload_id)

    def local_path(self, path: str) -> Path | None:
        checked_path(path, may_be_root=True)
        return None

    def _upload(self, source: Path, path: str, meter: ProgressMeter) -> StoredFile:
        before = source.stat()
        sha256 = file_sha256(source)
        with self._errors(path):
            self._client().upload_file(
                str(source),
                self._bucket,
                self._key(path),
                ExtraArgs=_object_arguments(path, sha256),
                Callback=meter.add,
                Config=transfer_config(),
            )
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InvalidInput(
                f"The file {str(source)!r} changed while it was being uploaded.",
                remedy="Log it again when it is complete.",
                path=path,
            )
        return StoredFile(path, after.st_size, sha256)

    def _download_listed(self, file: FileInfo, destination: Path, meter: ProgressMeter) -> None:
        with self._errors(file.path):
            head = self._head(file.path)
        if head is None:  # deleted since it was listed
            raise artifact_not_found(self.uri, file.path)
        self._download(file.path, head, destination, meter)

    def _download(self, path: str, head: HeadObjectOutputTypeDef, destination: Path, meter: ProgressMeter) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True)
        part = destination.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}")
        try:
            with self._errors(path):
                download_file(self._client(), self._bucket, self._key(path), part, meter.add)
            if (expected := head["Metadata"].get(_SHA256)) is not None:
                verify_sha256(file_sha256(part), expected, joined(self.uri, path))
            part.replace(destination)
        finally:
            part.unlink(missing_ok=True)

    def _head(self, path: str) -> HeadObjectOutputTypeDef | None:
        """Return HeadObject's answer; None when there is no such object. An unknown bucket looks the same here."""
        from botocore.exceptions import ClientError

        try:
            return self._client().head_object(Bucket=self._bucket, Key=self._key(path))
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _delete_keys(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        answer = self._client().delete_objects(
            Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        for failure in answer.get("Errors", ()):
            raise not_deleted(failure.get("Key", ""), failure.get("Code", ""), failure.get("Message", ""), self.uri)

    def _client(self, endpoint: str | None = None) -> S3Client:
        # A client's connections don't survive a fork (Airflow forks its tasks), so each process has its own.
        key = (os.getpid(), endpoint or self._settings.s3_endpoint_url)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = new_client(key[1], self._settings)
            return self._clients[key]

    def _signer(self) -> S3Client:
        """Return the client that signs URLs for others, who may see S3 under another address."""
        return self._client(self._settings.s3_public_endpoint_url or self._settings.s3_endpoint_url)

    def _direct(self, path: str) -> DirectUploads:
        return DirectUploads(self._client(), self._signer(), self._bucket, self._key(path), joined(self.uri, path))

    def _key(self, path: str) -> str:
        return joined(self._prefix, path)

    def _folder_key(self, path: str) -> str:
        key = self._key(path)
        return f"{key}/" if key else ""

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        with translated_errors(self._bucket, joined(self.uri, path)):
            yield


def _object_arguments(path: str, sha256: str) -> dict[str, Any]:
    content_type, encoding = mimetypes.guess_type(path)
    # A .gz file is served as the file that it is: no Content-Encoding, or HTTP clients would unpack it.
    arguments: dict[str, Any] = {"Metadata": {_SHA256: sha256}}
    if content_type is not None and encoding is None:
        arguments["ContentType"] = content_type
    return arguments


def _side_by_side(work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Do ``work`` on each item, a few at a time; the first error cancels those that have not started."""
    with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="headgate-s3") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
