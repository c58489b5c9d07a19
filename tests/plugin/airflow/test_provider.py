"""Airflow finds the provider and the plugin by themselves, with what they bring."""

from __future__ import annotations

import json

import pytest

from headgate.airflow.provider import get_provider_info


@pytest.mark.oldest_airflow
def test_airflow_lists_the_provider(airflow_database: None, capsys: pytest.CaptureFixture[str]) -> None:
    from airflow.cli import cli_parser

    arguments = cli_parser.get_parser().parse_args(["providers", "list", "--output", "json"])
    capsys.readouterr()
    arguments.func(arguments)
    listed = {row["package_name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["headgate"]["description"] == get_provider_info()["description"].rstrip(".")


def test_the_connection_has_a_form_and_a_hook() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    hook = manager.hooks["headgate"]
    assert hook is not None
    assert (hook.hook_name, hook.hook_class_name) == ("Headgate", "headgate.airflow.hook.HeadgateHook")
    fields = {name for name in manager.connection_form_widgets if "headgate" in name}
    assert {name.rpartition("__")[2] for name in fields} == {
        *("artifact_root", "s3_access_key_id", "s3_endpoint_url", "s3_secret_access_key", "store_url", "workspace"),
    }
    assert manager.field_behaviours["headgate"]["relabeling"]["password"] == "Database password"


def test_the_hook_of_the_connection_is_ours(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Connection

    from headgate.airflow import HeadgateHook

    monkeypatch.setenv("AIRFLOW_CONN_TEAM", "headgate://")
    found = Connection.get("team").get_hook()
    assert isinstance(found, HeadgateHook)
    assert found.headgate_conn_id == "team"


def test_the_plugin_is_loaded_once() -> None:
    from airflow import plugins_manager

    plugins, errors = plugins_manager._get_plugins()
    assert errors == {}
    assert [plugin.name for plugin in plugins].count("headgate") == 1
