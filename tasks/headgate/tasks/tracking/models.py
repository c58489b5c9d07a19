"""LoggedModels: logging them with their files, loading them, and creating those whose files are kept elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headgate.store.clock import now_ms
from headgate.store.entities import LoggedModelStatus, ModelInput, ModelOutput
from headgate.store.errors import HeadgateError, InvalidModel
from headgate.tasks.model_ids import model_id_of
from headgate.tasks.tracking.active_model import experiment_of_models
from headgate.tasks.tracking.active_runs import active_run
from headgate.tasks.tracking.model_files import verified_folder
from headgate.tasks.tracking.session import current_store
from headgate.tasks.tracking.source import source_tags
from headgate.tasks.tracking.uris import find_model

if TYPE_CHECKING:
    from headgate.store.entities import LoggedModel
    from headgate.store.store import Store
    from headgate.tasks.model_format import LoadedModel, ModelSignature

_EXTERNAL_TAG = "mlflow.model.isExternal"


def log_model(
    model: Any,
    name: str | None = None,
    *,
    signature: ModelSignature | Literal[False] | None = None,
    input_example: Any = None,
    requirements: Sequence[str] | None = None,
    code_paths: Sequence[str | Path] = (),
    metadata: Mapping[str, Any] | None = None,
    serialization_format: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
) -> LoggedModel:
    """Log a model: its files in MLflow's format, and a LoggedModel, as an output of the active run if there is one.

    The LoggedModel is PENDING while the files are stored, and READY with their digest when all of them are. When
    storing them fails it is FAILED and says why; when the process dies, it stays PENDING. Called again, it logs another
    model: names are not unique.

    Args:
        model: a scikit-learn estimator, a function, or an object with ``predict``;
            see :func:`headgate.tasks.model_format.save_model`.
        name: without ``/ : . % " '``; None makes one up.
        signature: None infers it from the example; False leaves it out.
        input_example: a few rows of input.
        requirements: lines of a requirements.txt; None takes what the model imports.
        code_paths: files and folders to ship beside the model.
        metadata: for its MLmodel file.
        serialization_format: ``pickle`` or ``cloudpickle``.
        params: of the model, recorded as text.
        tags: of the model, recorded as text; MLflow's tags for the script and its git commit are added.
        model_type: a word of your own, for searches.
        step: of the run's training, for a run that logs several models.

    Returns:
        The model, READY.

    Raises:
        InvalidModel: the model can't be logged; nothing was recorded.
        InvalidInput: a name, param or tag is not valid; nothing was recorded.
        RunNotActive: a newer attempt of the run's work took over.
        ArtifactStoreUnavailable, StoreUnavailable: a retry may help.
    """
    from headgate.tasks.model_format import Identity, give_identity, save_model

    store, run = current_store(), active_run()
    run_id = None if run is None else run.run_id
    with tempfile.TemporaryDirectory(prefix="headgate-model-") as scratch:
        folder = Path(scratch) / "model"
        save_model(
            model,
            folder,
            signature=signature,
            input_example=input_example,
            requirements=requirements,
            code_paths=code_paths,
            metadata=metadata,
            serialization_format=serialization_format,
        )
        created = store.logged_models.create(
            experiment_of_models(),
            name=name,
            source_run_id=run_id,
            model_type=model_type,
            params={key: str(value) for key, value in (params or {}).items()},
            tags={**source_tags(), **{key: str(value) for key, value in (tags or {}).items()}},
            now=now_ms(),
        )
        try:
            if run_id is not None:  # an attempt that was fenced off learns it here, before it stores anything
                store.datasets.log_outputs(run_id, [ModelOutput(created.model_id, step)])
            give_identity(
                folder, Identity(created.model_id, run_id, created.artifact_location, created.creation_timestamp)
            )
            digest = _store_files(store, created, folder)
            return store.logged_models.finalize(
                created.model_id, LoggedModelStatus.READY, artifact_digest=digest, now=now_ms()
            )
        except BaseException as error:
            _record_failure(store, created.model_id, error)
            raise


def load_model(model: str, *, dst_path: str | Path | None = None) -> LoadedModel:
    """Load a model. In an active run, it is recorded as an input of the run.

    The files of a LoggedModel are verified against the digest that was recorded when it was logged. Loading runs code
    that came with the model: load only what you trust.

    Args:
        model: a LoggedModel's id; ``models:/<model_id>``, ``models:/<name>/<version>``, ``models:/<name>@<alias>`` or
            another ``models:/`` URI; ``runs:/<run_id>/<model name or artifact path>``; or a folder or ``s3://`` URI.
        dst_path: where to download the files to, which must stay while the model is used; None reads them in place
            where they are on this machine, or else takes a folder that is removed when the process ends.

    Returns:
        The model, with ``predict(data, params=None)`` and ``get_raw_model()``.

    Raises:
        InvalidInput: the URI can't be read.
        NotFound: it names nothing, or there are no files.
        InvalidModel: the model is not READY, its files are kept elsewhere, or they can't be loaded here.
        CorruptArtifact: the files are not those that were logged.
        ArtifactStoreUnavailable, StoreUnavailable: a retry may help.
    """
    from headgate.tasks.model_format import load_model as load_from_folder

    store = current_store()
    place = find_model(store, model)
    if place.model is not None:
        _refuse_unloadable(place.model)
    loaded = load_from_folder(verified_folder(store, place, None if dst_path is None else Path(dst_path)))
    _record_use(store, place.model)
    return loaded


def create_external_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Create a LoggedModel for an application or model whose files are kept elsewhere, such as in git.

    Args:
        name: None makes one up. :func:`git_version_name` names one after the git commit.
        source_run_id: the run that it belongs to; None takes the active one, if there is one.
        tags: text; MLflow's tags for the script and its git commit are added.
        params: text: convert numbers and booleans with ``str()`` first.
        model_type: a word of your own, such as ``agent``.
        experiment_id: None takes the active run's, or else the chosen one.

    Returns:
        The model, which is READY at once. Called again, this makes another model.

    Raises:
        InvalidInput: a name is not valid, or a param or tag is no text.
        NotFound: no such experiment.
    """
    store, run = current_store(), active_run()
    return store.logged_models.create_external_model(
        experiment_id or experiment_of_models(),
        name=name,
        source_run_id=source_run_id or (None if run is None else run.run_id),
        tags={**source_tags(), **(tags or {})},
        params=params,
        model_type=model_type,
        now=now_ms(),
    )


def get_logged_model(model: str) -> LoggedModel:
    """Return a LoggedModel with its params, tags and metrics.

    Args:
        model: its id, or a ``models:/`` URI of it or of a version of it.

    Raises:
        NotFound: no such model.
        InvalidInput: the URI can't be read.
    """
    store = current_store()
    return store.logged_models.get(model_id_of(store, model))


def _store_files(store: Store, model: LoggedModel, folder: Path) -> str:
    from headgate.store.artifacts import tree_digest

    stored = store.artifacts(model.artifact_location).put_folder(folder)
    return tree_digest((file.path, file.sha256) for file in stored)


def _record_failure(store: Store, model_id: str, error: BaseException) -> None:
    # The message of an error that is not ours may hold a secret: its name has to do.
    message = str(error) if isinstance(error, HeadgateError) else type(error).__name__
    try:
        store.logged_models.finalize(model_id, LoggedModelStatus.FAILED, message, now=now_ms())
    except HeadgateError as second:
        error.add_note(f"LoggedModel {model_id} stays PENDING: its failure could not be recorded: {second}")


def _refuse_unloadable(model: LoggedModel) -> None:
    if model.tags.get(_EXTERNAL_TAG) == "true":
        raise InvalidModel(
            f"The files of LoggedModel {model.model_id} ({model.name!r}) are kept elsewhere.",
            remedy="Load it from where its application is kept.",
            model_id=model.model_id,
        )
    if model.status is not LoggedModelStatus.READY:
        why = f": {model.status_message}" if model.status_message else ""
        raise InvalidModel(
            f"LoggedModel {model.model_id} ({model.name!r}) is {model.status}{why}.",
            remedy="Wait until it is READY, or log it again.",
            model_id=model.model_id,
        )


def _record_use(store: Store, model: LoggedModel | None) -> None:
    run = active_run()
    if model is not None and run is not None and model.source_run_id != run.run_id:
        store.datasets.log_inputs(run.run_id, models=[ModelInput(model.model_id)])
