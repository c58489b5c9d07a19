"""Which kinds of models are supported, and what their MLmodel files say about loading them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format import predictor_v1
from headgate.tasks.model_format.environment import CONDA_FILE, PYTHON_ENV_FILE
from headgate.tasks.model_format.pickling import CLOUDPICKLE, Pickled
from headgate.tasks.model_format.schema import is_a

PYTHON_FUNCTION = "python_function"
SKLEARN = "sklearn"
CODE_FOLDER = "code"
PREDICTOR_LOADER = "headgate_predictor_v1"


class Kind(StrEnum):
    """A kind of model that can be saved; the value is the name of its pickle."""

    ESTIMATOR = "model.pkl"
    PREDICTOR = "predictor.pkl"


def kind_of(model: Any) -> Kind:
    """Return what kind of model this is: a scikit-learn estimator or a plain predictor.

    Raises:
        InvalidModel: it is neither, naming its type and what to log instead.
    """
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    if isinstance(model, type):
        raise InvalidModel(
            f"{model.__module__}.{model.__qualname__} is a class, not a model.",
            remedy=f"Log an instance: {model.__qualname__}(…).",
            model_type=name,
        )
    if is_a(model, "sklearn.base", "BaseEstimator"):
        return Kind.ESTIMATOR
    try:
        predictor_v1.call_style(model)
    except TypeError as error:
        raise InvalidModel(
            f"A {name} can't be logged as a model: {error}.",
            remedy="Log a scikit-learn estimator, a function f(inputs), or an object with predict(inputs) "
            "or predict(context, inputs); wrap anything else in one of these.",
            model_type=name,
        ) from error
    return Kind.PREDICTOR


def flavors_of(model: Any, kind: Kind, pickled: Pickled, *, has_code: bool) -> dict[str, Mapping[str, Any]]:
    """Return the flavors of a model that was pickled to the file of its kind.

    Args:
        model: as :func:`kind_of` accepts it.
        kind: what that returned.
        pickled: how the pickle was written.
        has_code: whether a folder of code goes with it.
    """
    code = CODE_FOLDER if has_code else None
    if kind is Kind.ESTIMATOR:
        return _sklearn_flavors(model, pickled.serialization_format, code)
    details = {"code": code, "data": Kind.PREDICTOR.value, "serialization_format": pickled.serialization_format}
    if pickled.serialization_format == CLOUDPICKLE:
        import cloudpickle

        details["cloudpickle_version"] = cloudpickle.__version__
    return {PYTHON_FUNCTION: _python_function(PREDICTOR_LOADER, details)}


def _sklearn_flavors(model: Any, serialization_format: str, code: str | None) -> dict[str, Mapping[str, Any]]:
    import sklearn

    own = {
        "code": code,
        "pickled_model": Kind.ESTIMATOR.value,
        "serialization_format": serialization_format,
        "sklearn_version": sklearn.__version__,
    }
    if not hasattr(model, "predict"):  # a transformer is loaded as what it is, and is no function of its inputs
        return {SKLEARN: own}
    details = {"code": code, "model_path": Kind.ESTIMATOR.value, "predict_fn": "predict"}
    return {PYTHON_FUNCTION: _python_function("mlflow.sklearn", details), SKLEARN: own}


def _python_function(loader_module: str, details: Mapping[str, Any]) -> dict[str, Any]:
    present = {key: value for key, value in details.items() if value is not None}
    env = {"conda": CONDA_FILE, "virtualenv": PYTHON_ENV_FILE}
    return {**present, "env": env, "loader_module": loader_module, "python_version": platform.python_version()}
