"""A model's signature: the schema of its inputs, outputs and params, in MLflow's words."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format.schema import Type, UnknownType, column_of_rows, columns_of, is_a, type_of


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """What a model takes and gives. Each part is a tuple of dictionaries as MLflow's JSON has them; None when unknown.

    Args:
        inputs: one per column or tensor, such as ``{"type": "double", "name": "radius", "required": True}``.
        outputs: the same for what ``predict`` returns.
        params: one per inference parameter, such as ``{"name": "t", "type": "double", "default": 0.5, "shape": None}``.
    """

    inputs: tuple[Type, ...] | None = None
    outputs: tuple[Type, ...] | None = None
    params: tuple[Type, ...] | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return the form that an MLmodel file holds: each part as JSON text."""
        parts = {"inputs": self.inputs, "outputs": self.outputs, "params": self.params}
        return {name: None if part is None else json.dumps(part) for name, part in parts.items()}

    @classmethod
    def from_dict(cls, parts: Mapping[str, str | None]) -> ModelSignature:
        """Return the signature that :meth:`to_dict`, or MLflow's own, wrote."""
        texts = {name: parts.get(name) for name in ("inputs", "outputs", "params")}
        return cls(**{name: None if text is None else tuple(json.loads(text)) for name, text in texts.items()})


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: Mapping[str, Any] | None = None
) -> ModelSignature:
    """Infer a signature from data, as ``mlflow.models.infer_signature`` does.

    Args:
        model_input: a few rows, or all, of what ``predict`` gets: DataFrame, Series, array, dictionary, list or value.
        model_output: what ``predict`` returned for them.
        params: inference parameters with their defaults.

    Returns:
        The signature; a part that is None here is None there. Data that the schema can't express is of type ``any``.

    Raises:
        InvalidModel: a param is neither a value, a list of values of one type, nor a dictionary.
    """
    return ModelSignature(
        inputs=None if model_input is None else _columns_or_any(model_input),
        outputs=None if model_output is None else _columns_or_any(model_output),
        params=tuple(_param(name, value) for name, value in params.items()) if params else None,
    )


def signature_of_prediction(example: Any, prediction: Any) -> ModelSignature:
    """Return the signature of a model that predicted ``prediction`` for its input example.

    As in MLflow, a flat array that is predicted for anything but arrays is a column: it has one value per row.
    """
    inputs = _columns_or_any(example)
    per_row = is_a(prediction, "numpy", "ndarray") and prediction.ndim == 1 and inputs[0]["type"] != "tensor"
    return ModelSignature(inputs, _columns_or_any(prediction, column_of_rows if per_row else columns_of))


def _columns_or_any(data: Any, columns: Callable[[Any], list[Type]] = columns_of) -> tuple[Type, ...]:
    try:
        return tuple(columns(data))
    except UnknownType:
        return ({"type": "any", "required": True},)


def _param(name: str, value: Any) -> Type:
    is_list = isinstance(value, list | tuple) or is_a(value, "numpy", "ndarray")
    values = list(value) if is_list else [value]
    try:
        kinds = {json.dumps(type_of(item), sort_keys=True) for item in values}
        kind = _number_type(kinds) or (json.loads(kinds.pop()) if len(kinds) == 1 else None)
    except UnknownType as error:
        raise _bad_param(name, value, f"it holds {error}") from error
    if kind is None or kind["type"] in ("any", "array", "binary") or (is_list and kind["type"] == "object"):
        raise _bad_param(name, value, "its type can't be a param's")
    defaults = [_plain(item) for item in values]
    return {"name": name, "default": defaults if is_list else defaults[0], "shape": [-1] if is_list else None, **kind}


def _number_type(kinds: set[str]) -> Type | None:
    """Return double for a list of whole and other numbers, as numpy would read it."""
    numbers = {'{"type": "long"}', '{"type": "double"}'}
    return {"type": "double"} if kinds == numbers else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)  # MLflow's dates have no zone
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value.item() if is_a(value, "numpy", "generic") else value


def _bad_param(name: str, value: Any, why: str) -> InvalidModel:
    return InvalidModel(
        f"The signature can't have the param {name!r} = {value!r}: {why}.",
        remedy="Give a number, string, boolean or date, a list of one of these, or a dictionary.",
        param=name,
    )
