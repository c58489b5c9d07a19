"""What only S3 does, over real HTTP."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from headgate.store.artifacts import ArtifactStore, artifact_store_for
from headgate.store.artifacts.s3 import S3ArtifactStore
from headgate.store.artifacts.s3_client import new_client
from headgate.store.errors import ArtifactStoreUnavailable, CorruptArtifact, InvalidInput, InvalidSettings, NotFound
from headgate.store.settings import Settings

KEY = "some/prefix/file.bin"


def spoil(client: Any, bucket: str, content: bytes) -> None:
    """Replace an object's content and keep its metadata, as bit rot or a careless copy would."""
    metadata = client.head_object(Bucket=bucket, Key=KEY)["Metadata"]
    client.put_object(Bucket=bucket, Key=KEY, Body=content, Metadata=metadata)


def test_a_large_file_goes_in_parts_and_comes_back(
    s3_store: ArtifactStore, s3_client: Any, bucket: str, tmp_path: Path
) -> None:
    source = tmp_path / "large.bin"
    block = hashlib.sha256(b"block").digest() * 32768
    source.write_bytes(block * 40)
    size = 40 << 20
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []

    stored = s3_store.put_file(source, "file.bin", progress=lambda done, total: up.append((done, total)))

    head = s3_client.head_object(Bucket=bucket, Key=KEY)
    assert head["ContentLength"] == stored.size == size
    assert head["Metadata"] == {"headgate-sha256": stored.sha256}
    assert head["ETag"].strip('"').endswith("-3"), "three parts of 16 MiB"
    target = s3_store.get("file.bin", tmp_path / "back.bin", progress=lambda done, total: down.append((done, total)))
    assert hashlib.sha256(target.read_bytes()).hexdigest() == stored.sha256
    for calls in (up, down):
        assert calls[0] == (0, size)
        assert calls[-1] == (size, size)
        assert len(calls) > 3
    with s3_store.open("file.bin") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == stored.sha256


def test_other_bytes_than_were_stored_are_found(
    s3_store: ArtifactStore, s3_client: Any, bucket: str, tmp_path: Path
) -> None:
    expected = s3_store.put_bytes(b"the weights", "file.bin").sha256
    spoil(s3_client, bucket, b"the Weights")
    target = tmp_path / "file.bin"
    target.write_bytes(b"what was there")

    with pytest.raises(CorruptArtifact, match="not those that were stored") as caught:
        s3_store.get("file.bin", target)
    with pytest.raises(CorruptArtifact):
        s3_store.get("", tmp_path / "folder")
    with s3_store.open("file.bin") as stream, pytest.raises(CorruptArtifact):
        stream.read()

    assert caught.value.expected == expected
    assert caught.value.actual == hashlib.sha256(b"the Weights").hexdigest()
    assert caught.value.uri == f"s3://{bucket}/{KEY}"
    assert not caught.value.retryable
    assert target.read_bytes() == b"what was there"
    assert os.listdir(tmp_path / "folder") == []


@pytest.mark.parametrize("megabytes", [2, 40])
def test_a_download_that_is_given_up_leaves_no_connection_open(
    s3_store: ArtifactStore, tmp_path: Path, megabytes: int
) -> None:
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(megabytes << 20))
    s3_store.put_file(source, "file.bin")

    def stop(done: int, total: int) -> None:
        if done:
            raise RuntimeError("stop")

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="stop"):
            s3_store.get("file.bin", tmp_path / "copy.bin", progress=stop)
        gc.collect()  # it warns of each socket that nobody closed
    assert [str(warning.message) for warning in caught] == []


def test_objects_that_something_else_wrote_are_read(
    s3_store: ArtifactStore, s3_client: Any, bucket: str, tmp_path: Path
) -> None:
    s3_client.put_object(Bucket=bucket, Key=KEY, Body=b"foreign")
    s3_client.put_object(Bucket=bucket, Key="some/prefix/", Body=b"")
    s3_client.put_object(Bucket=bucket, Key="some/prefix/shown-by-a-console/", Body=b"")
    assert [info.path for info in s3_store.list(recursive=True)] == ["file.bin"]
    assert s3_store.get("file.bin", tmp_path / "x").read_bytes() == b"foreign"
    with s3_store.open("file.bin") as stream:
        assert stream.read() == b"foreign"


def test_a_key_that_climbs_is_not_downloaded(
    s3_store: ArtifactStore, s3_client: Any, bucket: str, tmp_path: Path
) -> None:
    s3_client.put_object(Bucket=bucket, Key="some/prefix/model/good", Body=b"good")
    s3_client.put_object(Bucket=bucket, Key="some/prefix/model/../../../escaped", Body=b"evil")
    with pytest.raises(InvalidInput, match=r"contains '\.\.'"):
        s3_store.get("model", tmp_path / "a" / "b" / "c")
    assert list(tmp_path.rglob("*")) == []


def test_listing_and_deleting_go_beyond_one_page(s3_store: ArtifactStore, s3_client: Any, bucket: str) -> None:
    for number in range(1005):
        s3_client.put_object(Bucket=bucket, Key=f"some/prefix/many/{number:04}", Body=b"")
    assert [info.path for info in s3_store.list("many")] == [f"many/{number:04}" for number in range(1005)]
    s3_store.delete("many")
    assert s3_store.list(recursive=True) == ()


def test_a_presigned_url_needs_no_credentials(s3_store: ArtifactStore) -> None:
    s3_store.put_bytes(b"shared", "plots/a b.txt")
    url = s3_store.presign("plots/a b.txt", expires_in=60)
    assert url is not None
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"shared"


def test_presigned_urls_name_the_public_endpoint(s3_endpoint: str, aws: None, bucket: str) -> None:
    settings = Settings(s3_endpoint_url=s3_endpoint, s3_public_endpoint_url="https://files.example.org")
    url = artifact_store_for(f"s3://{bucket}", settings).presign("file")
    assert url is not None
    assert url.startswith(f"https://files.example.org/{bucket}/file?")


def test_content_types_are_said(s3_store: ArtifactStore, s3_client: Any, bucket: str) -> None:
    for name in ("plot.png", "page.html", "data.csv.gz", "unknown.zzz9"):
        s3_store.put_bytes(b"x", name)
    heads = {
        name: s3_client.head_object(Bucket=bucket, Key=f"some/prefix/{name}")
        for name in ("plot.png", "page.html", "data.csv.gz", "unknown.zzz9")
    }
    assert heads["plot.png"]["ContentType"] == "image/png"
    assert heads["page.html"]["ContentType"] == "text/html"
    assert heads["data.csv.gz"]["ContentType"] == "binary/octet-stream"
    assert "ContentEncoding" not in heads["data.csv.gz"]


def test_an_unknown_bucket_is_named(s3_settings: Settings, tmp_path: Path) -> None:
    store = artifact_store_for("s3://no-such-bucket-here/prefix", s3_settings)
    source = tmp_path / "file"
    source.write_bytes(b"x")
    for attempt in (
        lambda: store.put_file(source, "file"),
        lambda: store.put_bytes(b"x", "file"),
        lambda: store.list(),
        lambda: store.stat("file"),
        lambda: store.get("file", tmp_path / "x"),
        lambda: store.open("file"),
        lambda: store.delete("file"),
    ):
        with pytest.raises(InvalidSettings, match="no bucket 'no-such-bucket-here'") as caught:
            attempt()
        assert caught.value.bucket == "no-such-bucket-here"


def test_a_bucket_name_that_can_not_exist(s3_settings: Settings) -> None:
    with pytest.raises(InvalidSettings, match="as it is set up"):
        artifact_store_for("s3://not_A*bucket/prefix", s3_settings).list()


def test_missing_credentials_are_named(s3_settings: Settings, monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InvalidSettings, match="no usable AWS credentials") as caught:
        artifact_store_for(f"s3://{bucket}", s3_settings).list()
    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(InvalidSettings, match="no-such-profile"):
        artifact_store_for(f"s3://{bucket}", s3_settings).list()


def test_a_server_that_does_not_answer_is_worth_a_retry(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = artifact_store_for("s3://bucket/prefix", Settings(s3_endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(ArtifactStoreUnavailable, match="s3://bucket/prefix/x can't be reached") as caught:
        store.put_bytes(b"x", "x")
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("SlowDown", 503, ArtifactStoreUnavailable, "can't be reached"),
        ("InternalError", 500, ArtifactStoreUnavailable, "can't be reached"),
        ("Whatever", 502, ArtifactStoreUnavailable, "can't be reached"),
        ("AccessDenied", 403, InvalidSettings, "does not allow PutObject"),
        ("403", 403, InvalidSettings, "does not allow"),
        ("ExpiredToken", 400, InvalidSettings, "credentials"),
        ("PermanentRedirect", 301, InvalidSettings, "another region"),
        ("NoSuchBucket", 404, InvalidSettings, "no bucket 'bucket'"),
        ("NoSuchKey", 404, NotFound, "There is no artifact"),
    ],
)
def test_answers_in_our_words(code: str, status: int, error: type[Exception], words: str) -> None:
    from botocore.exceptions import ClientError

    from headgate.store.artifacts.s3_errors import translated_errors

    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(error, match=words), translated_errors("bucket", "s3://bucket/x"):
        raise ClientError(answer, "PutObject")


def test_a_refused_upload_in_our_words() -> None:
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import ClientError

    from headgate.store.artifacts.s3_errors import translated_errors

    def upload() -> None:
        answer: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        try:
            raise ClientError(answer, "PutObject")
        except ClientError as error:
            raise S3UploadFailedError(str(error))  # noqa: B904 - as boto3 does it

    with pytest.raises(InvalidSettings, match="does not allow"), translated_errors("bucket", "s3://bucket/x"):
        upload()


def test_a_file_that_grows_while_it_is_uploaded_is_refused(s3_store: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "log.txt"
    source.write_bytes(b"one\n")

    def grow(done: int, total: int) -> None:
        with source.open("ab") as stream:
            stream.write(b"two\n")

    with pytest.raises(InvalidInput, match="changed while it was being uploaded"):
        s3_store.put_file(source, "log.txt", progress=lambda done, total: grow(done, total) if done else None)


def test_servers_of_others_get_no_trailing_checksums_and_paths(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint in ("https://minio.example.org", None):
        if endpoint is None:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://minio.example.org")
        config = new_client(endpoint).meta.config
        assert config.request_checksum_calculation == "when_required"
        assert config.response_checksum_validation == "when_required"
        assert config.s3["addressing_style"] == "path"


def test_amazon_keeps_its_own_checksums(aws: None) -> None:
    config = new_client(None).meta.config
    assert config.request_checksum_calculation == "when_supported"
    assert "addressing_style" not in (config.s3 or {})


def test_credentials_of_the_settings_come_before_those_of_the_environment(aws: None) -> None:
    settings = Settings(s3_access_key_id="ours", s3_secret_access_key=SecretStr("canary-secret"))
    found = new_client("https://minio.example.org", settings)._request_signer._credentials
    assert (found.access_key, found.secret_key) == ("ours", "canary-secret")
    assert "canary-secret" not in repr(settings)


def test_a_forked_child_has_its_own_connections(s3_store: S3ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    parents = s3_store._client()
    assert s3_store._client() is parents
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert s3_store._client() is not parents


def test_without_boto3_the_extra_is_named(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["boto3"] = None
from headgate.store.artifacts import artifact_store_for
from headgate.store.errors import InvalidSettings
try:
    artifact_store_for("s3://bucket/prefix").list()
except InvalidSettings as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "headgate[s3]" in done.stdout


def test_boto3_is_imported_on_first_use_only() -> None:
    script = """
import sys
from headgate.store.artifacts import artifact_store_for
artifact_store_for("s3://bucket/prefix")
sys.exit([name for name in ("boto3", "botocore", "sqlalchemy") if name in sys.modules] != [])
"""
    subprocess.run([sys.executable, "-c", script], check=True)
