"""Artifacts on S3 through the wire: the real client sends large files in parts, and fetches them by signed URLs."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from headgate.store.settings import Settings
from headgate.store.store import open_store
from tests.wire.conftest import PATIENCE, ServedStore

MIB = 1 << 20

SCRIPT = """
import hashlib, os, sys, mlflow
data = os.urandom(11 << 20)
open("large.bin", "wb").write(data)
with mlflow.start_run() as run:
    mlflow.log_artifact("large.bin", "files")
back = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/files/large.bin", dst_path="back")
assert open(back, "rb").read() == data
print(run.info.run_id)
"""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """URL of an S3 server, with credentials for it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str) -> Iterator[tuple[Any, str]]:
    client = boto3.client("s3", endpoint_url=s3)
    name = f"bucket-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    yield client, name
    client.close()


@pytest.fixture
def on_s3(s3: str, bucket: tuple[Any, str], tmp_path: Path) -> Iterator[ServedStore]:
    settings = Settings(s3_endpoint_url=s3)
    url = f"sqlite:///{tmp_path}/headgate.db"
    with open_store(url, artifact_root=f"s3://{bucket[1]}/root", settings=settings) as store, ServedStore(store) as it:
        yield it


def test_the_client_sends_a_large_file_in_parts(on_s3: ServedStore, bucket: tuple[Any, str], tmp_path: Path) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "MLFLOW_TRACKING_URI": on_s3.url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(5 * MIB),
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 * MIB),
        "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": str(5 * MIB),
        "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(5 * MIB),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    ended = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    run_id = next(line for line in ended.stdout.splitlines() if len(line) == 32)
    client, name = bucket
    head = client.head_object(Bucket=name, Key=f"root/0/{run_id}/artifacts/files/large.bin")
    assert head["ContentLength"] == 11 * MIB
    assert head["ETag"].strip('"').endswith("-3"), "three parts"


def test_signed_urls_carry_a_file_there_and_back(on_s3: ServedStore) -> None:
    run_id = on_s3.store.runs.open("0").info.run_id
    api = f"{on_s3.url}/api/2.0/mlflow/artifacts"
    said = {"run_id": run_id, "path": "plots/a.txt"}
    put = requests.post(f"{api}/presigned-upload-url", json=said, timeout=PATIENCE).json()
    requests.put(put["presigned_url"], data=b"direct", headers=put["headers"], timeout=PATIENCE).raise_for_status()
    got = requests.post(f"{api}/presigned-download-url", json=said, timeout=PATIENCE).json()
    assert got["file_size"] == 6
    assert requests.get(got["presigned_url"], timeout=PATIENCE).content == b"direct"
    path = f"{on_s3.url}/api/2.0/mlflow-artifacts/presigned/0/{run_id}/artifacts/plots"
    assert (
        requests.get(requests.get(f"{path}/a.txt", timeout=PATIENCE).json()["url"], timeout=PATIENCE).content
        == b"direct"
    )
    assert requests.get(f"{path}/none.txt", timeout=PATIENCE).status_code == 404
    for bad in ({**said, "path": "../up"}, {**said, "expiration": 0}, {"run_id": run_id}):
        for which in ("presigned-upload-url", "presigned-download-url"):
            answer = requests.post(f"{api}/{which}", json=bad, timeout=PATIENCE)
            assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
