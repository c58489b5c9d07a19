"""What botocore raises, in Headgate's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headgate.store.artifacts.s3_client import require_boto3
from headgate.store.errors import ArtifactStoreUnavailable, HeadgateError, InvalidInput, InvalidSettings, NotFound

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_REFUSED = frozenset({"401", "403", "AccessDenied", "AllAccessDisabled", "AccountProblem"})
_CREDENTIALS = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"}
)
_ELSEWHERE = frozenset(
    {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_BUSY = frozenset(
    {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"}
)


@contextmanager
def translated_errors(bucket: str, uri: str) -> Iterator[None]:
    """Turn what boto3 raises in the block into a :class:`HeadgateError` that names ``uri``."""
    require_boto3()
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _from_answer(error, bucket, uri) from error
    except BotoCoreError as error:
        raise _from_client(error, uri) from error
    except Boto3Error as error:
        # A failed upload: boto3 wraps the server's answer and keeps it as the context only.
        cause = error.__context__
        if isinstance(cause, ClientError):
            raise _from_answer(cause, bucket, uri) from error
        raise _unavailable(uri, str(error)) from error


def is_missing(error: ClientError) -> bool:
    """Whether the answer says that there is no such object."""
    return _code(error) in _MISSING


def not_deleted(key: str, code: str, message: str, uri: str) -> HeadgateError:
    """Return the error for one key that a DeleteObjects request left."""
    if code in _REFUSED:
        return _refused(f"delete {key!r} in {uri}", uri)
    return _unavailable(uri, f"{key!r} was not deleted: {code} {message}")


def _from_answer(error: ClientError, bucket: str, uri: str) -> HeadgateError:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return InvalidSettings(
            f"There is no bucket {bucket!r} for {uri}.",
            remedy="Create the bucket, or set HEADGATE_ARTIFACT_ROOT to one that exists.",
            bucket=bucket,
            uri=uri,
        )
    if code in _MISSING:
        return NotFound(
            f"There is no artifact {uri}.", remedy="List the artifacts that are there.", kind="artifact", key=uri
        )
    if code in _CREDENTIALS:
        return InvalidSettings(
            f"The credentials for {uri} are not valid: {code}.",
            remedy="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or the AWS profile.",
            uri=uri,
        )
    if code in _REFUSED:
        return _refused(f"{error.operation_name} on {uri}", uri)
    if code in _ELSEWHERE:
        return InvalidSettings(
            f"The bucket {bucket!r} of {uri} is in another region.",
            remedy="Set AWS_DEFAULT_REGION to the bucket's region.",
            bucket=bucket,
            uri=uri,
        )
    if code in _BUSY or status >= 500 or status in (408, 429):
        return _unavailable(uri, str(error))
    return InvalidInput(
        f"The artifact store refused {uri}: {error}", remedy="Check the bucket, the path and HEADGATE_S3_*.", uri=uri
    )


def _from_client(error: BotoCoreError, uri: str) -> HeadgateError:
    from botocore import exceptions as e

    if isinstance(error, e.NoCredentialsError | e.PartialCredentialsError | e.CredentialRetrievalError):
        return InvalidSettings(
            f"There are no usable AWS credentials for {uri}: {error}",
            remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
            uri=uri,
        )
    if isinstance(error, e.ParamValidationError | e.InvalidRegionError | e.NoRegionError | e.ProfileNotFound):
        return InvalidSettings(
            f"{uri} can't be reached as it is set up: {error}", remedy="Mend the URI or the AWS settings."
        )
    return _unavailable(uri, str(error))


def _refused(what: str, uri: str) -> HeadgateError:
    return InvalidSettings(
        f"The artifact store does not allow {what}.",
        remedy="Give these credentials s3:GetObject, PutObject, DeleteObject and ListBucket on the bucket.",
        uri=uri,
    )


def _unavailable(uri: str, why: str) -> HeadgateError:
    return ArtifactStoreUnavailable(f"{uri} can't be reached: {why}", remedy="Try again.", uri=uri)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
