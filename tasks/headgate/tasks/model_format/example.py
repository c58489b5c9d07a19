"""A model's input example, as the JSON files that MLflow keeps it in."""

from __future__ import annotations

import base64
import datetime
import json
from dataclasses import dataclass
from typing import Any

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format.schema import is_a, is_missing, is_sparse_matrix

EXAMPLE_FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"


@dataclass(frozen=True, slots=True)
class InputExample:
    """The files' contents, and what the MLmodel file says about them."""

    info: dict[str, Any]
    example: str
    serving: str


def example_of(data: Any) -> InputExample:
    """Turn example inputs into their files.

    Args:
        data: a DataFrame, an array or a dictionary of arrays, a dictionary, a list, or a value.

    Raises:
        InvalidModel: JSON can't express it.
    """
    kind, content, serving_key = _content(data)
    try:
        example = json.dumps(content, default=_plain)
        serving = json.dumps({serving_key: content}, default=_plain, indent=2)
    except (TypeError, ValueError) as error:
        raise InvalidModel(
            f"The input example can't be written as JSON: {error}.",
            remedy="Give a DataFrame, an array, or numbers, strings, lists and dictionaries of them.",
        ) from error
    return InputExample({"artifact_path": EXAMPLE_FILE, "serving_input_path": SERVING_FILE, **kind}, example, serving)


def _content(data: Any) -> tuple[dict[str, str], Any, str]:
    """Return the MLmodel's words for the kind of example, the JSON content, and its key in a scoring request."""
    if is_a(data, "pandas", "DataFrame"):
        unnamed = list(data.columns) == list(range(len(data.columns)))
        rows = [[None if is_missing(value) else value for value in row] for row in data.astype(object).values.tolist()]
        content = {"data": rows} if unnamed else {"columns": list(data.columns), "data": rows}
        return {"type": "dataframe", "pandas_orient": "values" if unnamed else "split"}, content, "dataframe_split"
    if is_a(data, "numpy", "ndarray"):
        return {"type": "ndarray"}, _without_nans(data.tolist()), "inputs"
    if isinstance(data, dict) and data and all(is_a(value, "numpy", "ndarray") for value in data.values()):
        content = {name: _without_nans(value.tolist()) for name, value in data.items()}
        return {"type": "ndarray"}, content, "inputs"
    if is_sparse_matrix(data) or is_a(data, "pandas", "Series"):
        raise InvalidModel(
            f"A {type(data).__name__} can't be an input example.",
            remedy="Give a DataFrame (series.to_frame()) or a dense array (matrix.toarray()).",
        )
    return {"type": "json_object"}, data, "inputs"


def _without_nans(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nans(item) for item in value]
    return None if is_missing(value) else value


def _plain(value: Any) -> Any:
    """Return what JSON has for a value that it doesn't know; called by json."""
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if is_a(value, "numpy", "generic"):
        return _plain(value.item()) if isinstance(value.item(), datetime.date | bytes) else value.item()
    if is_a(value, "numpy", "ndarray"):
        return value.tolist()
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} has no form in JSON")
