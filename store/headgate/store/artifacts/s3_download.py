"""Downloading an S3 object into a file, parts of it side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from headgate.store.artifacts.s3_client import transfer_config

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


def download_file(client: S3Client, bucket: str, key: str, path: Path, callback: Callable[[int], None]) -> None:
    """Write an object's content to ``path``. When this returns or raises, no connection of it is open.

    Args:
        callback: called with the number of bytes that came, from several threads; its error ends the download.

    Raises:
        botocore.exceptions.ClientError, BotoCoreError: the server's, or the connection's.
    """
    from boto3.s3.transfer import S3Transfer, create_transfer_manager

    answers: Any = _Answers(client)
    try:
        with S3Transfer(manager=create_transfer_manager(answers, transfer_config())) as transfer:
            transfer.download_file(bucket, key, str(path), callback=callback)
    finally:
        answers.close()


class _Answers:
    """A client that remembers the contents it was asked for.

    A transfer that is given up leaves those that it did not read to Python's garbage collector, with their connections.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._bodies: WeakSet[StreamingBody] = WeakSet()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **arguments: Any) -> GetObjectOutputTypeDef:
        answer = self._client.get_object(**arguments)
        self._bodies.add(answer["Body"])
        return answer

    def close(self) -> None:
        for body in self._bodies:
            body.close()
