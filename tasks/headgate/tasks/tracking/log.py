"""Logging to the active run: params, metrics, tags, artifacts and datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.entities import DatasetInput, Metric
from headgate.store.errors import InvalidInput
from headgate.tasks.model_ids import model_id_of
from headgate.tasks.projects.secrets import recorded_value
from headgate.tasks.tracking.active_model import get_active_model_id
from headgate.tasks.tracking.runs import run_to_log_to
from headgate.tasks.tracking.session import current_store

if TYPE_CHECKING:
    from headgate.store.artifacts import ArtifactStore
    from headgate.store.entities import Dataset

_CONTEXT_TAG = "mlflow.data.context"


def log_param(key: str, value: Any) -> Any:
    """Log one param; see :func:`log_params`. Returns ``value``."""
    log_params({key: value})
    return value


def log_params(params: Mapping[str, Any]) -> None:
    """Log params, all or none, at once. A param that is there with the same value is left, so it may run twice.

    Args:
        params: name → value, recorded as text of up to 6,000 characters. What is a secret by its type, its name or its
            look is recorded as ``***``.

    Raises:
        ParamChanged: a param was logged before, with another value; params are written once.
        InvalidInput: a name is not valid.
        RunNotActive: a newer attempt of the run's work took over.
        StoreUnavailable: the store did not answer; nothing was written, and a retry may help.
    """
    texts = {key: recorded_value(str(key), value, str(value)) for key, value in params.items()}
    current_store().params.log(run_to_log_to().run_id, texts)


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    *,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Dataset | None = None,
) -> None:
    """Log one point of a metric; see :func:`log_metrics`."""
    log_metrics({key: value}, step, timestamp=timestamp, model_id=model_id, dataset=dataset)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    *,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Dataset | None = None,
) -> None:
    """Log a point of each metric, all or none, at once: nothing waits in a buffer.

    Args:
        metrics: name → number; NaN and infinite ones are kept, and never pass a gate.
        step: None is 0.
        timestamp: epoch ms; None takes the current time.
        model_id: record the points on this LoggedModel, too: its id or a ``models:/`` URI. None takes the active model
            (``set_active_model``), if there is one.
        dataset: what they were measured on (see :func:`dataset`). It becomes an input of the run, and its digest stands
            with the model's points: a gate never compares points of different data.

    Raises:
        InvalidInput: a name or value is not valid.
        NotFound: no such model.
        RunNotActive: a newer attempt of the run's work took over.
        StoreUnavailable: the store did not answer; a retry may help. The same points are stored once only when they are
            given the same ``timestamp``.
    """
    store, run = current_store(), run_to_log_to()
    measured = get_active_model_id() if model_id is None else model_id_of(store, model_id)
    moment = now_ms() if timestamp is None else timestamp
    points = [
        Metric(
            key,
            value,
            moment,
            0 if step is None else step,
            run_id=run.run_id,
            model_id=measured,
            dataset_name=None if dataset is None else dataset.name,
            dataset_digest=None if dataset is None else dataset.digest,
        )
        for key, value in metrics.items()
    ]
    if dataset is not None:
        store.datasets.log_inputs(run.run_id, [DatasetInput(dataset)])
    store.metrics.log(run.run_id, points)


def set_tag(key: str, value: Any) -> None:
    """Set one tag; see :func:`set_tags`."""
    set_tags({key: value})


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active run, over what is there, all or none.

    Args:
        tags: name → value, recorded as text of up to 8,000 characters.

    Raises:
        InvalidInput: a name is not valid.
        RunNotActive: a newer attempt of the run's work took over.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    current_store().tags.set(run_to_log_to().run_id, {key: str(value) for key, value in tags.items()})


def log_input(dataset: Dataset, context: str | None = None, tags: Mapping[str, str] | None = None) -> None:
    """Record that the active run uses a dataset. May run twice.

    Args:
        dataset: as :func:`dataset` makes it.
        context: what for, such as ``training`` or ``evaluation``.
        tags: of this use of the dataset.

    Raises:
        InvalidInput: the dataset has no name or digest, or a tag is not valid.
        RunNotActive: a newer attempt of the run's work took over.
    """
    said = {key: str(value) for key, value in (tags or {}).items()}
    if context is not None:
        said[_CONTEXT_TAG] = context
    current_store().datasets.log_inputs(run_to_log_to().run_id, [DatasetInput(dataset, said)])


def log_artifact(local_path: str | Path, artifact_path: str | None = None) -> None:
    """Store a file, or a folder with all that is in it, under its own name among the run's artifacts.

    Args:
        local_path: the file or folder.
        artifact_path: the artifact folder to put it in, such as ``plots``; None is the top.

    Raises:
        InvalidInput: there is no such file, or the artifact path leads elsewhere.
        InvalidSettings: the artifact store can't be used as it is set up.
        ArtifactStoreUnavailable: it did not answer; a retry may help. Storing the same again replaces it.
    """
    source = Path(local_path)
    name = source.resolve().name
    target = name if artifact_path is None else f"{artifact_path.rstrip('/')}/{name}"
    if source.is_dir():
        _run_artifacts().put_folder(source, target)
    else:
        _run_artifacts().put_file(source, target)


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None) -> None:
    """Store what is in a folder among the run's artifacts; errors as in :func:`log_artifact`.

    Args:
        local_dir: the folder, whose own name is left out.
        artifact_path: the artifact folder to put the files in; None is the top.
    """
    _run_artifacts().put_folder(Path(local_dir), artifact_path or "")


def log_text(text: str, artifact_file: str) -> None:
    """Store text as an artifact, in UTF-8; errors as in :func:`log_artifact`.

    Args:
        text: the content.
        artifact_file: its path among the run's artifacts, such as ``notes/summary.md``.
    """
    _run_artifacts().put_bytes(text.encode(), artifact_file)


def log_dict(dictionary: Mapping[str, Any] | list[Any], artifact_file: str) -> None:
    """Store a dictionary or list as an artifact: as YAML when the name ends in ``.yaml`` or ``.yml``, else as JSON.

    Args:
        dictionary: strings, numbers, booleans, None, and dictionaries and lists of them. JSON writes anything else as
            text.
        artifact_file: its path among the run's artifacts, such as ``config.json``.

    Raises:
        InvalidInput: YAML can't express it. Other errors as in :func:`log_artifact`.
    """
    if PurePosixPath(artifact_file).suffix in (".yaml", ".yml"):
        text = _yaml(dictionary)
    else:
        text = json.dumps(dictionary, indent=2, default=str)
    log_text(text, artifact_file)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Return where the active run's artifacts are kept, or one of them.

    Args:
        artifact_path: relative to the run's artifacts.

    Raises:
        InvalidInput: the path leads elsewhere.
    """
    from headgate.store.artifacts.paths import checked_path, joined

    return joined(run_to_log_to().info.artifact_uri, checked_path(artifact_path or "", may_be_root=True))


def _run_artifacts() -> ArtifactStore:
    return current_store().artifacts(run_to_log_to().info.artifact_uri)


def _yaml(content: Any) -> str:
    import yaml

    try:
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise InvalidInput(f"YAML can't express it: {error}", remedy="Log it as JSON, or convert it first.") from error
