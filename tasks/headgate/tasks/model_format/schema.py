"""MLflow's schema of a model's inputs and outputs, inferred from data, as the dictionaries that its JSON holds.

The rules are those of ``mlflow.types.utils`` (3.17): arrays are tensors whose first dimension is free; tables,
dictionaries and lists are columns with a type and whether they are required. numpy and pandas are never imported here.
"""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

Type = dict[str, Any]
"""Such as ``{"type": "double"}``, ``{"type": "array", "items": …}`` or ``{"type": "object", "properties": …}``."""

ANY: Type = {"type": "any"}
_PYTHON_TYPES = {
    bool: "boolean",
    int: "long",
    float: "double",
    str: "string",
    bytes: "binary",
    bytearray: "binary",
}
_NUMPY_TYPES = {
    "bool": "boolean",
    "bool_": "boolean",
    "int64": "long",
    "int32": "integer",
    "float64": "double",
    "float32": "float",
    "str_": "string",
    "bytes_": "binary",
}


class UnknownType(Exception):
    """A value has a type that the schema has no word for, or a list mixes types."""


def columns_of(data: Any) -> list[Type]:
    """Return the schema of a model's inputs or outputs.

    Args:
        data: a pandas DataFrame or Series, a numpy array or dictionary of them, a scipy CSR or CSC matrix, a
            dictionary, a list of dictionaries, a list of values, or a value.

    Returns:
        One dictionary per column or tensor.

    Raises:
        UnknownType: MLflow's schema can't express it.
    """
    return _checked(_columns_of(data))


def column_of_rows(values: Any) -> list[Type]:
    """Return the schema of a one-dimensional numpy array that holds one value per row of a table, as a column.

    Raises:
        UnknownType: MLflow's schema can't express it.
    """
    if values.dtype.kind == "O":
        kind, gaps = _item_type(values), any(map(is_missing, values.tolist()))
    else:
        kind, gaps = {"type": numpy_type(values.dtype)}, bool((values != values).any())  # as NaN and NaT alone are
    return _checked([{**kind, "required": not gaps}])


def type_of(value: Any) -> Type:
    """Return the type of one value: a scalar, a list, an array or a dictionary.

    Raises:
        UnknownType: the schema has no word for it.
    """
    if is_missing(value) or (isinstance(value, dict | list) and not value):
        return ANY
    if isinstance(value, dict):
        return _object({name: _property(type_of(item)) for name, item in value.items()})
    if isinstance(value, list) or is_a(value, "numpy", "ndarray"):
        return {"type": "array", "items": _item_type(value)}
    return {"type": _scalar_type(value)}


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, and pandas' NA and NaT."""
    if isinstance(value, float):
        return math.isnan(value)
    pandas = sys.modules.get("pandas")
    return value is None or (pandas is not None and (value is pandas.NA or value is pandas.NaT))


def is_a(value: Any, module: str, name: str) -> bool:
    """Whether ``value`` is an instance of ``module.name``, without importing the module: if it is, it was imported."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return kind is not None and isinstance(value, kind)


def is_sparse_matrix(value: Any) -> bool:
    """Whether ``value`` is one of the scipy matrices that MLflow knows."""
    return is_a(value, "scipy.sparse", "csr_matrix") or is_a(value, "scipy.sparse", "csc_matrix")


def numpy_type(dtype: Any) -> str:
    """Return the column type for a numpy or pandas dtype that holds no Python objects.

    Raises:
        UnknownType: 64-bit unsigned integers, complex numbers, durations, ….
    """
    kind, size = dtype.kind, dtype.itemsize
    if kind in "iu":
        if size < 4 or (kind == "i" and size == 4):
            return "integer"
        if size < 8 or (kind == "i" and size == 8):
            return "long"
    elif kind == "f" and size <= 8:
        return "float" if size <= 4 else "double"
    elif (name := {"b": "boolean", "U": "string", "S": "binary", "M": "datetime"}.get(kind)) is not None:
        return name
    raise UnknownType(f"the dtype {dtype}")


def _checked(columns: list[Type]) -> list[Type]:
    if not columns:
        raise UnknownType("no columns")
    if any("name" not in column and not column.get("required", True) for column in columns):
        raise UnknownType("gaps in a column without a name")
    return columns


def _columns_of(data: Any) -> list[Type]:
    if is_a(data, "pandas", "DataFrame"):
        return [_column(data[name], name) for name in data.columns]
    if is_a(data, "pandas", "Series"):
        return [_column(data, data.name)]
    if is_a(data, "numpy", "ndarray"):
        return [_tensor(data.dtype, data.shape)]
    if is_sparse_matrix(data):
        return [_tensor(data.dtype, data.shape)]
    if isinstance(data, dict):
        return _columns_of_dict(data)
    if isinstance(data, list):
        return _columns_of_list(data)
    return [{**type_of(data), "required": True}]


def _columns_of_dict(data: dict[Any, Any]) -> list[Type]:
    if data and all(is_a(value, "numpy", "ndarray") for value in data.values()):
        return [{"name": name, **_tensor(value.dtype, value.shape)} for name, value in data.items()]
    if not all(isinstance(name, str) for name in data):
        raise UnknownType("keys that are not strings")
    return [{**type_of(value), "name": name, "required": _required(value)} for name, value in data.items()]


def _columns_of_list(data: list[Any]) -> list[Type]:
    if not data:
        return [{"type": "string", "required": True}]
    if not all(isinstance(row, dict) for row in data):
        return [{**_item_type(data), "required": True}]
    names = dict.fromkeys(name for row in data for name in row)
    return [
        {
            **_item_type([row[name] for row in data if name in row]),
            "name": name,
            "required": all(row.get(name) is not None for row in data),
        }
        for name in names
    ]


def _column(series: Any, name: Any) -> Type:
    if getattr(series, "ndim", 1) != 1:
        raise UnknownType(f"two columns named {name!r}")
    if series.dtype.kind == "O":
        series = series.infer_objects()
    if series.dtype.kind == "O":
        values = series.to_list()
        kind, gaps = _item_type(values), any(map(is_missing, values))
    else:
        kind, gaps = {"type": numpy_type(series.dtype)}, bool(series.isna().any())
    return {**kind, **({} if name is None else {"name": name}), "required": not gaps}


def _tensor(dtype: Any, shape: tuple[int, ...]) -> Type:
    if not shape:
        raise UnknownType("an array without dimensions")
    # The length of strings is no part of the type.
    name = {"U": "str", "S": "bytes"}.get(dtype.kind, dtype.name)
    return {"type": "tensor", "tensor-spec": {"dtype": name, "shape": [-1, *shape[1:]]}}


def _required(value: Any) -> bool:
    return not any(map(is_missing, value)) if isinstance(value, list) else not is_missing(value)


def _item_type(values: Iterable[Any]) -> Type:
    """Return the one type that all values share."""
    merged: Type | None = None
    for value in values:
        kind = type_of(value)
        merged = kind if merged is None else _merge(merged, kind)
    if merged is None:
        raise UnknownType("an empty array")
    return merged


def _merge(one: Type, other: Type) -> Type:
    if other == ANY:
        return _optional(one)
    if one == ANY:
        return _optional(other)
    if one["type"] == other["type"] == "object":
        return _object(_merged_properties(one["properties"], other["properties"]))
    if one["type"] == other["type"] == "array":
        return {"type": "array", "items": _merge(one["items"], other["items"])}
    if one != other:
        raise UnknownType(f"a list that mixes {one['type']} and {other['type']}")
    return one


def _merged_properties(one: Mapping[str, Type], other: Mapping[str, Type]) -> dict[str, Type]:
    merged = {}
    for name in {**one, **other}:
        if name not in one or name not in other:
            merged[name] = {**one.get(name, other.get(name, {})), "required": False}
            continue
        required = one[name]["required"] and other[name]["required"]
        merged[name] = {**_merge(_bare(one[name]), _bare(other[name])), "required": required}
    return merged


def _optional(kind: Type) -> Type:
    """Return the type of values of which some are missing."""
    if kind["type"] != "object":
        return kind
    return _object({name: {**prop, "required": False} for name, prop in kind["properties"].items()})


def _object(properties: Mapping[Any, Type]) -> Type:
    if not all(isinstance(name, str) for name in properties):
        raise UnknownType("keys that are not strings")
    return {"type": "object", "properties": dict(sorted(properties.items()))}


def _property(kind: Type) -> Type:
    return {**kind, "required": kind != ANY}


def _bare(prop: Type) -> Type:
    return {key: value for key, value in prop.items() if key != "required"}


def _scalar_type(value: Any) -> str:
    kind = type(value)
    if kind.__module__ == "numpy" and kind.__name__ in _NUMPY_TYPES:
        return _NUMPY_TYPES[kind.__name__]
    if kind in _PYTHON_TYPES:
        return _PYTHON_TYPES[kind]
    if isinstance(value, datetime.date) or is_a(value, "numpy", "datetime64"):
        return "datetime"
    raise UnknownType(f"a {kind.__module__}.{kind.__qualname__}")
