"""Artifacts: the files of runs and LoggedModels, in a local folder or on S3.

:func:`artifact_store_for` turns a URI into an :class:`ArtifactStore`. The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "ArtifactStore": ".protocol",
    "FileInfo": ".protocol",
    "MultipartUpload": ".protocol",
    "ProgressCallback": ".protocol",
    "StoredFile": ".protocol",
    "artifact_root_uri": ".uri",
    "artifact_store_for": ".uri",
    "file_sha256": ".digest",
    "folder_digest": ".digest",
    "tree_digest": ".digest",
}

if TYPE_CHECKING:
    from headgate.store.artifacts.digest import file_sha256 as file_sha256
    from headgate.store.artifacts.digest import folder_digest as folder_digest
    from headgate.store.artifacts.digest import tree_digest as tree_digest
    from headgate.store.artifacts.protocol import ArtifactStore as ArtifactStore
    from headgate.store.artifacts.protocol import FileInfo as FileInfo
    from headgate.store.artifacts.protocol import MultipartUpload as MultipartUpload
    from headgate.store.artifacts.protocol import ProgressCallback as ProgressCallback
    from headgate.store.artifacts.protocol import StoredFile as StoredFile
    from headgate.store.artifacts.uri import artifact_root_uri as artifact_root_uri
    from headgate.store.artifacts.uri import artifact_store_for as artifact_store_for

__all__ = [
    "ArtifactStore",
    "FileInfo",
    "MultipartUpload",
    "ProgressCallback",
    "StoredFile",
    "artifact_root_uri",
    "artifact_store_for",
    "file_sha256",
    "folder_digest",
    "tree_digest",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
