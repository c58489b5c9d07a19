"""Artifacts that clients send to S3 and fetch from it themselves: signed URLs, and uploads in parts.

Where artifacts are in a folder there are no such URLs: MLflow's answer is 501 ``NOT_IMPLEMENTED``, and its client then
sends whole files through the server.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from headgate.wire.call import Call, Fields
from headgate.wire.endpoints.artifacts import checked, root_of
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError, missing, wrong
from headgate.wire.principal import Role
from headgate.wire.routes import Routes
from headgate.wire.scope import may_write_files_of, may_write_path, may_write_run

if TYPE_CHECKING:
    from headgate.store.artifacts import ArtifactStore

routes = Routes()

_PROXY = "/api/2.0/mlflow-artifacts"
_API = "/api/2.0/mlflow/artifacts"
_DOWNLOAD_SECONDS = 900
_UPLOAD_SECONDS = 900
_PART_SECONDS = 12 * 3600
_MOST_SECONDS = 7 * 24 * 3600  # what S3 takes
_MOST_PARTS = 10_000


@routes.post(f"{_PROXY}/mpu/create/{{path:path}}")
def create_multipart(call: Call) -> dict[str, Any]:
    """Open an upload in parts. The path is the file's folder; the field ``path`` ends with its name."""
    path = _file_of_upload(call)
    parts = call.parameters.integer("num_parts", 1) or 0
    if not 1 <= parts <= _MOST_PARTS:
        raise wrong("num_parts", parts)
    upload = root_of(call).start_multipart(path, parts, expires_in=_PART_SECONDS)
    if upload is None:
        raise _not_here("Multipart upload is not supported for the current artifact repository")
    credentials = [
        {"url": url, "part_number": number, "headers": {}} for number, url in enumerate(upload.part_urls, start=1)
    ]
    return {"upload_id": upload.upload_id, "credentials": credentials}


@routes.post(f"{_PROXY}/mpu/complete/{{path:path}}")
def complete_multipart(call: Call) -> dict[str, Any]:
    path = _file_of_upload(call)
    etags = {part.required_integer("part_number"): part.required_string("etag") for part in _parts(call.parameters)}
    _with_parts(call).complete_multipart(path, call.parameters.required_string("upload_id"), etags)
    return {}


@routes.post(f"{_PROXY}/mpu/abort/{{path:path}}")
def abort_multipart(call: Call) -> dict[str, Any]:
    path = _file_of_upload(call)
    _with_parts(call).abort_multipart(path, call.parameters.required_string("upload_id"))
    return {}


@routes.get(f"{_PROXY}/presigned/{{path:path}}")
def presigned_artifact(call: Call) -> dict[str, Any]:
    """Answer a URL that downloads a file below the artifact root."""
    return _download(root_of(call), checked(call.arguments["path"]), _DOWNLOAD_SECONDS, "url")


@routes.post(f"{_API}/presigned-download-url", role=Role.READ)
def presigned_download(call: Call) -> dict[str, Any]:
    fields = call.parameters
    run = call.store.runs.get_info(fields.required_string("run_id"))
    path = checked(fields.required_string("path"))
    return _download(call.store.artifacts(run.artifact_uri), path, _seconds(fields, _DOWNLOAD_SECONDS), "presigned_url")


@routes.post(f"{_API}/presigned-upload-url")
def presigned_upload(call: Call) -> dict[str, Any]:
    fields = call.parameters
    run_id, model_id = fields.string("run_id"), fields.string("model_id")
    if bool(run_id) == bool(model_id):
        raise WireError(INVALID_PARAMETER_VALUE, "Exactly one of run_id and model_id must be provided.")
    path = checked(fields.required_string("path"))
    if run_id:
        may_write_run(call, run_id)
        location = call.store.runs.get_info(run_id).artifact_uri
    else:
        may_write_files_of(call, str(model_id))
        location = call.store.logged_models.get_info(str(model_id)).artifact_location
    url = call.store.artifacts(location).presign_upload(path, expires_in=_seconds(fields, _UPLOAD_SECONDS))
    if url is None:
        raise _not_here("Presigned upload is not supported for the current artifact repository")
    return {"presigned_url": url, "headers": {}}


def _download(artifacts: ArtifactStore, path: str, seconds: int, name: str) -> dict[str, Any]:
    url = artifacts.presign(path, expires_in=seconds)
    if url is None:
        raise _not_here("Multipart download is not supported for the current artifact repository")
    info = artifacts.stat(path)
    if info is None or info.is_dir:
        raise WireError("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{path}'.")
    return {name: url, "headers": {}, "file_size": info.file_size}


def _file_of_upload(call: Call) -> str:
    """Return the path of the file that is uploaded, which the caller may write."""
    name = posixpath.basename(call.parameters.required_string("path"))
    path = checked(posixpath.join(checked(call.arguments["path"]), name))
    may_write_path(call, path)
    return path


def _parts(fields: Fields) -> list[Fields]:
    parts = fields.objects("parts")
    if not parts:
        raise missing("parts")
    return parts


def _with_parts(call: Call) -> ArtifactStore:
    if not call.store.artifact_root.startswith("s3:"):
        raise _not_here("Multipart upload is not supported for the current artifact repository")
    return root_of(call)


def _seconds(fields: Fields, default: int) -> int:
    seconds = fields.integer("expiration", default)
    assert seconds is not None
    if not 1 <= seconds <= _MOST_SECONDS:
        raise WireError(
            INVALID_PARAMETER_VALUE, f"expiration must be between 1 and {_MOST_SECONDS} seconds (got {seconds})."
        )
    return seconds


def _not_here(message: str) -> WireError:
    return WireError("NOT_IMPLEMENTED", message)
