"""Datasets, named by the digest of their content."""

from __future__ import annotations

import datetime
import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.entities import Dataset
from headgate.store.errors import InvalidInput
from headgate.tasks.model_format.schema import UnknownType, columns_of, is_a, is_missing
from headgate.tasks.tracking.source import source_tags

if TYPE_CHECKING:
    from hashlib import _Hash

_DIGEST_CHARACTERS = 32  # MLflow keeps up to 36


def dataset(name: str, data: Any = None, *, digest: str | None = None, source: str | None = None) -> Dataset:
    """Describe a dataset by its name and the digest of its content, for ``log_input`` and ``log_metrics``.

    Metrics are compared by a gate only when they were measured on the same digest. For tables and arrays it is computed
    from column names, types, values and the order of the rows (and from an index that is more than the row number), so
    it is the same in every process; a file has the digest of its bytes, which a table read from it has not.

    Args:
        name: such as ``train`` or ``holdout``.
        data: a pandas DataFrame or Series, a numpy array or dictionary of them, the path of a file or folder, bytes, or
            lists and dictionaries of plain values; None with a ``digest``.
        digest: for data that lives elsewhere, such as the version of a table; None computes it.
        source: where the data comes from, such as ``s3://bucket/holdout.parquet``; None takes the path, or else this
            script.

    Returns:
        The description; nothing is logged yet.

    Raises:
        InvalidInput: neither data nor a digest is given, the path doesn't exist, or a value has no digest.
    """
    if data is None and digest is None:
        raise InvalidInput(
            f"The dataset {name!r} has neither data nor a digest.", remedy="Give its data, its path or a digest."
        )
    if isinstance(data, str | Path):
        path = Path(data).absolute()
        known = _of_path(name, path) if digest is None else digest
        return Dataset(name, known, *_source(source or path.as_uri()))
    return Dataset(
        name,
        _content_digest(name, data) if digest is None else digest,
        *_source(source),
        schema=schema_text(data),
        profile=profile_text(data),
    )


def _of_path(name: str, path: Path) -> str:
    from headgate.store.artifacts import file_sha256, folder_digest

    if not path.exists():
        raise InvalidInput(
            f"The dataset {name!r} is not at {str(path)!r}.",
            remedy="Give an existing file or folder; for data that lives elsewhere, give source= and digest=.",
        )
    return (folder_digest(path) if path.is_dir() else file_sha256(path))[:_DIGEST_CHARACTERS]


def _source(uri: str | None) -> tuple[str, str]:
    """Return the type and JSON text of a source, as MLflow has them."""
    if uri is None:
        return "code", json.dumps({"tags": source_tags()})
    scheme = uri.partition("://")[0] if "://" in uri else "file"
    kind = {"file": "local", "https": "http"}.get(scheme, scheme)
    return kind, json.dumps({"url" if kind == "http" else "uri": uri.removeprefix("file://")})


def _content_digest(name: str, data: Any) -> str:
    digest = hashlib.sha256(b"headgate dataset 1\n")
    try:
        _add(digest, data)
    except UnknownType as error:
        raise InvalidInput(
            f"The dataset {name!r} holds {error}, which has no digest.",
            remedy="Convert it, or give a digest of your own.",
        ) from error
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def _add(digest: _Hash, data: Any) -> None:
    if is_a(data, "pandas", "Series"):
        data = data.to_frame()
    if is_a(data, "pandas", "DataFrame"):
        _add_table(digest, data)
    elif is_a(data, "numpy", "ndarray"):
        _add_array(digest, data)
    elif isinstance(data, Mapping) and data and all(is_a(value, "numpy", "ndarray") for value in data.values()):
        for key in sorted(data):
            _add_values(digest, [key])
            _add_array(digest, data[key])
    else:
        _add_values(digest, [data])


def _add_table(digest: _Hash, table: Any) -> None:
    digest.update(b"table")
    if not (is_a(table.index, "pandas", "RangeIndex") and table.index.start == 0 and table.index.step == 1):
        for level in range(table.index.nlevels):
            _add_column(digest, table.index.get_level_values(level))
    for position, label in enumerate(table.columns):
        _add_values(digest, list(label) if isinstance(label, tuple) else [label])
        _add_column(digest, table.iloc[:, position])


def _add_column(digest: _Hash, column: Any) -> None:
    values = column.to_numpy() if is_a(column.dtype, "numpy", "dtype") else None
    if values is None or values.dtype.kind == "O":
        digest.update(b"column")
        _add_values(digest, column.to_list())
    else:
        _add_array(digest, values)


def _add_array(digest: _Hash, array: Any) -> None:
    """Add type, shape and content; equal numbers count as equal: one zero, one NaN, whatever the byte order."""
    digest.update(f"array {array.dtype.newbyteorder('<').str} {array.shape}".encode())
    if array.dtype.kind in "OUSV":
        _add_values(digest, array.ravel().tolist())
        return
    array = array.astype(array.dtype.newbyteorder("<"), order="C")  # a copy, so it may be changed
    if array.dtype.kind in "fc":
        array += 0
        array[array != array] = float("nan")
    digest.update(array.data if array.dtype.kind not in "mM" else array.view("<i8").data)


def _add_values(digest: _Hash, values: Iterable[Any]) -> None:
    for text in map(_canonical, values):
        digest.update(struct.pack("<q", len(text)))
        digest.update(text)


def _canonical(value: Any) -> bytes:
    """Return bytes that differ for values that differ, with the type in front."""
    if is_a(value, "numpy", "generic"):
        value = value.item()
    if is_missing(value):
        return b"n"
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool | int):
        return f"{type(value).__name__[0]}{int(value)}".encode()
    if isinstance(value, float):
        return f"f{(value + 0.0).hex()}".encode()
    if isinstance(value, bytes | bytearray):
        return b"y" + bytes(value)
    if isinstance(value, datetime.date | datetime.time):
        return f"d{value.isoformat()}".encode()
    return _canonical_container(value)


def _canonical_container(value: Any) -> bytes:
    if is_a(value, "numpy", "ndarray"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return b"l" + b"".join(_sized(_canonical(item)) for item in value)
    if isinstance(value, Mapping):
        pairs = sorted((_canonical(key), _canonical(item)) for key, item in value.items())
        return b"m" + b"".join(_sized(part) for pair in pairs for part in pair)
    raise UnknownType(f"a {type(value).__module__}.{type(value).__qualname__}")


def _sized(text: bytes) -> bytes:
    return struct.pack("<q", len(text)) + text


def schema_text(data: Any) -> str | None:
    """Return the schema of the data as MLflow's datasets have it; None where it has no words for it."""
    try:
        columns = columns_of(data)
    except UnknownType:
        return None
    if all(column["type"] == "tensor" for column in columns):
        return json.dumps({"mlflow_tensorspec": {"features": json.dumps(columns), "targets": None}})
    return json.dumps({"mlflow_colspec": columns})


def profile_text(data: Any) -> str | None:
    """Return how many rows and elements the data have, as MLflow's datasets say it; None where it has no words."""
    if is_a(data, "pandas", "DataFrame") or is_a(data, "pandas", "Series"):
        return json.dumps({"num_rows": len(data), "num_elements": int(data.size)})
    if is_a(data, "numpy", "ndarray"):
        shape = {"features_shape": data.shape, "features_size": int(data.size), "features_nbytes": int(data.nbytes)}
        return json.dumps(shape)
    return json.dumps({"num_rows": len(data)}) if isinstance(data, list) else None
