"""Which artifact paths are accepted: pure functions, shared by every back-end."""

from __future__ import annotations

import re
from urllib.parse import unquote

from headgate.store.errors import InvalidInput, NotFound

PART_PREFIX = ".headgate-part-"
"""Name prefix of files that are still being written; no artifact may be called so, and no listing shows one."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"^[A-Za-z]:")
_MAX_BYTES = 1024  # the longest key that S3 takes


def checked_path(path: str, *, may_be_root: bool = False) -> str:
    """Return ``path`` without trailing slashes, or raise when it could leave the store's URI.

    Args:
        path: relative, with ``/`` between its parts.
        may_be_root: accept ``""``, the URI itself.

    Raises:
        InvalidInput: naming the path and what is wrong with it.
    """
    plain = path.rstrip("/") if path.strip("/") else path
    if plain == "" and may_be_root:
        return plain
    reason = _objection(plain)
    if reason is not None:
        raise InvalidInput(
            f"The artifact path {path!r} {reason}.",
            remedy="Give a path relative to the artifact root, such as 'plots/roc.png'.",
            path=path,
        )
    return plain


def traversal_in(text: str) -> str | None:
    """Say what in ``text`` could climb out of a folder, also once or more percent-decoded; None when nothing could."""
    for form in _decoded_forms(text):
        if "\\" in form:
            return "contains a backslash"
        if ".." in form.split("/"):
            return "contains '..'"
        if _CONTROL.search(form):
            return "contains a control character"
    return None


def joined(*parts: str) -> str:
    """Join path parts with ``/``, leaving empty ones out."""
    return "/".join(part for part in parts if part)


def _objection(path: str) -> str | None:
    if path == "":
        return "is empty"
    for form in _decoded_forms(path):
        if form.startswith("/"):
            return "is absolute"
        if _DRIVE.match(form):
            return "starts with a Windows drive"
    if (reason := traversal_in(path)) is not None:
        return reason
    segments = path.split("/")
    if "" in segments or "." in segments:
        return "is not in its shortest form ('//' or '.')"
    if any(segment.startswith(PART_PREFIX) for segment in segments):
        return f"has a part that starts with the reserved {PART_PREFIX!r}"
    return _encoding_objection(path)


def _encoding_objection(path: str) -> str | None:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None if len(encoded) <= _MAX_BYTES else f"is longer than {_MAX_BYTES} bytes"


def _decoded_forms(text: str) -> list[str]:
    """Return ``text`` and all that it becomes when percent-decoded again and again: servers and proxies decode, too."""
    forms = [text]
    while (decoded := unquote(forms[-1])) != forms[-1]:
        forms.append(decoded)
    return forms


def artifact_not_found(uri: str, path: str) -> NotFound:
    """Return the error that there is nothing at a path below a URI."""
    return NotFound(
        f"There is no artifact {path!r} in {uri}.",
        remedy="List the artifacts that are there.",
        kind="artifact",
        key=joined(uri, path),
    )
