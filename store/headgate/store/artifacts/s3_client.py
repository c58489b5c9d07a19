"""boto3 clients, configured for Amazon and for servers that are not Amazon's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headgate.store.errors import InvalidSettings

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from mypy_boto3_s3 import S3Client

    from headgate.store.settings import Settings

PART_SIZE = 16 << 20
PARTS_AT_ONCE = 4


def require_boto3() -> None:
    """Import boto3, or say which extra brings it."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise InvalidSettings(
            "Artifacts at s3:// URIs need boto3, which is not installed.", remedy="pip install 'headgate[s3]'"
        ) from error


def new_client(endpoint_url: str | None, settings: Settings | None = None) -> S3Client:
    """Return an S3 client with the credentials of the settings, or else those of boto3's usual chain.

    Args:
        endpoint_url: the server; None for what AWS's own configuration says, ``AWS_ENDPOINT_URL_S3`` included.
    """
    import boto3

    secret = None if settings is None else settings.s3_secret_access_key
    session = boto3.session.Session(
        aws_access_key_id=None if settings is None else settings.s3_access_key_id,
        aws_secret_access_key=None if secret is None else secret.get_secret_value(),
    )
    client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=_config())
    if not _is_amazon(client.meta.endpoint_url):
        client = session.client("s3", endpoint_url=endpoint_url, config=_config(**_other_servers()))
    return client


def transfer_config() -> TransferConfig:
    """Return how files are cut into parts."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=PART_SIZE,
        multipart_chunksize=PART_SIZE,
        max_concurrency=PARTS_AT_ONCE,
        preferred_transfer_client="classic",  # the CRT client can't reach a server by its IP address
    )


def _config(**more: Any) -> Any:
    from botocore.config import Config

    return Config(
        signature_version="s3v4",
        retries={"max_attempts": 5, "mode": "standard"},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=4 * PARTS_AT_ONCE,
        **more,
    )


def _other_servers() -> dict[str, Any]:
    """What servers other than Amazon's need.

    By default botocore appends a checksum as an ``aws-chunked`` trailer when it speaks HTTPS. A server that doesn't
    know it stores the chunk framing as part of the object, and both put and get look fine. So no checksum is sent
    unless the operation demands one; ours stands in the object's metadata. Few of them serve buckets as host names.
    """
    return {
        "s3": {"addressing_style": "path"},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


def _is_amazon(endpoint_url: str) -> bool:
    host = urlsplit(endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
