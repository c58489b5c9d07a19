"""A model's files on this machine, verified against the digest that was recorded when it was logged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.tasks.tracking.uris import ModelPlace

if TYPE_CHECKING:
    from headgate.store.store import Store


def verified_folder(store: Store, place: ModelPlace, destination: Path | None = None) -> Path:
    """Return the model's folder on this machine, verified when its digest is known.

    Args:
        destination: where to download the files to; None reads them in place where they are on this machine, or else
            takes a folder that is removed when the process ends.

    Raises:
        CorruptArtifact: the files are not those that were logged.
        NotFound: there are no files.
        ArtifactStoreUnavailable: a retry may help.
    """
    from headgate.store.artifacts import folder_digest
    from headgate.store.artifacts.digest import verify_sha256

    artifacts = store.artifacts(place.uri)
    folder = artifacts.local_path("") if destination is None else None
    if folder is None:
        folder = artifacts.get("", destination or _scratch_folder())
    if place.model is not None and place.model.artifact_digest is not None and folder.is_dir():
        verify_sha256(folder_digest(folder), place.model.artifact_digest, place.uri)
    return folder


def _scratch_folder() -> Path:
    import atexit
    import shutil

    folder = tempfile.mkdtemp(prefix="headgate-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
