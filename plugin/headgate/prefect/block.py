"""``HeadgateStore``: where the store is and how to get in, kept by Prefect and used by its name."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator

if TYPE_CHECKING:
    from headgate.store.access import StoreAccess
    from headgate.store.store import Store


class HeadgateStore(Block):
    """A store of Headgate: its database, its artifact root, and what it takes to get in.

    A task takes it by name: ``run_project(…, store="production")``. The task's process opens the database itself:
    nothing of it passes through Prefect's server. A password in the URL is moved to the secret field.
    """

    _block_type_name: ClassVar[str] = "Headgate Store"
    _block_type_slug: ClassVar[str] = "headgate-store"
    _description: ClassVar[str] = "The database and the artifact root that Headgate's tasks record runs and models in."

    # Required: a deployment's parameter that refers to a block is refused when every field has a default.
    url: str = Field(
        title="URL",
        description="Database of the store: sqlite:////path/to/file.db, postgresql://user@host/database or mysql://….",
    )
    password: SecretStr | None = Field(default=None, description="Password of the database's user.")
    artifact_root: str | None = Field(
        default=None,
        title="Artifact root",
        description="Where artifacts go: a folder that all workers share, or s3://bucket/prefix. SQLite needs none.",
    )
    workspace: str | None = Field(
        default=None, description="Workspace that experiments and registered models belong to; none is the default one."
    )
    s3_endpoint_url: str | None = Field(
        default=None, title="S3 endpoint", description="Endpoint of an S3-compatible server."
    )
    s3_access_key_id: str | None = Field(
        default=None, title="S3 access key", description="Without one, what boto3 finds (profile, instance role)."
    )
    s3_secret_access_key: SecretStr | None = Field(
        default=None, title="S3 secret key", description="The secret of that access key."
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_the_password_secret(cls, values: Any) -> Any:
        from headgate.prefect.store_access import without_password

        if not isinstance(values, dict) or not isinstance(values.get("url"), str):
            return values
        url, password = without_password(values["url"])
        if password is None:
            return values
        return {**values, "url": url, "password": values.get("password") or password}

    def access(self) -> StoreAccess:
        """Return where the store is, as this process opens it; its secrets are in no ``repr``.

        Raises:
            InvalidSettings: the URL can't be read.
        """
        from headgate.prefect.store_access import access_of

        return access_of(self)

    def open(self) -> AbstractContextManager[Store]:
        """Give the store for the length of a ``with`` block; errors are those of ``open_store_of``."""
        from headgate.prefect.store_access import opened

        return opened(self.access())
