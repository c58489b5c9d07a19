"""Our signatures against those that MLflow infers from the same data."""

from __future__ import annotations

import datetime
import json
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import ModelSignature, infer_signature
from headgate.tasks.model_format.signature import signature_of_prediction
from tests.tasks.model_format.conftest import quietly

DATA: dict[str, Any] = {
    "floats": pd.DataFrame({"mean radius": [17.9, 20.5], "texture": [1.0, float("nan")]}),
    "narrow": pd.DataFrame(
        {
            "i8": np.array([1], "int8"),
            "u16": np.array([1], "uint16"),
            "u32": np.array([1], "uint32"),
            "i32": np.array([1], "int32"),
            "f16": np.array([1], "float16"),
            "f32": np.array([1], "float32"),
        }
    ),
    "kinds": pd.DataFrame(
        {
            "text": ["a", None],
            "flag": [True, False],
            "when": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "raw": [b"a", b"b"],
            "lists": [[1, 2], []],
            "dicts": [{"a": 1}, {"a": 2, "b": "x"}],
            "category": pd.Categorical(["x", "y"]),
            "nullable": pd.array([1, None], dtype="Int64"),
            "dates": [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)],
        }
    ),
    "unnamed columns": pd.DataFrame([[1.0, 2.0]]),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="float64")}),
    "series": pd.Series([1.5, 2.5], name="target"),
    "series without a name": pd.Series(["a", "b"]),
    "unsigned 64": pd.DataFrame({"u64": np.array([1], "uint64")}),
    "complex": pd.DataFrame({"c": np.array([1j])}),
    "matrix": np.zeros((3, 4)),
    "vector": np.array([1, 2], "int32"),
    "images": np.zeros((2, 8, 8, 3), "uint8"),
    "strings": np.array(["a", "bcd"]),
    "booleans": np.array([True]),
    "scalar array": np.array(1.0),
    "named arrays": {"image": np.zeros((2, 8)), "mask": np.array([True, False])},
    "csr": scipy.sparse.csr_matrix(np.eye(3)),
    "csc": scipy.sparse.csc_matrix(np.eye(3, dtype="float32")),
    "dict": {"text": "a", "ids": [1, 2], "nested": {"b": 1, "a": None}, "nothing": None},
    "dict with numbers as keys": {1: "a"},
    "rows": [{"text": "a", "n": 1}, {"text": "b", "n": None, "extra": [1.5]}],
    "rows of objects": [{"o": {"a": 1, "b": 2}}, {"o": {"a": 1}}],
    "rows of lists": [{"o": [["a"], []]}, {"o": [[None], ["b"]]}],
    "strings in a list": ["a", "b"],
    "numbers in a list": [1, 2],
    "lists in a list": [[1, 2], [3]],
    "a list that mixes": [1, "a"],
    "a list with a gap": ["a", None],
    "empty list": [],
    "empty dict": {},
    "string": "a sentence",
    "number": 1.5,
    "boolean": True,
    "numpy scalar": np.float32(1),
    "moment": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "anything": ...,
}


def by_mlflow(*data: Any, **more: Any) -> Any:
    return quietly(mlflow.models.infer_signature, *data, **more).to_dict()


def parsed(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: text if text is None else json.loads(text) for name, text in parts.items()}


@pytest.mark.parametrize("name", DATA)
def test_inputs_and_outputs_are_those_of_mlflow(name: str) -> None:
    data = DATA[name]
    assert parsed(infer_signature(data, data).to_dict()) == parsed(by_mlflow(data, data))


_SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=3)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES.filter(lambda value: value is not None))
def test_any_json_like_data_is_read_as_by_mlflow(data: Any) -> None:
    assert parsed(infer_signature(data).to_dict()) == parsed(by_mlflow(data))


@pytest.mark.parametrize(
    ("example", "prediction"),
    [
        (DATA["floats"], np.array([1, 2])),
        (DATA["floats"], np.array([1, 2], "float32")),
        (DATA["floats"], np.array(["a", None], dtype=object)),
        (DATA["floats"], np.array([[0.1, 0.9], [0.8, 0.2]])),
        (DATA["matrix"], np.array([1, 2])),
        (["a"], np.array([1.5, float("nan")])),
        (DATA["floats"], ["a", "b"]),
        (DATA["floats"], DATA["narrow"]),
        (DATA["floats"], ...),
    ],
)
def test_what_a_model_predicts_for_its_example_is_described_as_by_mlflow(example: Any, prediction: Any) -> None:
    class Model:
        def predict(self, data: Any, params: Any = None) -> Any:
            return prediction

    saved = quietly(mlflow.models.utils._Example, example)
    theirs = quietly(mlflow.models.signature._infer_signature_from_input_example, saved, Model())
    assert parsed(signature_of_prediction(example, prediction).to_dict()) == parsed(theirs.to_dict())


@pytest.mark.parametrize(
    "params",
    [
        {"t": 0.5, "n": 3, "flag": True, "name": "x"},
        {"many": [1, 2], "mixed": [1, 2.5], "words": ["a"], "array": np.array([1.5])},
        {"numpy": np.int64(3)},
        {"when": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)},
        {"nested": {"a": 1, "b": ["x"]}},
    ],
)
def test_params_are_those_of_mlflow(params: dict[str, Any]) -> None:
    assert parsed(infer_signature(params=params).to_dict()) == parsed(by_mlflow(params=params))


@pytest.mark.parametrize("value", [None, object(), b"raw", [[1]], [1, "a"], [{"a": 1}], []])
def test_a_param_that_no_signature_can_have(value: Any) -> None:
    with pytest.raises(InvalidModel, match="param 'bad'"):
        infer_signature(params={"good": 1, "bad": value})


def test_a_signature_survives_its_json() -> None:
    signature = infer_signature(DATA["kinds"], DATA["matrix"], {"t": 0.5})
    assert ModelSignature.from_dict(signature.to_dict()) == signature
    theirs = mlflow.models.ModelSignature.from_dict(signature.to_dict())
    assert parsed(theirs.to_dict()) == parsed(signature.to_dict())
    assert infer_signature() == ModelSignature() == ModelSignature.from_dict({})
