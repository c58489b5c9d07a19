"""From an artifact URI to the store that holds it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from headgate.store.artifacts.paths import traversal_in
from headgate.store.artifacts.protocol import ArtifactStore
from headgate.store.errors import InvalidSettings

if TYPE_CHECKING:
    from headgate.store.settings import Settings

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*):")


def artifact_store_for(uri: str, settings: Settings | None = None) -> ArtifactStore:
    """Return the artifact store for ``uri``; nothing is opened or connected to yet.

    Args:
        uri: an absolute folder, ``file:///folder`` or ``s3://bucket/prefix``.
        settings: where the S3 endpoint comes from; default: the environment.

    Raises:
        InvalidSettings: the URI has an unknown scheme, is relative, or climbs (``..``, also percent-encoded).
    """
    scheme = _scheme(uri)
    if (reason := traversal_in(uri)) is not None:
        raise _refusal(uri, f"{reason}")
    if scheme == "s3":
        from headgate.store.artifacts.s3 import S3ArtifactStore
        from headgate.store.settings import read_settings

        bucket, prefix = _bucket_and_prefix(uri)
        return S3ArtifactStore(bucket, prefix, settings or read_settings())
    from headgate.store.artifacts.local import LocalArtifactStore

    folder = Path(_folder(uri) if scheme == "file" else uri)
    if not folder.is_absolute():
        raise _refusal(uri, "is a relative folder")
    return LocalArtifactStore(folder)


def artifact_root_uri(root: str) -> str:
    """Return an artifact root that a user typed as an absolute URI: ``~`` expanded, relative folders made absolute.

    A child process with another working directory may use the result.

    Raises:
        InvalidSettings: the scheme is unknown or the bucket is missing.
    """
    if _scheme(root) == "s3":
        bucket, prefix = _bucket_and_prefix(root)
        return f"s3://{bucket}/{prefix}".rstrip("/")
    folder = _folder(root) if _scheme(root) == "file" else root
    return os.path.abspath(os.path.expanduser(folder))


def _scheme(uri: str) -> str:
    """Return ``s3``, ``file`` or, for a plain path, ``""``."""
    if not uri.strip():
        raise _refusal(uri, "is empty")
    match = _SCHEME.match(uri)
    scheme = match.group(1).lower() if match else ""
    if scheme not in ("", "file", "s3"):
        # The rest of the URI may hold a password: only the scheme is repeated.
        raise InvalidSettings(
            f"Artifacts can't be kept at {scheme}: URIs.",
            remedy="Use a folder, file:///folder or s3://bucket/prefix.",
            scheme=scheme,
        )
    return scheme


def _folder(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise _refusal(uri, "names another host")
    return unquote(parts.path)


def _bucket_and_prefix(uri: str) -> tuple[str, str]:
    authority, _, prefix = uri[len("s3://") :].partition("/")
    if "@" in authority:
        raise InvalidSettings(
            "The artifact URI holds credentials.",
            remedy="Take them out of the URI and give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if not uri[len("s3:") :].startswith("//") or not authority:
        raise _refusal(uri, "names no bucket")
    return authority, prefix.strip("/")


def _refusal(uri: str, reason: str) -> InvalidSettings:
    return InvalidSettings(
        f"The artifact URI {uri!r} {reason}.",
        remedy="Use an absolute folder, file:///folder or s3://bucket/prefix.",
        uri=uri,
    )
