"""Loads and calls a plain Python predictor.

A copy of this file travels in each such model's ``code`` folder as ``headgate_predictor_v1.py``, where
``mlflow.pyfunc.load_model`` finds it by the name in the MLmodel file. So it uses the standard library only, and its
content never changes: a process may load several models, but Python imports one module of that name. A change is a new
file, ``predictor_v2``.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any


class PredictorContext:
    """What a predictor with ``predict(context, inputs)`` gets; the names are those of MLflow's PythonModelContext."""

    def __init__(self) -> None:
        self.artifacts: dict[str, str] = {}
        self.model_config: dict[str, Any] = {}


class Predictor:
    """Calls a function ``f(inputs)``, or an object's ``predict(inputs)`` or ``predict(context, inputs)``.

    Each may also take ``params``. A ``load_context(context)``, if there is one, is called first.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._function, self._takes_context, self._takes_params = call_style(model)
        self._context = PredictorContext()
        load_context = getattr(model, "load_context", None)
        if callable(load_context):
            load_context(self._context)

    def predict(self, data: Any, params: Any = None) -> Any:
        arguments = (self._context, data) if self._takes_context else (data,)
        return self._function(*arguments, params=params) if self._takes_params else self._function(*arguments)


def call_style(model: Any) -> tuple[Callable[..., Any], bool, bool]:
    """Return what to call, whether it takes a context, and whether it takes params.

    Raises:
        TypeError: it can't be called with inputs alone.
    """
    predict = getattr(model, "predict", None)
    function = predict if callable(predict) else model
    if not callable(function):
        raise TypeError("it is not callable and has no predict method")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # a function written in C that doesn't describe itself
        return function, False, False
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p for p in parameters if p.default is p.empty and p.name != "params" and p.kind not in variable]
    names = [p.name for p in needed]
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    takes_params = any(p.name == "params" and p.kind is not inspect.Parameter.POSITIONAL_ONLY for p in parameters)
    takes_context = len(names) == 2 and names[0] == "context"
    callable_so = len(names) == 1 or takes_context or (not names and takes_any)
    if not callable_so or any(p.kind not in by_position for p in needed):
        raise TypeError(f"it takes ({', '.join(str(p) for p in parameters)})")
    return function, takes_context, takes_params


def load_pickle(path: str) -> Any:
    """Return the object in a pickle; one that cloudpickle wrote needs it installed, nothing else."""
    with open(path, "rb") as stream:
        return pickle.load(stream)  # noqa: S301 - whoever loads a model trusts it


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(load_pickle(path))
