"""Files that clients put to S3 themselves, with URLs that we sign: whole, or in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.store.artifacts.protocol import MultipartUpload
from headgate.store.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

MOST_PARTS = 10_000
"""What S3 takes for one file."""

_BAD_PARTS = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"})


@dataclass(frozen=True)
class DirectUploads:
    """Uploads of one object; errors of botocore pass through, save those documented.

    Args:
        client: talks to S3 for us.
        signer: has the endpoint that clients see.
        bucket: the object's.
        key: the object's.
        uri: names the object in errors.
    """

    client: S3Client
    signer: S3Client
    bucket: str
    key: str
    uri: str

    def presign(self, expires_in: int) -> str:
        return self.signer.generate_presigned_url(
            "put_object", Params={"Bucket": self.bucket, "Key": self.key}, ExpiresIn=expires_in
        )

    def start(self, parts: int, expires_in: int) -> MultipartUpload:
        if not 1 <= parts <= MOST_PARTS:
            raise InvalidInput(
                f"An upload of {self.uri} in {parts} parts is not possible.",
                remedy=f"Send from 1 to {MOST_PARTS} parts.",
                uri=self.uri,
            )
        upload_id = self.client.create_multipart_upload(Bucket=self.bucket, Key=self.key)["UploadId"]
        urls = tuple(self._part_url(upload_id, number, expires_in) for number in range(1, parts + 1))
        return MultipartUpload(upload_id, urls)

    def complete(self, upload_id: str, etags: Mapping[int, str]) -> None:
        from botocore.exceptions import ClientError

        if not etags:
            raise InvalidInput(f"The upload of {self.uri} has no parts.", remedy="Name the parts that were put.")
        try:
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in sorted(etags.items())]},
            )
        except ClientError as error:
            code = _code(error)
            if code == "NoSuchUpload":
                raise self._not_open(upload_id) from error
            if code in _BAD_PARTS:
                raise InvalidInput(
                    f"The parts of {self.uri} don't make a file: {code}.",
                    remedy="Put every part (5 MiB or more, save the last) and name it by the ETag that was answered.",
                    uri=self.uri,
                ) from error
            raise

    def abort(self, upload_id: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=upload_id)
        except ClientError as error:
            if _code(error) != "NoSuchUpload":
                raise

    def _part_url(self, upload_id: str, number: int, expires_in: int) -> str:
        place = {"Bucket": self.bucket, "Key": self.key, "UploadId": upload_id, "PartNumber": number}
        return self.signer.generate_presigned_url("upload_part", Params=place, ExpiresIn=expires_in)

    def _not_open(self, upload_id: str) -> NotFound:
        return NotFound(
            f"There is no open upload {upload_id!r} of {self.uri}.",
            remedy="It was completed or aborted: start another one.",
            kind="upload",
            key=upload_id,
        )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
