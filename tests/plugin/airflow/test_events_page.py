"""``docs/airflow-events.md`` says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from airflow.sdk import DAG

from headgate.airflow.asset_events import ALIAS
from headgate.airflow.asset_uris import read_uri
from headgate.airflow.assets import dataset_asset, model_asset
from headgate.airflow.promoted import PromotedModel
from headgate.airflow.provider import get_provider_info

PAGE = (Path(__file__).parents[3] / "docs" / "airflow-events.md").read_text()


def rows_below(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a line that starts so, without its head."""
    table = PAGE.partition(heading)[2]
    lines = re.findall(r"^\|.*\|$", table.partition("\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_field_of_a_promotion_is_in_its_table() -> None:
    said = [name for row in rows_below("## What an event says") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(said) == sorted(field.name for field in fields(PromotedModel))


def test_the_settings_are_the_providers() -> None:
    options = get_provider_info()["config"]["headgate"]["options"]
    said = {row[0].strip("`"): row[1].strip("`") for row in rows_below("## Who emits")}
    shown = {name: options[name]["default"] for name in said}
    assert said == shown
    assert {"event_channel", "poll_interval"} <= said.keys()


def test_the_uris_are_those_of_the_assets() -> None:
    uris = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert uris is not None
    assets = [
        model_asset("tumor-screening"),
        model_asset("tumor-screening", alias="champion"),
        model_asset("tumor-screening", stage="Production"),
        dataset_asset("holdout"),
    ]
    assert uris[1].split() == [asset.uri for asset in assets]
    assert all(read_uri(asset.uri).headgate_conn_id == "headgate_default" for asset in assets)
    assert f"`{ALIAS}`" in PAGE


def test_the_dag_of_the_page_is_one() -> None:
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    found: dict[str, object] = {}
    exec(block[1], found)
    dag = found["dag"]
    assert isinstance(dag, DAG)
    assert [asset.uri for asset in dag.timetable.asset_condition.objects] == [
        "headgate://headgate_default/models/tumor-screening@champion"
    ]
