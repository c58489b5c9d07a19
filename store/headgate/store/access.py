"""Where a store is and how to get in, as an orchestrator is told: by a connection, a block or the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.store.errors import InvalidSettings

if TYPE_CHECKING:
    from sqlalchemy import URL

    from headgate.store.store import Store

# Without any of these in the environment, the store would be one that nobody has chosen.
_NAMING = ("HEADGATE_STORE_URL", "HEADGATE_HOME")


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """Where the store is, and how to get in. Secrets are in no ``repr``.

    Args:
        url: of the store's database; None takes the environment's.
        artifact_root: None takes the environment's.
        settings: name → value of other settings, over the environment's.
    """

    url: str | None = field(default=None, repr=False)
    artifact_root: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def open(self) -> Store:
        """Open the store; errors as of :func:`headgate.store.open_store`."""
        from headgate.store.settings import read_settings
        from headgate.store.store import open_store

        return open_store(self.url, artifact_root=self.artifact_root, settings=read_settings(**self.settings))


def environment_names_store() -> bool:
    """Say whether ``HEADGATE_STORE_URL`` or ``HEADGATE_HOME`` names a store."""
    return any(os.environ.get(name) for name in _NAMING)


def read_url(text: str, subject: str, **attributes: Any) -> URL:
    """Return the URL of a store's database.

    Args:
        text: what was said. It may hold a password, and stands in no message.
        subject: what messages call it: ``The store URL``.
        **attributes: of the error.

    Raises:
        InvalidSettings: it can't be read.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise InvalidSettings(
            f"{subject} can't be read.",
            remedy="Write it as sqlite:////path/to/file.db, postgresql://user@host/database or "
            "mysql://user@host/database.",
            **attributes,
        ) from error
