"""What a function returned, recorded: numbers as metrics, models as LoggedModels, files as artifacts.

It is called while the function's run is bound, see :mod:`headgate.tasks.tracking.bound`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.entities import LoggedModel, ModelOutput
from headgate.store.errors import InvalidInput
from headgate.tasks.model_format.schema import is_a
from headgate.tasks.places import Place

if TYPE_CHECKING:
    from headgate.store.entities import RunInfo
    from headgate.store.store import Store

_NOT_IN_MODEL_NAMES = re.compile(r"[/:.%\"']+")


def record_returned(store: Store, info: RunInfo, name: str, value: Any) -> Any:
    """Record what a function returned, and return the same with names in place of what was recorded under one.

    Looked through are mappings with text keys, lists and tuples, nested too. Of what they hold, a number becomes a
    metric (``test/f1`` for a nested one), a model a LoggedModel called by its key, and a ``pathlib.Path`` an artifact.
    A number by itself has no name and is no metric. Everything else is left alone.

    Args:
        store: where the run is.
        info: the run.
        name: of the function, for a model that is returned by itself.
        value: what it returned.

    Returns:
        The value with ``models:/…`` for each model and the artifact's URI for each file; the same object where there
        was none of them.

    Raises:
        InvalidInput: a file is not there, or a key can't be the name of a metric or model.
        InvalidModel: a model can't be logged.
        ArtifactStoreUnavailable, StoreUnavailable: a retry may help.
    """
    found = list(_leaves(value, ()))
    metrics = {_metric_key(place): number for place, leaf in found if place and (number := _number(leaf)) is not None}
    if metrics:
        from headgate.tasks.tracking.log import log_metrics

        log_metrics(metrics)
    names = _record_files(info, [(place, leaf) for place, leaf in found if isinstance(leaf, Path)])
    for place, leaf in found:
        model_id = _record_model(store, info, _model_name(place, name), leaf)
        if model_id is not None:
            names[place] = f"models:/{model_id}"
    return _renamed(value, (), names) if names else value


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _leaves(item, (*place, key))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _leaves(item, (*place, position))
    else:
        yield place, value


def _number(value: Any) -> float | None:
    """Return a number, numpy's included; None for anything else, truth values too."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = value.item()
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _metric_key(place: Place) -> str:
    return "/".join(map(str, place))


def _model_name(place: Place, name: str) -> str:
    keys = place if any(isinstance(part, str) for part in place) else (name, *place)
    return _NOT_IN_MODEL_NAMES.sub("-", "-".join(map(str, keys)))


def _record_files(info: RunInfo, files: list[tuple[Place, Path]]) -> dict[Place, str]:
    """Store files under their own names; those of the same name in a folder each, called as in what was returned."""
    from headgate.tasks.tracking.log import log_artifact

    names: dict[Place, str] = {}
    said_by = Counter(path.resolve().name for _, path in files)
    for place, path in files:
        own = path.resolve().name
        if not path.exists():
            raise InvalidInput(
                f"The function returned the path {str(path)!r}, and there is no such file.",
                remedy="Return the path of a file that was written; a path that is only a name is returned as text.",
            )
        folder = _model_name(place, "returned") if said_by[own] > 1 else None
        log_artifact(path, folder)
        names[place] = "/".join(filter(None, (info.artifact_uri, folder, own)))
    return names


def _record_model(store: Store, info: RunInfo, name: str, value: Any) -> str | None:
    """Return the id of the LoggedModel that a value is, or was made by logging it; None when it is no model."""
    known = _known_model_id(value)
    if known is not None:
        store.datasets.log_outputs(info.run_id, [ModelOutput(known)])
        return known
    if not _is_model(value):
        return None
    from headgate.tasks.tracking.models import log_model

    return log_model(value, name).model_id


def _known_model_id(value: Any) -> str | None:
    """Return the id of a model that was logged already: by Headgate's functions or by MLflow's."""
    if isinstance(value, LoggedModel):
        return value.model_id
    if is_a(value, "mlflow.models.model", "ModelInfo") or is_a(value, "mlflow.entities.logged_model", "LoggedModel"):
        model_id = value.model_id
        return str(model_id) if model_id else None
    return None


def _is_model(value: Any) -> bool:
    """Say whether a value is a model to log: an estimator or an object that predicts, and not one that was loaded."""
    if isinstance(value, type) or is_a(value, "headgate.tasks.model_format.load", "LoadedModel"):
        return False
    if is_a(value, "mlflow.pyfunc", "PyFuncModel"):
        return False
    return is_a(value, "sklearn.base", "BaseEstimator") or callable(getattr(value, "predict", None))


def _renamed(value: Any, place: Place, names: Mapping[Place, str]) -> Any:
    if place in names:
        return names[place]
    if isinstance(value, Mapping):
        return {
            key: _renamed(item, (*place, key), names) if isinstance(key, str) else item for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_renamed(item, (*place, position), names) for position, item in enumerate(value)]
    return value
