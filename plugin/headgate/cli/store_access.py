"""Opening the store that a command was told to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.store.store import Store


def open_store(url: str | None, artifact_root: str | None) -> Store:
    """Open the store for a command; raises as :func:`headgate.store.open_store`."""
    from headgate.store.store import open_store as open_it

    return open_it(url, artifact_root=artifact_root)
