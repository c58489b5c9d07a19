"""Where a model version's files may come from: MLflow's rules, so that no client registers what it may not read.

A path of this machine, and an ``mlflow-artifacts:`` URI, count only inside the run or the LoggedModel that the request
names. Other stores (``s3://…``) are the business of whoever holds their credentials.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote_plus, urlsplit

from headgate.store.entities import ModelVersion
from headgate.store.errors import InvalidInput, NotFound
from headgate.wire.call import Call, Fields
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError
from headgate.wire.uris import SCHEME

_WINDOWS = re.compile(r"^([A-Za-z]:|\\\\)")
# Their URIs name a host that the server would connect to on behalf of whoever downloads the version.
_HOST_SCHEMES = frozenset({"ftp", "sftp", "hdfs", "viewfs", "http", "https"})


@dataclass(frozen=True, slots=True)
class VersionSource:
    """A source that was checked.

    Args:
        uri: as the store keeps it.
        run_id: of the run that made the files.
        model_id: of the LoggedModel that they are.
    """

    uri: str
    run_id: str | None
    model_id: str | None


def version_source(call: Call, fields: Fields) -> VersionSource:
    """Return the source of a version that is to be created, its run and LoggedModel taken from a copied version.

    Raises:
        WireError: the source leaves the run or model that the request names, or it names none.
        NotFound: ``models:/<name>/<version>`` is no version.
    """
    said = fields.required_string("source")
    run_id, model_id = fields.string("run_id") or None, fields.string("model_id") or None
    _check_climbing(said)
    parts = urlsplit(said)
    if parts.scheme == "models":
        return _of_registry(call, said, run_id, model_id)
    if parts.scheme == "runs":
        _check_run_uri(said, run_id, model_id)
        return VersionSource(said, run_id, model_id)
    if parts.scheme in _HOST_SCHEMES:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"Invalid model version source: '{said}'. A source with the scheme '{parts.scheme}' is not allowed.",
        )
    inside = call.uris.from_wire(said)
    if _is_held_here(said):
        _check_held(call, said, inside, run_id, model_id)
    return VersionSource(inside, run_id, model_id)


def _of_registry(call: Call, said: str, run_id: str | None, model_id: str | None) -> VersionSource:
    """Read ``models:/<model_id>``, or a version that is copied: its run and model are those of the copy."""
    from headgate.store.registry import parse_model_uri

    if urlsplit(said).netloc:
        _refuse(said, "model_id")
    try:
        uri = parse_model_uri(said)
    except InvalidInput:
        _refuse(said, "model_id")
    if uri.model_id is not None:
        if uri.model_id != model_id:
            _refuse(said, "model_id")
        return VersionSource(said, run_id, model_id)
    version = call.store.registry.resolve_model_uri(said)
    assert isinstance(version, ModelVersion), "a URI with a name is one of a version"
    if (run_id or version.run_id) != version.run_id or (model_id or version.model_id) != version.model_id:
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"Invalid model version source: '{said}'. The run_id and model_id request parameters must match the "
            "referenced model version.",
        )
    return VersionSource(f"models:/{version.name}/{version.version}", version.run_id, version.model_id)


def _check_run_uri(said: str, run_id: str | None, model_id: str | None) -> None:
    parts = urlsplit(said)
    if model_id is not None:
        _refuse(said, "model_id")
    if parts.netloc or run_id is None or parts.path.lstrip("/").split("/")[0] != run_id:
        _refuse(said, "run_id")


def _check_climbing(said: str) -> None:
    """Refuse a source that climbs (``..``) or is not in its shortest form, at whatever level of percent-encoding."""
    plain = said
    while (decoded := unquote_plus(plain)) != plain:
        plain = decoded
    path = re.sub(r"/+", "/", urlsplit(plain).path.rstrip("/"))
    climbs = "\0" in plain or ".." in re.split(r"[/\\]", plain)
    if climbs or (path.startswith("/") and posixpath.normpath(path) != path):
        raise WireError(
            INVALID_PARAMETER_VALUE,
            f"Invalid model version source: '{said}'. If supplying a source as an http, https, local file path, ftp, "
            "objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references "
            "present. Please provide an absolute path.",
        )


def _is_held_here(said: str) -> bool:
    """Say whether the server itself reads what the source names: a path of its machine, or its own artifacts."""
    parts = urlsplit(said)
    return _WINDOWS.match(said) is not None or parts.scheme in ("", "file", SCHEME)


def _check_held(call: Call, said: str, inside: str, run_id: str | None, model_id: str | None) -> None:
    of = "model_id" if model_id is not None else "run_id"
    try:
        if model_id is not None:
            root = call.store.logged_models.get_info(model_id).artifact_location
        elif run_id is not None:
            root = call.store.runs.get_info(run_id).artifact_uri
        else:
            _refuse(said, of)
    except NotFound:
        _refuse(said, of)
    path = urlsplit(inside).path if inside.startswith("file:") else inside
    if path != root and not path.startswith(root.rstrip("/") + "/"):
        _refuse(said, of)


def _refuse(said: str, parameter: str) -> NoReturn:
    raise WireError(
        INVALID_PARAMETER_VALUE,
        f"Invalid model version source: '{said}'. The {parameter} request parameter must identify the resource that "
        "contains the source.",
    )
