"""Where artifacts are, as clients are told: what stands below the store's artifact root goes through the server.

Inside, an artifact URI is a folder or ``s3://…``. A client gets ``mlflow-artifacts:/<path below the root>`` instead,
which MLflow's client turns into requests to the server that it talks to, so it needs neither the folder nor
credentials. URIs outside the root are told as they are.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

SCHEME = "mlflow-artifacts"


class ArtifactUris:
    """Translates between the store's artifact URIs and those that clients see.

    Args:
        root: the store's artifact root.
    """

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")

    def holds(self, uri: str) -> bool:
        """Say whether an artifact URI of the store is below its root, or the root itself."""
        return uri == self._root or uri.startswith(self._root + "/")

    def to_wire(self, uri: str) -> str:
        if self.holds(uri):
            return f"{SCHEME}:{quote(uri[len(self._root) :] or '/')}"
        return uri

    def from_wire(self, uri: str) -> str:
        if uri.startswith(f"{SCHEME}:"):
            return f"{self._root}/{unquote(urlsplit(uri).path).lstrip('/')}".rstrip("/")
        return uri
