"""Artifacts: listed by run, and carried through the server in pieces, whatever their size.

A file goes to a temporary file first and to the artifact store when it is whole: a client that goes away half-way
leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headgate.store.errors import InvalidInput
from headgate.wire import render
from headgate.wire.asgi import Exchange, Headers, InThread
from headgate.wire.call import Call
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError
from headgate.wire.principal import Role
from headgate.wire.ranges import NotInFile, byte_range
from headgate.wire.routes import Routes
from headgate.wire.scope import may_write_path

if TYPE_CHECKING:
    from headgate.store.artifacts import ArtifactStore
    from headgate.store.artifacts.protocol import FileInfo

routes = Routes()

_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_PIECE = 1 << 20


@routes.get("/api/2.0/mlflow/artifacts/list", role=Role.READ)
def list_run_artifacts(call: Call) -> dict[str, Any]:
    """List a folder of a run; paths are relative to the run's artifact root."""
    fields = call.parameters
    run_id = fields.first_string("run_id", "run_uuid")
    info = call.store.runs.get_info(run_id)
    path = checked(fields.string("path", "") or "")
    listed = call.store.artifacts(info.artifact_uri).list(path)
    return render.without_empty(root_uri=call.uris.to_wire(info.artifact_uri), files=files(listed))


@routes.get(_PROXY, role=Role.READ)
def list_artifacts(call: Call) -> dict[str, Any]:
    """List a folder below the artifact root; MLflow's client joins the names to the folder itself."""
    path = checked(call.parameters.string("path", "") or "")
    return render.without_empty(files=files(root_of(call).list(path), by_name=True))


@routes.get(_PROXY + "/{path:path}", role=Role.READ, kind="stream")
async def download(call: Call, exchange: Exchange, in_thread: InThread) -> None:
    path = checked(call.arguments["path"])
    root = root_of(call)
    info: FileInfo | None = await in_thread(root.stat, path)
    if info is None or info.is_dir:
        raise WireError("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{path}'.")
    size = info.file_size or 0
    stream = await in_thread(root.open, path)
    try:
        try:
            part = byte_range(call.headers, size) if stream.seekable() else None
        except NotInFile:
            await exchange.answer(416, b"", [(b"content-range", b"bytes */%d" % size)])
            return
        if part is not None:
            await in_thread(stream.seek, part.start)
        await exchange.start(200 if part is None else 206, _download_headers(size, part, stream))
        left = size if part is None else len(part)
        while piece := await in_thread(stream.read, _PIECE if part is None else min(_PIECE, left)):
            left -= len(piece)
            await exchange.write(piece, more=True)
        await exchange.write(b"", more=False)
    finally:
        await in_thread(stream.close)


def _download_headers(size: int, part: range | None, stream: IO[bytes]) -> Headers:
    headers = [(b"content-type", b"application/octet-stream"), (b"content-disposition", b"attachment")]
    if stream.seekable():
        headers.append((b"accept-ranges", b"bytes"))
    if part is not None:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, size)))
    return [*headers, (b"content-length", b"%d" % (size if part is None else len(part)))]


@routes.add("PUT", _PROXY + "/{path:path}", role=Role.WRITE, kind="stream")
async def upload(call: Call, exchange: Exchange, in_thread: InThread) -> None:
    path = checked(call.arguments["path"])
    await in_thread(may_write_path, call, path)
    root = root_of(call)
    async with _spooled(exchange, in_thread) as spooled:
        await in_thread(root.put_file, spooled, path)
    await exchange.answer(200, b"", [])


@routes.delete(_PROXY + "/{path:path}", role=Role.ADMIN, scoped=False)
def delete(call: Call) -> dict[str, Any]:
    root_of(call).delete(checked(call.arguments["path"]))
    return {}


@contextlib.asynccontextmanager
async def _spooled(exchange: Exchange, in_thread: InThread) -> AsyncIterator[Path]:
    """Give a temporary file that holds the whole body."""
    handle, name = await in_thread(tempfile.mkstemp, "", "headgate-upload-")
    try:
        stream: IO[bytes] = os.fdopen(handle, "wb", buffering=_PIECE)
        with stream:
            async for chunk in exchange.chunks():
                await in_thread(stream.write, chunk)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def root_of(call: Call) -> ArtifactStore:
    return call.store.artifacts(call.store.artifact_root)


def checked(path: str) -> str:
    """Return an artifact path that stays below its root.

    Raises:
        WireError: it is absolute, climbs (``..``), or does so once it is decoded.
    """
    from headgate.store.artifacts.paths import checked_path

    try:
        return checked_path(path, may_be_root=True)
    except InvalidInput as error:
        raise WireError(INVALID_PARAMETER_VALUE, "Invalid path") from error


def files(listed: Iterable[FileInfo], *, by_name: bool = False) -> list[dict[str, Any]]:
    """Return a listing in MLflow's form, by whole paths or by names alone."""
    return [
        {
            "path": posixpath.basename(file.path) if by_name else file.path,
            "is_dir": file.is_dir,
            **({"file_size": file.file_size} if file.file_size else {}),
        }
        for file in listed
    ]
