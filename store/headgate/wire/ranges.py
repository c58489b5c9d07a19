"""The part of a file that a request asks for, by RFC 9110, section 14: one range of bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RANGE = re.compile(rb"bytes=(\d{0,19})-(\d{0,19})")


class NotInFile(Exception):
    """The range begins behind the end of the file."""


def byte_range(headers: Mapping[bytes, bytes], size: int) -> range | None:
    """Return the bytes that a request asks for; None for the whole file.

    Several ranges at once, other units and what is no range count as nothing said, as the RFC permits. So does a range
    with ``If-Range``: there are no versions of files to compare.

    Args:
        headers: of the request, lower-case names.
        size: of the file, bytes.

    Raises:
        NotInFile: nothing of the range is in the file.
    """
    said = _RANGE.fullmatch(headers.get(b"range", b"").strip())
    if said is None or b"if-range" in headers or said[1] == said[2] == b"":
        return None
    if said[1] == b"":  # so many bytes from the end
        start, end = max(size - int(said[2]), 0), size
    else:
        start, end = int(said[1]), min(int(said[2]) + 1, size) if said[2] else size
        if said[2] and int(said[2]) < start:
            return None
    if start >= end:
        raise NotInFile
    return range(start, end)
