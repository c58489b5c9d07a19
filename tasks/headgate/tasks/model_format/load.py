"""Loading a model in MLflow's format, with or without mlflow installed."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.store.errors import InvalidInput, InvalidModel
from headgate.tasks.model_format import predictor_v1
from headgate.tasks.model_format.flavors import PREDICTOR_LOADER, PYTHON_FUNCTION, SKLEARN
from headgate.tasks.model_format.mlmodel import MLmodel, read_mlmodel
from headgate.tasks.model_format.model_code import make_importable
from headgate.tasks.model_format.pickling import CLOUDPICKLE, PICKLE
from headgate.tasks.model_format.signature import ModelSignature


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that predicts, whatever made it.

    Args:
        mlmodel: what its MLmodel file says.
        raw_model: the model itself: the estimator, the function, the object that was logged.
    """

    mlmodel: MLmodel
    raw_model: Any
    _predict: Callable[[Any, Mapping[str, Any] | None], Any]

    @property
    def signature(self) -> ModelSignature | None:
        """What the model takes and gives, if that was recorded."""
        return self.mlmodel.signature

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the model predicts for ``data``, which is passed on as it is.

        Args:
            data: what the model was logged to take.
            params: inference parameters, for a model that takes them.

        Raises:
            InvalidInput: ``params`` for a scikit-learn estimator, or ``predict`` of one that only transforms.
        """
        return self._predict(data, params)

    def get_raw_model(self) -> Any:
        """Return the model itself, such as an estimator with its ``predict_proba``."""
        return self.raw_model


def load_model(path: str | Path) -> LoadedModel:
    """Load a model from its folder. That runs code which the folder brings: load only models that you trust.

    Args:
        path: a folder that :func:`save_model` or MLflow wrote. It must stay while the model is used: code that
            travels with the model may be imported later.

    Raises:
        InvalidModel: the folder holds no model, one whose files are kept elsewhere, one that needs a package or a
            Python version which is not here, or one whose code clashes with that of a model already loaded.
    """
    folder = Path(path).absolute()
    mlmodel = read_mlmodel(folder)
    if mlmodel.is_external:
        raise InvalidModel(
            f"The files of the model {mlmodel.model_id or mlmodel.model_uuid} are kept elsewhere.",
            remedy="Load it from where its application is kept.",
        )
    if (flavor := mlmodel.flavors.get(SKLEARN)) is not None:
        return _estimator(folder, mlmodel, flavor)
    flavor = mlmodel.flavors.get(PYTHON_FUNCTION)
    if flavor is None:
        raise InvalidModel(
            f"The model in {str(folder)!r} has only the flavors {sorted(mlmodel.flavors)}.",
            remedy="Load it with the library that wrote it.",
        )
    if _said(flavor, "loader_module", folder) == PREDICTOR_LOADER:
        return _predictor(folder, mlmodel, flavor)
    return _by_mlflow(folder, mlmodel, flavor)


def _estimator(folder: Path, mlmodel: MLmodel, flavor: Mapping[str, Any]) -> LoadedModel:
    file = folder / _said(flavor, "pickled_model", folder)
    written_as = flavor.get("serialization_format", PICKLE)
    if written_as == "skops":
        model = _from_skops(file, flavor.get("skops_trusted_types"))
    else:
        model = _from_pickle(folder, file, flavor, mlmodel.flavors.get(PYTHON_FUNCTION, {}), written_as)

    def predict(data: Any, params: Mapping[str, Any] | None) -> Any:
        if params:
            raise InvalidInput("A scikit-learn estimator takes no params when it predicts.", remedy="Leave them out.")
        if not hasattr(model, "predict"):
            raise InvalidInput(f"A {type(model).__name__} has no predict.", remedy="Use its get_raw_model().")
        return model.predict(data)

    return LoadedModel(mlmodel, model, predict)


def _from_pickle(
    folder: Path, file: Path, flavor: Mapping[str, Any], python_function: Mapping[str, Any], written_as: str
) -> Any:
    check_python(folder, written_as, python_function.get("python_version"))
    make_importable(folder, flavor.get("code"))
    return _unpickled(file, lambda: predictor_v1.load_pickle(str(file)))


def _from_skops(file: Path, trusted: Any) -> Any:
    try:
        skops = importlib.import_module("skops.io")
    except ImportError as error:
        raise InvalidModel(
            f"{str(file)!r} was written by skops, which is not installed.", remedy="pip install skops"
        ) from error
    return skops.load(file, trusted=trusted)


def _predictor(folder: Path, mlmodel: MLmodel, flavor: Mapping[str, Any]) -> LoadedModel:
    check_python(folder, flavor.get("serialization_format", PICKLE), flavor.get("python_version"))
    make_importable(folder, flavor.get("code"))
    file = folder / _said(flavor, "data", folder)
    predictor = _unpickled(file, lambda: predictor_v1._load_pyfunc(str(file)))
    return LoadedModel(mlmodel, predictor.model, predictor.predict)


def _by_mlflow(folder: Path, mlmodel: MLmodel, flavor: Mapping[str, Any]) -> LoadedModel:
    try:
        import mlflow.pyfunc
    except ImportError as error:
        raise InvalidModel(
            f"The model in {str(folder)!r} is loaded by {flavor['loader_module']}, which needs mlflow.",
            remedy="pip install 'headgate[mlflow]'",
        ) from error
    model = mlflow.pyfunc.load_model(str(folder))
    return LoadedModel(mlmodel, model, lambda data, params: model.predict(data, params=params))


def _said(flavor: Mapping[str, Any], key: str, folder: Path) -> str:
    value = flavor.get(key)
    if not isinstance(value, str):
        raise InvalidModel(f"The MLmodel file in {str(folder)!r} does not say {key!r}.", remedy="Save the model again.")
    return value


def _unpickled(file: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except ImportError as error:
        raise InvalidModel(
            f"The model in {str(file.parent)!r} needs the module {error.name!r}, which is not installed.",
            remedy="Install the model's requirements.txt.",
            module=error.name,
        ) from error
    except FileNotFoundError as error:
        raise InvalidModel(f"The model has lost its file {str(file)!r}.", remedy="Log it again.") from error


def check_python(folder: Path, written_as: str, version: str | None) -> None:
    """Refuse a model whose pickle holds bytecode of another Python: it could crash the interpreter."""
    if written_as != CLOUDPICKLE or version is None:
        return
    if version.split(".")[:2] != platform.python_version().split(".")[:2]:
        raise InvalidModel(
            f"The model in {str(folder)!r} holds functions compiled by Python {version}; "
            f"this is Python {platform.python_version()}.",
            remedy=f"Load it with Python {version}, or log it from a module of its own instead of the main script.",
        )
