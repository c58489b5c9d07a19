"""The plugin. Every server and every task process of Airflow imports this module: it stays light."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from headgate.airflow import asset_listener, listener
from headgate.airflow.tabs import PREFIX, external_views


class HeadgatePlugin(AirflowPlugin):
    """What Headgate adds to Airflow beside operators; entry point ``airflow.plugins``."""

    name = "headgate"
    listeners: list[Any] = [asset_listener, listener]  # noqa: RUF012 - as the base class declares it
    external_views: list[Any] = external_views()

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]  # evaluated where it is asked for
        """The pages. Only the API server asks for them, so only it imports a web framework and the store."""
        from headgate.airflow.view import app

        return [{"app": app, "url_prefix": PREFIX, "name": self.name}]
