"""An S3 server that speaks real HTTP, and a store on each back-end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from headgate.store.artifacts import ArtifactStore, artifact_store_for
from headgate.store.settings import Settings


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """URL of an S3 server on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that the server takes, and no configuration of the machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def s3_settings(s3_endpoint: str, aws: None) -> Settings:
    return Settings(s3_endpoint_url=s3_endpoint)


@pytest.fixture
def s3_client(s3_endpoint: str, aws: None) -> Iterator[Any]:
    """A client of the tests' own, to look at what the store wrote and to spoil it."""
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client: Any) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3_store(bucket: str, s3_settings: Settings) -> ArtifactStore:
    return artifact_store_for(f"s3://{bucket}/some/prefix", s3_settings)


@pytest.fixture
def local_store(tmp_path: Path) -> ArtifactStore:
    return artifact_store_for(str(tmp_path / "artifacts" / "of a run"), Settings())


@pytest.fixture(params=["local", "s3"])
def artifacts(request: pytest.FixtureRequest) -> ArtifactStore:
    """An empty artifact store on each back-end."""
    store: ArtifactStore = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files at several depths, one of them empty and one with an unusual name."""
    folder = tmp_path / "tree"
    for name, content in TREE.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


TREE = {
    "a.txt": b"a",
    "a/deep/er/b.bin": bytes(range(256)) * 40,
    "a/c.json": b"{}",
    "empty": b"",
    "with space & 100% ümläut.csv": b"x,y\n",
}
