"""What a ``path`` parameter points at when it is a URI: fetched to this machine before the entry point runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headgate.store.errors import InvalidProject
from headgate.tasks.projects.http import download_http
from headgate.tasks.projects.parameters import BoundParameter
from headgate.tasks.projects.secrets import mask_text

if TYPE_CHECKING:
    from headgate.store.store import Store

_SCHEMES = ("http", "https", "models", "runs", "s3")


def refuse_unknown_schemes(bound: Sequence[BoundParameter]) -> None:
    """Raise :class:`InvalidProject` when a parameter is a URI that :class:`Downloads` can't fetch."""
    for parameter in bound:
        scheme = urlsplit(parameter.text).scheme
        if parameter.remote and scheme not in _SCHEMES:
            raise InvalidProject(
                f"Parameter {parameter.name!r} is a path, and nothing is known of downloading {scheme}: URIs such as "
                f"{parameter.recorded!r}.",
                remedy=f"Give a local path, or a URI with {', '.join(_SCHEMES)}; for any other text use the type uri.",
                parameter=parameter.name,
                value=parameter.recorded,
            )


class Downloads:
    """Fetches ``s3://``, ``http(s)://``, ``runs:/<run_id>/<path>`` and ``models:/…`` URIs.

    Args:
        store: knows where the artifacts of runs and models are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, uri: str, directory: Path) -> Path:
        """Return the path of what ``uri`` names: below ``directory``, or in place when it is on this machine already.

        Raises:
            InvalidProject: the URI is not complete, or the server has no such file.
            NotFound: there is no such run, model or artifact.
            CorruptArtifact: the bytes are not those that were stored.
            ArtifactStoreUnavailable, ProjectUnavailable: no answer; a retry may help.
        """
        scheme = urlsplit(uri).scheme
        if scheme in ("http", "https"):
            file = directory / (Path(urlsplit(uri).path).name or "download")
            download_http(uri, file)
            return file
        if scheme == "runs":
            return self._fetch(*self._of_run(uri), directory)
        if scheme == "models":
            return self._fetch(self._of_model(uri), "", directory)
        root, _, name = uri.rstrip("/").rpartition("/")
        return self._fetch(root, name, directory)

    def _of_run(self, uri: str) -> tuple[str, str]:
        run_id, _, path = uri.removeprefix("runs:").strip("/").partition("/")
        if not path:
            raise InvalidProject(
                f"{mask_text(uri)} names no artifact.", remedy="Write runs:/<run_id>/<path>.", uri=mask_text(uri)
            )
        return self._store.runs.get_info(run_id).artifact_uri, path

    def _of_model(self, uri: str) -> str:
        from headgate.store.entities import LoggedModel

        found = self._store.registry.resolve_model_uri(uri)
        if isinstance(found, LoggedModel):
            return found.artifact_location
        return self._store.registry.download_uri(found.name, found.version)

    def _fetch(self, root: str, path: str, directory: Path) -> Path:
        if root.startswith("runs:/"):  # the source of a version that was registered from a run
            root, way_down = self._of_run(root)
            path = "/".join(part for part in (way_down, path) if part)
        artifacts = self._store.artifacts(root)
        local = artifacts.local_path(path)
        if local is not None and local.exists():
            return local
        name = path.rpartition("/")[2] or root.rstrip("/").rpartition("/")[2]
        return artifacts.get(path, directory / name)
