"""From URIs to stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.store.artifacts import artifact_root_uri, artifact_store_for
from headgate.store.artifacts.local import LocalArtifactStore
from headgate.store.artifacts.s3 import S3ArtifactStore
from headgate.store.errors import InvalidSettings


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("/data/artifacts", "/data/artifacts"),
        ("/data/with space/100%", "/data/with space/100%"),
        ("file:///data/artifacts", "/data/artifacts"),
        ("file:/data/artifacts", "/data/artifacts"),
        ("file://localhost/data", "/data"),
        ("file:///with%20space", "/with space"),
        ("FILE:///data", "/data"),
    ],
)
def test_folders(uri: str, canonical: str) -> None:
    store = artifact_store_for(uri)
    assert isinstance(store, LocalArtifactStore)
    assert store.uri == canonical


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/some/prefix/", "s3://bucket/some/prefix"),
        ("S3://bucket/Prefix", "s3://bucket/Prefix"),
    ],
)
def test_buckets(uri: str, canonical: str) -> None:
    store = artifact_store_for(uri)
    assert isinstance(store, S3ArtifactStore)
    assert store.uri == canonical == artifact_root_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        " ",
        "relative/folder",
        "/data/../etc",
        "/data/%2e%2e/etc",
        "/data/%252e%252e/etc",
        "/data\\..\\etc",
        "file:///data/../etc",
        "file:///data/%2e%2e/etc",
        "file://other-host/data",
        "file:relative",
        "s3:///prefix",
        "s3://",
        "s3:bucket/prefix",
        "s3://bucket/../other",
        "s3://bucket/%2e%2e/other",
        "C:\\artifacts",
        "C:/artifacts",
        "gs://bucket/prefix",
        "mlflow-artifacts:/1/2",
        "https://host/artifacts",
    ],
)
def test_what_is_refused(uri: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        artifact_store_for(uri)
    assert "s3://bucket/prefix" in caught.value.remedy


def test_credentials_in_a_uri_are_refused_and_not_repeated() -> None:
    for uri in ("s3://key:canary-secret@bucket/prefix", "https://key:canary-secret@host/x"):
        with pytest.raises(InvalidSettings) as caught:
            artifact_store_for(uri)
        assert "canary-secret" not in str(caught.value)
        assert "canary-secret" not in repr(caught.value.attributes)


def test_a_typed_root_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert artifact_root_uri("artifacts") == f"{tmp_path}/artifacts"
    assert artifact_root_uri("../artifacts/") == f"{tmp_path.parent}/artifacts"
    assert artifact_root_uri("~/artifacts") == "/home/somebody/artifacts"
    assert artifact_root_uri("file:///data/x%20y/") == "/data/x y"
    with pytest.raises(InvalidSettings, match="gs: URIs"):
        artifact_root_uri("gs://bucket")
    with pytest.raises(InvalidSettings, match="names no bucket"):
        artifact_root_uri("s3://")
