"""Runs and models whose artifacts are on S3, over real HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from headgate.store.entities import LoggedModelStatus
from headgate.store.errors import CorruptArtifact, InvalidSettings
from headgate.store.store import Store
from headgate.tasks import tracking


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, _a_process_of_its_own: None) -> Iterator[Any]:
    """A bucket that is the artifact root."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HEADGATE_S3_ENDPOINT_URL", s3_endpoint)
    name = f"bucket-{uuid.uuid4().hex}"
    monkeypatch.setenv("HEADGATE_ARTIFACT_ROOT", f"s3://{name}/headgate")
    bucket = boto3.resource("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket=name)
    yield bucket
    bucket.meta.client.close()


def add_one(inputs: Any) -> Any:
    return [value + 1 for value in inputs]


def test_a_model_goes_to_the_bucket_and_comes_back(bucket: Any, store: Store, tmp_path: Path) -> None:
    with tracking.start_run() as run:
        tracking.log_text("hello", "notes/a.txt")
        model = tracking.log_model(add_one, "adder")
    keys = {item.key for item in bucket.objects.all()}
    assert f"headgate/0/{run.run_id}/artifacts/notes/a.txt" in keys
    assert f"headgate/0/models/{model.model_id}/artifacts/MLmodel" in keys
    assert model.status is LoggedModelStatus.READY
    assert tracking.load_model(model.model_uri).predict([1]) == [2]
    assert tracking.load_model(model.artifact_location, dst_path=tmp_path / "here").predict([1]) == [2]
    assert (tmp_path / "here" / "MLmodel").exists()


def test_an_object_that_was_exchanged_is_not_loaded(bucket: Any) -> None:
    """Not even when whoever did it left no checksum behind: the model's own digest stands in the store."""
    model = tracking.log_model(add_one, "adder")
    key = f"headgate/0/models/{model.model_id}/artifacts/requirements.txt"
    bucket.put_object(Key=key, Body=b"evil\n")
    with pytest.raises(CorruptArtifact) as caught:
        tracking.load_model(model.model_id)
    assert caught.value.expected == model.artifact_digest


def test_a_bucket_that_is_gone_makes_the_model_failed(bucket: Any, store: Store) -> None:
    bucket.delete()
    with pytest.raises(InvalidSettings, match="no bucket"):
        tracking.log_model(add_one, "adder")
    model = store.logged_models.newest_by_name("0", "adder")
    assert model is not None
    assert model.status is LoggedModelStatus.FAILED
    assert "no bucket" in str(model.status_message)
