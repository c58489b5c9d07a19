"""Headgate's records: experiments, runs, LoggedModels, the registry, verdicts and promotions, in one SQLModel store.

The names below load on first use; ``import headgate.store`` itself is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "HeadgateError": ".errors",
    "RunContext": ".entities",
    "RunStatus": ".entities",
    "Settings": ".settings",
    "Store": ".store",
    "Terminal": ".errors",
    "Transient": ".errors",
    "entities": ".entities",
    "errors": ".errors",
    "open_store": ".store",
}

if TYPE_CHECKING:
    from headgate.store import entities as entities
    from headgate.store import errors as errors
    from headgate.store.entities import RunContext as RunContext
    from headgate.store.entities import RunStatus as RunStatus
    from headgate.store.errors import HeadgateError as HeadgateError
    from headgate.store.errors import Terminal as Terminal
    from headgate.store.errors import Transient as Transient
    from headgate.store.settings import Settings as Settings
    from headgate.store.store import Store as Store
    from headgate.store.store import open_store as open_store

__all__ = [
    "HeadgateError",
    "RunContext",
    "RunStatus",
    "Settings",
    "Store",
    "Terminal",
    "Transient",
    "entities",
    "errors",
    "open_store",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
