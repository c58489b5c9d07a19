"""Params, metrics, tags and artifacts of the active run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import SecretStr

from headgate.store.errors import InvalidInput, NotFound, ParamChanged
from headgate.store.store import Store
from headgate.tasks import tracking


def test_params_are_recorded_as_text_once(given_run: str, store: Store) -> None:
    assert tracking.log_param("depth", 6) == 6
    tracking.log_params({"rate": 0.1, "flag": True, "layers": [1, 2]})
    tracking.log_params({"rate": 0.1, "new": None})
    assert store.params.get(given_run) == {
        "depth": "6",
        "rate": "0.1",
        "flag": "True",
        "layers": "[1, 2]",
        "new": "None",
    }
    with pytest.raises(ParamChanged, match="'rate'"):
        tracking.log_params({"other": 1, "rate": 0.2})
    assert "other" not in store.params.get(given_run), "all or none"


def test_secrets_are_not_recorded(given_run: str, store: Store) -> None:
    tracking.log_params(
        {
            "api_key": "canary-1",
            "typed": SecretStr("canary-2"),
            "url": "postgresql://user:canary-3@host/db",
            "max_tokens": 100,
        }
    )
    params = store.params.get(given_run)
    assert "canary" not in str(params)
    assert params["max_tokens"] == "100"


def test_metrics_keep_their_history(given_run: str, store: Store) -> None:
    tracking.log_metric("loss", 1, timestamp=1000)
    tracking.log_metric("loss", np.float32(0.5), step=1, timestamp=2000)
    tracking.log_metrics({"loss": 0.25, "nan": float("nan"), "inf": float("inf")}, step=2, timestamp=3000)
    points = store.metrics.history(given_run, "loss").items
    assert [(point.value, point.step, point.timestamp) for point in points] == [
        (1.0, 0, 1000),
        (0.5, 1, 2000),
        (0.25, 2, 3000),
    ]
    latest = store.metrics.latest(given_run)
    assert math.isnan(latest["nan"].value)
    assert latest["inf"].value == math.inf
    with pytest.raises(InvalidInput, match="not a number"):
        tracking.log_metrics({"good": 1, "bad": "text"})  # type: ignore[dict-item]
    assert "good" not in store.metrics.latest(given_run)


def test_the_same_points_sent_again_are_stored_once(given_run: str, store: Store) -> None:
    for _ in range(2):
        tracking.log_metrics({"loss": 0.5}, step=1, timestamp=1000)
    assert len(store.metrics.history(given_run, "loss").items) == 1


def test_metrics_of_a_model_carry_their_dataset(given_run: str, store: Store) -> None:
    model = tracking.create_external_model("agent")
    holdout = tracking.dataset("holdout", [1, 2, 3])
    tracking.log_metrics({"recall": 0.9}, model_id=model.model_id, dataset=holdout)
    tracking.log_metric("recall", 0.8, step=1, model_id=model.model_uri, dataset=holdout)
    tracking.log_metric("loss", 0.1)
    points = tracking.get_logged_model(model.model_id).metrics
    assert [(p.key, p.value, p.run_id, p.dataset_name, p.dataset_digest) for p in points] == [
        ("recall", 0.9, given_run, "holdout", holdout.digest),
        ("recall", 0.8, given_run, "holdout", holdout.digest),
    ]
    run = store.runs.get(given_run)
    assert [item.dataset.digest for item in run.dataset_inputs] == [holdout.digest]
    assert set(run.metrics) == {"recall", "loss"}
    with pytest.raises(NotFound, match="m-missing"):
        tracking.log_metric("recall", 1, model_id="m-missing")


def test_the_active_model_takes_the_metrics(given_run: str, store: Store) -> None:
    with tracking.set_active_model("agent-v1") as model:
        tracking.log_metric("quality", 0.7)
    tracking.log_metric("quality", 0.9)
    assert [point.value for point in store.logged_models.metrics(model.model_id)] == [0.7]
    assert [point.value for point in store.metrics.history(given_run, "quality").items] == [0.7, 0.9]


def test_tags_may_change(given_run: str, store: Store) -> None:
    tracking.set_tag("stage", "warm-up")
    tracking.set_tags({"stage": "training", "epoch": 3})
    assert {"stage": "training", "epoch": "3"}.items() <= store.tags.get(given_run).items()


def test_inputs_have_a_context(given_run: str, store: Store) -> None:
    train = tracking.dataset("train", np.arange(4), source="s3://bucket/train.npy")
    for _ in range(2):
        tracking.log_input(train, context="training", tags={"fold": 1})  # type: ignore[dict-item]
    (item,) = store.runs.get(given_run).dataset_inputs
    assert (item.dataset.name, item.dataset.digest) == ("train", train.digest)
    assert item.tags == {"mlflow.data.context": "training", "fold": "1"}
    assert item.dataset.source_type == "s3"


def test_artifacts_are_stored_under_their_names(given_run: str, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    tracking.log_artifact(folder / "a.txt")
    tracking.log_artifact(str(folder / "a.txt"), "notes/")
    tracking.log_artifact(folder, "copies")
    tracking.log_artifacts(folder, "flat")
    tracking.log_artifacts(str(folder))
    tracking.log_text("grüße", "text/hello.txt")
    tracking.log_dict({"b": [1, None], "a": {"ä": 0.5}}, "config.json")
    tracking.log_dict({"b": [1, None], "a": {"ä": 0.5}}, "config.yaml")
    artifacts = store.artifacts(store.runs.get_info(given_run).artifact_uri)
    assert [info.path for info in artifacts.list(recursive=True)] == [
        "a.txt",
        "config.json",
        "config.yaml",
        "copies/plots/a.txt",
        "copies/plots/sub/b.txt",
        "flat/a.txt",
        "flat/sub/b.txt",
        "notes/a.txt",
        "sub/b.txt",
        "text/hello.txt",
    ]
    with artifacts.open("text/hello.txt") as stream:
        assert stream.read().decode() == "grüße"
    with artifacts.open("config.json") as stream:
        assert json.load(stream) == {"b": [1, None], "a": {"ä": 0.5}}
    with artifacts.open("config.yaml") as stream:
        assert yaml.safe_load(stream) == {"b": [1, None], "a": {"ä": 0.5}}
    assert tracking.get_artifact_uri() == artifacts.uri
    assert tracking.get_artifact_uri("text/hello.txt") == f"{artifacts.uri}/text/hello.txt"


def test_artifacts_that_can_not_be_stored(given_run: str, store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="does not exist"):
        tracking.log_artifact(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="artifact path"):
        tracking.log_artifact(tmp_path / "file", "../elsewhere")
    with pytest.raises(InvalidInput, match="artifact path"):
        tracking.log_text("x", "/etc/motd")
    with pytest.raises(InvalidInput, match="artifact path"):
        tracking.get_artifact_uri("../elsewhere")
    with pytest.raises(InvalidInput, match="YAML"):
        tracking.log_dict({"a": object()}, "a.yml")
    tracking.log_dict({"when": Path("/x")}, "a.json")
    artifacts = store.artifacts(store.runs.get_info(given_run).artifact_uri)
    assert [info.path for info in artifacts.list()] == ["a.json"]
