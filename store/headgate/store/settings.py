"""Every setting of Headgate, read from ``HEADGATE_*`` environment variables.

``docs/settings.md`` lists them; a test holds that page to this class.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from headgate.store.errors import InvalidSettings


class Settings(BaseSettings):
    """Settings of the store, of artifacts and of project runs. Each field ``x`` is the variable ``HEADGATE_X``."""

    model_config = SettingsConfigDict(env_prefix="HEADGATE_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".headgate",
        description="Folder of the default SQLite store, its artifacts and the cached environments.",
    )
    store_url: SecretStr | None = Field(
        default=None,
        description="Database of the store: `sqlite:///path`, `postgresql://…` or `mysql://…`. "
        "Default: `headgate.db` in the home folder.",
    )
    artifact_root: str | None = Field(
        default=None,
        description="Where artifacts go: a folder or `s3://bucket/prefix`. Default: `artifacts` beside a SQLite file; "
        "a server database needs it said.",
    )
    workspace: str = Field(default="default", description="Workspace that experiments and registered models belong to.")
    auto_migrate: bool = Field(
        default=False,
        description="Upgrade an outdated server database on first use instead of asking for `headgate db upgrade`.",
    )
    sqlite_synchronous: str = Field(
        default="NORMAL",
        pattern="^(NORMAL|FULL|EXTRA)$",
        description="SQLite's `synchronous` pragma. NORMAL may lose the last commits at power loss, FULL may not.",
    )
    busy_timeout: float = Field(default=30.0, gt=0, description="Seconds to wait for SQLite's write lock.")
    lease_seconds: float = Field(
        default=60.0, gt=0, description="How long a run counts as alive after its last heartbeat, in seconds."
    )
    grace_seconds: float = Field(
        default=3.5, ge=0, lt=60, description="Seconds between SIGTERM and SIGKILL when an entry point is stopped."
    )
    s3_endpoint_url: str | None = Field(default=None, description="Endpoint of an S3-compatible server.")
    s3_access_key_id: str | None = Field(
        default=None, description="Access key for S3. Default: what boto3 finds (environment, profile, instance role)."
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, description="The secret of that access key.")
    s3_public_endpoint_url: str | None = Field(
        default=None, description="Endpoint that presigned URLs are made for, when clients see another host."
    )
    token: SecretStr | None = Field(
        default=None,
        description="Token of the store (`headgate tokens create`) by which the shell knows who approves, rejects, "
        "promotes, guards or overrides. Without one their names are only claimed.",
    )
    webhook_private_hosts: str = Field(
        default="",
        description="Hosts that webhooks may lead to in private networks and without TLS: names with commas between "
        "them, or `*` for all. Default: none.",
    )
    webhook_tries: int = Field(
        default=15, ge=1, description="How often an event is sent to a webhook before it is dead."
    )
    webhook_seconds_after_promotion: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="How long, in seconds, a promotion sends due webhooks right after it. 0 leaves that to "
        "`headgate webhooks deliver` and `headgate server`.",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(?i:DEBUG|INFO|WARNING|ERROR|CRITICAL)$",
        description="Level from which the shell and `headgate server` tell Headgate's own log lines: `DEBUG`, `INFO`, "
        "`WARNING`, `ERROR` or `CRITICAL`. In an orchestrator its logging decides.",
    )

    @property
    def webhook_private_host_names(self) -> tuple[str, ...]:
        """The hosts of ``webhook_private_hosts``."""
        return tuple(name.strip() for name in self.webhook_private_hosts.split(",") if name.strip())


def read_settings(**said: Any) -> Settings:
    """Read the settings.

    Args:
        **said: values over those of the environment.

    Raises:
        InvalidSettings: one has a value that it can't have; the value itself is not repeated.
    """
    try:
        return Settings(**said)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        name = str(wrong["loc"][0]) if wrong["loc"] else None
        subject = "A setting" if name is None else f"The setting {name}" if name in said else f"HEADGATE_{name.upper()}"
        raise InvalidSettings(
            f"{subject} can't be used: {wrong['msg']}.", remedy="docs/settings.md says what each variable may hold."
        ) from None


def set_log_level() -> None:
    """Let ``log_level`` count in this process; for Headgate's own programs.

    Raises:
        InvalidSettings: there is no such level.
    """
    logging.getLogger("headgate").setLevel(read_settings().log_level.upper())
