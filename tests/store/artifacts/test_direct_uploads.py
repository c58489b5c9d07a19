"""Files that clients put to S3 themselves; a folder has no such uploads, and says so."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from botocore.stub import Stubber

from headgate.store.artifacts import ArtifactStore, MultipartUpload
from headgate.store.artifacts.s3_direct import DirectUploads
from headgate.store.errors import InvalidInput, NotFound

PART = 5 << 20  # the smallest that S3 takes, save the last


def put(url: str, data: bytes) -> str:
    """Put bytes without credentials; return the ETag."""
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=data, headers=headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["ETag"])


def started(store: ArtifactStore, path: str, parts: int) -> MultipartUpload:
    upload = store.start_multipart(path, parts)
    assert upload is not None
    return upload


def test_a_presigned_url_takes_a_file(s3_store: ArtifactStore) -> None:
    url = s3_store.presign_upload("plots/a b.txt", expires_in=60)
    assert url is not None
    put(url, b"direct")
    with s3_store.open("plots/a b.txt") as stream:
        assert stream.read() == b"direct"


def test_a_file_goes_in_parts_and_appears_when_it_is_whole(s3_store: ArtifactStore) -> None:
    upload = started(s3_store, "model/weights.bin", 2)
    pieces = (b"a" * PART, b"b" * 10)
    etags = {number: put(upload.part_urls[number - 1], pieces[number - 1]) for number in (2, 1)}
    assert s3_store.stat("model/weights.bin") is None
    s3_store.complete_multipart("model/weights.bin", upload.upload_id, etags)
    with s3_store.open("model/weights.bin") as stream:
        assert stream.read() == b"".join(pieces)


def test_an_aborted_upload_leaves_nothing(s3_store: ArtifactStore, s3_client: Any, bucket: str) -> None:
    upload = started(s3_store, "weights.bin", 1)
    put(upload.part_urls[0], b"a")
    for _ in range(2):
        s3_store.abort_multipart("weights.bin", upload.upload_id)
    assert s3_store.stat("weights.bin") is None
    assert s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_an_upload_that_is_not_open_can_neither_be_completed_nor_aborted_again(s3_client: Any) -> None:
    uploads = DirectUploads(s3_client, s3_client, "bucket", "weights.bin", "s3://bucket/weights.bin")
    with Stubber(s3_client) as answers:  # moto fails here where S3 says this
        answers.add_client_error("complete_multipart_upload", "NoSuchUpload", http_status_code=404)
        answers.add_client_error("abort_multipart_upload", "NoSuchUpload", http_status_code=404)
        with pytest.raises(NotFound, match="no open upload 'gone' of s3:"):
            uploads.complete("gone", {1: "etag"})
        uploads.abort("gone")


def test_parts_that_make_no_file_are_refused(s3_store: ArtifactStore) -> None:
    upload = started(s3_store, "weights.bin", 2)
    with pytest.raises(InvalidInput, match="no parts"):
        s3_store.complete_multipart("weights.bin", upload.upload_id, {})
    with pytest.raises(InvalidInput, match="don't make a file: InvalidPart"):
        s3_store.complete_multipart("weights.bin", upload.upload_id, {1: "0" * 32})
    assert s3_store.stat("weights.bin") is None


@pytest.mark.parametrize("parts", [0, -1, 10_001])
def test_the_number_of_parts_is_bounded(s3_store: ArtifactStore, parts: int) -> None:
    with pytest.raises(InvalidInput, match="from 1 to 10000 parts"):
        s3_store.start_multipart("weights.bin", parts)


def test_a_folder_takes_whole_files_only(local_store: ArtifactStore) -> None:
    assert local_store.presign_upload("file") is None
    assert local_store.start_multipart("file", 2) is None
    with pytest.raises(InvalidInput, match="takes no uploads in parts"):
        local_store.complete_multipart("file", "upload", {1: "etag"})
    with pytest.raises(InvalidInput, match="takes no uploads in parts"):
        local_store.abort_multipart("file", "upload")
