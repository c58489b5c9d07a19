from __future__ import annotations

import http.server
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from headgate.store import open_store
from headgate.store.entities import LoggedModelStatus
from headgate.store.errors import InvalidProject, NotFound, ProjectUnavailable
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks.download import Downloads, refuse_unknown_schemes
from headgate.tasks.projects.model import Parameter
from headgate.tasks.projects.parameters import BoundParameter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/store/headgate.db") as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "downloads").mkdir()
    return tmp_path / "downloads"


class TestArtifactsOfRuns:
    def test_in_place_when_they_are_on_this_machine(self, store: Store, directory: Path) -> None:
        info = store.runs.open("0").info
        store.artifacts(info.artifact_uri).put_bytes(b"rows", "data/train.csv")
        for path, content in (("data/train.csv", "train.csv"), ("data", "data")):
            found = Downloads(store)(f"runs:/{info.run_id}/{path}", directory)
            assert found.name == content
            assert found.is_relative_to(info.artifact_uri)
        assert list(directory.iterdir()) == []

    def test_what_is_not_there(self, store: Store, directory: Path) -> None:
        run_id = store.runs.open("0").info.run_id
        with pytest.raises(InvalidProject, match="names no artifact"):
            Downloads(store)(f"runs:/{run_id}", directory)
        with pytest.raises(NotFound):
            Downloads(store)(f"runs:/{run_id}/none.csv", directory)
        with pytest.raises(NotFound):
            Downloads(store)(f"runs:/{'0' * 32}/none.csv", directory)


def test_models(store: Store, directory: Path) -> None:
    model = store.logged_models.create("0", status=LoggedModelStatus.READY, now=1)
    store.artifacts(model.artifact_location).put_bytes(b"flavors: {}", "MLmodel")
    run = store.runs.open("0").info
    store.artifacts(run.artifact_uri).put_bytes(b"flavors: {}", "model/MLmodel")
    store.registry.create_model("churn", now=1)
    for source in (model.model_uri, f"runs:/{run.run_id}/model", f"{run.artifact_uri}/model"):
        store.registry.create_version("churn", source=source, now=1)
    store.registry.set_alias("churn", "champion", 1)
    for name in (model.model_id, "churn@champion", "churn/1", "churn/2", "churn/3", "churn/latest"):
        found = Downloads(store)(f"models:/{name}", directory)
        assert (found / "MLmodel").read_text() == "flavors: {}"
    with pytest.raises(NotFound):
        Downloads(store)("models:/churn@challenger", directory)


class TestHttp:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[str]:
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
            thread = threading.Thread(target=running.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{running.server_address[1]}"
            running.shutdown()
            thread.join()

    def test_a_file(self, store: Store, directory: Path, server: str, tmp_path: Path) -> None:
        (tmp_path / "train.csv").write_text("rows")
        found = Downloads(store)(f"{server}/train.csv?version=3", directory)
        assert (found, found.read_text()) == (directory / "train.csv", "rows")

    def test_answers_that_are_none(self, store: Store, directory: Path, server: str) -> None:
        with pytest.raises(InvalidProject, match="answers 404"):
            Downloads(store)(f"{server}/none.csv", directory)
        with pytest.raises(ProjectUnavailable) as caught:
            Downloads(store)("http://me:canary@127.0.0.1:1/none.csv", directory)
        assert "canary" not in str(caught.value)


class TestS3:
    @pytest.fixture
    def bucket(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("CONFIG_FILE", "/none")):
            monkeypatch.setenv(f"AWS_{name}", value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        monkeypatch.setenv("HEADGATE_S3_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        name = f"bucket-{uuid.uuid4().hex}"
        client.create_bucket(Bucket=name)
        for key in ("top.csv", "data/a.csv", "data/deep/b.csv"):
            client.put_object(Bucket=name, Key=key, Body=key.encode())
        client.close()
        yield name
        server.stop()

    def test_files_and_folders(self, bucket: str, tmp_path: Path, directory: Path) -> None:
        with open_store(f"sqlite:///{tmp_path}/store/headgate.db", settings=Settings()) as store:
            for key in ("top.csv", "data/a.csv"):
                found = Downloads(store)(f"s3://{bucket}/{key}", directory)
                assert (found, found.read_text()) == (directory / Path(key).name, key)
            folder = Downloads(store)(f"s3://{bucket}/data/", directory)
            assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.csv")) == ["a.csv", "deep/b.csv"]
            with pytest.raises(NotFound):
                Downloads(store)(f"s3://{bucket}/none.csv", directory)


@pytest.mark.parametrize(("uri", "refused"), [("s3://b/k", False), ("runs:/1/a", False), ("gs://b/k", True)])
def test_unknown_schemes(uri: str, refused: bool) -> None:
    bound = [BoundParameter("data", uri, uri, Parameter("data", "path")), BoundParameter("x", "gs://b", "gs://b")]
    if not refused:
        refuse_unknown_schemes(bound)
        return
    with pytest.raises(InvalidProject, match="gs: URIs such as 'gs://b/k'") as caught:
        refuse_unknown_schemes(bound)
    assert caught.value.parameter == "data"
