"""Writing a model as a pickle, and learning which modules it needs on the way."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, BinaryIO

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format.imports import imported_modules

PICKLE = "pickle"
CLOUDPICKLE = "cloudpickle"
_UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError, RecursionError, ValueError)


@dataclass(frozen=True, slots=True)
class Pickled:
    """How a model was written, and the full names of the modules that loading and calling it imports."""

    serialization_format: str
    modules: frozenset[str]


def write_pickle(model: Any, path: Path, serialization_format: str | None = None) -> Pickled:
    """Write ``model`` to ``path``.

    Args:
        model: any object.
        path: the file, replaced if it is there.
        serialization_format: ``pickle``, ``cloudpickle``, or None for ``pickle`` where that can be loaded in another
            process and ``cloudpickle`` for what was defined in ``__main__`` or inside a function.

    Raises:
        InvalidModel: it can't be pickled, or needs cloudpickle and that is not installed.
    """
    if serialization_format not in (None, PICKLE, CLOUDPICKLE):
        raise InvalidModel(
            f"There is no serialization format {serialization_format!r}.", remedy=f"Use {PICKLE!r} or {CLOUDPICKLE!r}."
        )
    if serialization_format == CLOUDPICKLE:
        return _by_value(model, path, "cloudpickle was asked for")
    try:
        modules = _write(_recorder, model, path)
    except _UNPICKLABLE as error:
        if serialization_format == PICKLE:
            raise _unpicklable(model, error) from error
        return _by_value(model, path, str(error))
    if "__main__" not in modules:
        return Pickled(PICKLE, frozenset(modules))
    if serialization_format == PICKLE:
        raise InvalidModel(
            f"The {type(model).__qualname__} uses something that was defined in the main script, "
            "which a plain pickle can't carry.",
            remedy="Define it in a module of its own, or use serialization_format='cloudpickle'.",
        )
    return _by_value(model, path, "it uses something that was defined in the main script")


def _by_value(model: Any, path: Path, why: str) -> Pickled:
    try:
        import cloudpickle  # noqa: F401
    except ImportError as error:
        raise InvalidModel(
            f"The {type(model).__qualname__} can't be written as a plain pickle: {why}.",
            remedy="Define it in a module of its own beside the script, or pip install cloudpickle.",
        ) from error
    try:
        modules = _write(_value_recorder, model, path)
    except _UNPICKLABLE as error:
        raise _unpicklable(model, error) from error
    return Pickled(CLOUDPICKLE, frozenset(modules | {"cloudpickle"}))


def _write(recorder: Callable[[BinaryIO, set[str]], pickle.Pickler], model: Any, path: Path) -> set[str]:
    modules: set[str] = set()
    with path.open("wb") as stream:
        recorder(stream, modules).dump(model)
    return modules


def _recorder(stream: BinaryIO, modules: set[str]) -> pickle.Pickler:
    class Recorder(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            _record(obj, modules)
            return NotImplemented

    return Recorder(stream, protocol=pickle.DEFAULT_PROTOCOL)


def _value_recorder(stream: BinaryIO, modules: set[str]) -> pickle.Pickler:
    import cloudpickle

    class Recorder(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            _record(obj, modules)
            return super().reducer_override(obj)

    pickler: pickle.Pickler = Recorder(stream, protocol=pickle.DEFAULT_PROTOCOL)
    return pickler


def _record(obj: Any, modules: set[str]) -> None:
    """Note the module that a class or function comes from: every object's class and constructor pass here, too."""
    if isinstance(obj, ModuleType):
        modules.add(obj.__name__)
    elif isinstance(obj, type | FunctionType | BuiltinFunctionType):
        modules.add(obj.__module__ or "builtins")
    if isinstance(obj, FunctionType) and (obj.__module__ == "__main__" or "<" in obj.__qualname__):
        # It is carried by value: what it imports when called is seen nowhere else.
        modules |= imported_modules(obj.__code__)


def _unpicklable(model: Any, error: Exception) -> InvalidModel:
    return InvalidModel(
        f"The {type(model).__module__}.{type(model).__qualname__} can't be pickled: {error}.",
        remedy="Take out what can't be stored (open files, connections, locks, generators) or load it when predicting.",
    )
