"""Reading an S3 object as a stream whose end is verified."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from headgate.store.artifacts.digest import verify_sha256

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from typing_extensions import Buffer

_BUFFER = 1 << 20


def verified_stream(
    body: StreamingBody, sha256: str | None, uri: str, errors: Callable[[], AbstractContextManager[None]]
) -> BinaryIO:
    """Return ``body`` as a buffered stream that raises ``CorruptArtifact`` at its end when the digest is another.

    Args:
        body: the object's content.
        sha256: what it must be; None when it isn't known.
        uri: names the object in errors.
        errors: translates what reading raises.
    """
    return io.BufferedReader(_Verified(body, sha256, uri, errors), _BUFFER)


class _Verified(io.RawIOBase):
    def __init__(
        self, body: StreamingBody, sha256: str | None, uri: str, errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._body = body
        self._expected = sha256
        self._uri = uri
        self._errors = errors
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        with self._errors():
            data = self._body.read(len(view))
        if not data:
            if self._expected is not None:
                verify_sha256(self._digest.hexdigest(), self._expected, self._uri)
            return 0
        view[: len(data)] = data
        self._digest.update(data)
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()
