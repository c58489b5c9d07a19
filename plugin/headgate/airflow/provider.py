"""What Airflow's provider discovery asks: the connection type with its form, the decorator, the links, the settings."""

from __future__ import annotations

from typing import Any

from headgate.airflow.connection import CONNECTION_TYPE

# Field of the connection's extra → its label, what it is for, and its format.
_CONNECTION_FORM = {
    "store_url": ("Store URL", "sqlite:////path, postgresql://host/database or mysql://…, without the password."),
    "artifact_root": ("Artifact root", "A folder that all workers share, or s3://bucket/prefix."),
    "workspace": ("Workspace", "Of experiments and registered models; `default` when it is empty."),
    "s3_endpoint_url": ("S3 endpoint", "Of an S3-compatible server that is not Amazon's."),
    "s3_access_key_id": ("S3 access key", "When it is empty, what boto3 finds on the worker."),
    "s3_secret_access_key": ("S3 secret key", "Masked in logs.", "password"),
}


def get_provider_info() -> dict[str, Any]:
    """Return the description of this provider; entry point ``apache_airflow_provider``."""
    return {
        "package-name": "headgate",
        "name": "Headgate",
        "description": "Tracked ML projects, gated promotions and lineage.",
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "headgate.airflow.hook.HeadgateHook",
                "hook-name": "Headgate",
                "conn-fields": {name: _field(*words) for name, words in _CONNECTION_FORM.items()},
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "port", "schema"],
                    "relabeling": {"login": "Database user", "password": "Database password"},
                    "placeholders": {"store_url": "postgresql://db.example.com/headgate"},
                },
            }
        ],
        "task-decorators": [{"name": "headgate", "class-name": "headgate.airflow.decorators.headgate_task"}],
        "asset-uris": [
            {
                "schemes": ["headgate"],
                "handler": "headgate.airflow.asset_uris.sanitize_uri",
                "factory": "headgate.airflow.asset_uris.create_asset",
                "to_openlineage_converter": "headgate.airflow.asset_uris.convert_asset_to_openlineage",
            }
        ],
        "extra-links": ["headgate.airflow.links.RunLink", "headgate.airflow.links.VerdictLink"],
        "triggers": [{"integration-name": "Headgate", "python-modules": ["headgate.airflow.triggers"]}],
        "config": {
            "headgate": {
                "description": "How this Airflow hears of promotions.",
                "options": {
                    "event_channel": {
                        "description": "The name of this Airflow among those that share a store: each gets every "
                        "promotion. The same for all its processes, at most 64 characters.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "airflow-production",
                        "default": "airflow",
                    },
                    "poll_interval": {
                        "description": "How often watchers look for promotions from outside of this Airflow, in "
                        "seconds. All watchers of a store in one triggerer share a look.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "30",
                        "default": "10",
                    },
                },
            }
        },
    }


def _field(label: str, description: str, text_format: str | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": ["string", "null"]}
    if text_format is not None:
        schema["format"] = text_format
    return {"label": label, "description": description, "schema": schema}
