"""The URIs of assets: one form each, read back as they were meant, and refused at parse time when they mean nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG

from headgate.airflow import EvaluateModelOperator, ValidateDataOperator
from headgate.airflow.asset_uris import AssetName, openlineage_name, read_uri, sanitize_uri
from headgate.airflow.assets import dataset_asset, dataset_inlets, model_asset, model_of_asset, target_asset
from headgate.airflow.provider import get_provider_info
from headgate.airflow.triggers import PromotionTrigger
from headgate.store.errors import InvalidInput

NAMES = [
    (AssetName("models", "tumor-screening"), "headgate://headgate_default/models/tumor-screening", "tumor-screening"),
    (
        AssetName("models", "tumor-screening", "@champion"),
        "headgate://headgate_default/models/tumor-screening@champion",
        "tumor-screening@champion",
    ),
    (
        AssetName("models", "a b@c", "stage:Production", "other"),
        "headgate://other/models/a%20b%40c/Production",
        "other:a b@c/Production",
    ),
    (
        AssetName("models", "größe?", "@champion"),
        "headgate://headgate_default/models/gr%C3%B6%C3%9Fe%3F@champion",
        "gr%C3%B6%C3%9Fe%3F@champion",
    ),
    (AssetName("datasets", "s/holdout"), "headgate://headgate_default/datasets/s%2Fholdout", "datasets/s/holdout"),
]


@pytest.mark.parametrize(("name", "uri", "title"), NAMES)
def test_a_name_is_written_in_one_way_and_read_back(name: AssetName, uri: str, title: str) -> None:
    assert name.uri == uri
    assert read_uri(uri) == name
    assert sanitize_uri(urlsplit(uri)).geturl() == uri
    assert name.title == title


@pytest.mark.parametrize(
    ("written", "sanitized"),
    [
        ("headgate://h/models/a/production", "headgate://h/models/a/Production"),
        ("headgate://h/models/%61@champion?x=1#y", "headgate://h/models/a@champion"),
    ],
)
def test_other_ways_of_writing_become_that_one(written: str, sanitized: str) -> None:
    from airflow.sdk import Asset

    assert Asset("a", written).uri == sanitized


@pytest.mark.parametrize(
    "uri",
    [
        "headgate:///models/a",
        "headgate://h/models",
        "headgate://h/models/",
        "headgate://h/runs/a",
        "headgate://h/models/a@v1",
        "headgate://h/models/a@latest",
        "headgate://h/models/a@",
        "headgate://h/models/a/Archived",
        "headgate://h/models/a@champion/Production",
        "headgate://h/models/a/Production/x",
        "headgate://h/datasets/a@champion",
    ],
)
def test_a_uri_that_means_nothing_is_refused_while_the_dag_is_parsed(uri: str) -> None:
    from airflow.sdk import Asset

    with pytest.raises(ValueError, match=r"headgate|alias|stage"):
        Asset("a", uri)


def test_the_asset_of_a_model_has_no_watcher_that_of_an_alias_has_one() -> None:
    registered, champion = model_asset("screening"), model_asset("screening", alias="champion")
    production = model_asset("screening", stage="production", headgate_conn_id="other")

    assert (registered.uri, registered.group) == ("headgate://headgate_default/models/screening", "model")
    assert registered.watchers == []
    assert (champion.name, champion.group) == ("screening@champion", "model")
    (watcher,) = champion.watchers
    assert isinstance(watcher.trigger, PromotionTrigger)
    assert watcher.trigger.serialize() == (
        "headgate.airflow.triggers.PromotionTrigger",
        {"model_name": "screening", "target": "@champion", "headgate_conn_id": "headgate_default"},
    )
    assert production.uri == "headgate://other/models/screening/Production"
    assert production.extra == {"headgate_conn_id": "other", "model_name": "screening", "target": "stage:Production"}
    assert model_of_asset(champion) == AssetName("models", "screening", "@champion")
    assert target_asset("screening", "@champion").uri == champion.uri
    assert target_asset("screening", None).uri == registered.uri


def test_a_dataset_is_an_asset_by_its_name_or_by_where_it_is() -> None:
    assert dataset_asset("holdout").uri == "headgate://headgate_default/datasets/holdout"
    placed = dataset_asset("holdout", "s3://bucket/holdout.parquet")
    assert (placed.name, placed.uri, placed.group) == ("datasets/holdout", "s3://bucket/holdout.parquet", "dataset")
    assert model_of_asset(placed) is None
    assert model_of_asset(dataset_asset("holdout")) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("a", {"alias": "x", "stage": "Staging"}), ("", {}), ("a/b", {}), ("a:b", {}), ("a", {"alias": "v1"})],
)
def test_what_is_no_model_or_target_is_refused(name: str, options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        model_asset(name, **options)  # type: ignore[arg-type]


def test_the_provider_knows_the_scheme() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    assert "headgate" in ProvidersManagerTaskRuntime().asset_uri_handlers
    assert json.dumps(get_provider_info())


def test_openlineage_has_the_store_as_namespace() -> None:
    named = AssetName("models", "a", "@champion", "other")
    assert openlineage_name(named) == ("headgate://other", "models/a@champion")


HOLDOUT = "headgate://headgate_default/datasets/holdout"


@pytest.mark.parametrize(
    ("name", "place", "uris"),
    [
        ("holdout", None, [HOLDOUT]),
        (None, "data/holdout.csv", [HOLDOUT]),
        (None, Path("/data/holdout.v2.parquet"), [HOLDOUT]),
        (None, "s3://bucket/holdout.parquet", [HOLDOUT]),
        (None, "https://host/holdout.csv?signature=a/b", [HOLDOUT]),
        (None, "data/holdout/", [HOLDOUT]),
        (None, "models:/churn@champion", []),
        ("{{ params.name }}", "holdout.csv", []),
        (None, "{{ params.data }}", []),
        (None, None, []),
    ],
)
def test_data_that_are_known_while_a_dag_is_parsed_are_inlets(name: str | None, place: Any, uris: list[str]) -> None:
    assert [inlet.uri for inlet in dataset_inlets([], name, place)] == uris


def test_an_inlet_that_was_said_is_not_said_again() -> None:
    said = dataset_asset("holdout", "s3://bucket/holdout.parquet")
    assert dataset_inlets([said], "holdout") == [said]
    assert len(dataset_inlets([said], "train")) == 2


def test_a_dataset_that_is_called_what_its_model_is_is_another_asset() -> None:
    assert dataset_asset("churn").name != model_asset("churn").name


def test_operators_have_the_data_that_they_read_among_their_inlets() -> None:
    given: dict[str, Any] = {"model": "m-1", "project": "project"}
    measured: dict[str, Any] = {"model": "m-1", "evaluator": {"kind": "classification", "target": "y"}}
    with DAG("reads", schedule=None):
        operators = [
            ValidateDataOperator(task_id="check", data="holdout.csv", suite={}),
            EvaluateModelOperator(task_id="by_path", dataset={"name": "holdout", "path": "other.csv"}, **given),
            EvaluateModelOperator(task_id="by_digest", dataset={"name": "holdout", "digest": "v7"}, **given),
            EvaluateModelOperator(task_id="built_in", data="holdout.csv", **measured),
        ]
        assert EvaluateModelOperator(task_id="unknown", **given).inlets == []
    assert [[inlet.uri for inlet in operator.inlets] for operator in operators] == [[HOLDOUT]] * 4
