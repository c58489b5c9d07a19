"""The store as a server of its own: MLflow's REST API, for clients on other machines.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {"ServerOptions": ".options", "serve": ".serve"}

if TYPE_CHECKING:
    from headgate.server.options import ServerOptions as ServerOptions
    from headgate.server.serve import serve as serve

__all__ = ["ServerOptions", "serve"]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
