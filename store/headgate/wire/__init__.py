"""The store over HTTP, in MLflow's REST words: the real ``mlflow`` client works against it unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "Principal": ".principal",
    "Role": ".principal",
    "Security": ".security",
    "create_app": ".app",
}

if TYPE_CHECKING:
    from headgate.wire.app import create_app as create_app
    from headgate.wire.principal import Principal as Principal
    from headgate.wire.principal import Role as Role
    from headgate.wire.security import Security as Security

__all__ = ["Principal", "Role", "Security", "create_app"]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
