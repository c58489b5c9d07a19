"""Where a model is: from the ways to name one to its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.store.artifacts import artifact_root_uri
from headgate.store.entities import LoggedModel
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from headgate.store.store import Store


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model's files are, and the LoggedModel that they belong to, if any."""

    uri: str
    model: LoggedModel | None = None


def find_model(store: Store, model: str) -> ModelPlace:
    """Return where the files of a model are.

    Args:
        model: a LoggedModel's id; ``models:/<model_id>``, ``models:/<name>/<version>``, ``models:/<name>@<alias>`` or
            another ``models:/`` URI; ``runs:/<run_id>/<model name or artifact path>``; or a folder or ``s3://`` URI.

    Raises:
        InvalidInput: the URI can't be read.
        NotFound: it names nothing.
    """
    if model.startswith("models:"):
        return _registered(store, model)
    if model.startswith("runs:"):
        return _of_run(store, model)
    if model.startswith("m-") and "/" not in model:
        return _logged(store.logged_models.get(model))
    return ModelPlace(artifact_root_uri(model))


def _registered(store: Store, uri: str) -> ModelPlace:
    found = store.registry.resolve_model_uri(uri)
    if isinstance(found, LoggedModel):
        return _logged(found)
    if found.model_id is not None:
        return _logged(store.logged_models.get(found.model_id))
    return ModelPlace(store.registry.download_uri(found.name, found.version))


def _of_run(store: Store, uri: str) -> ModelPlace:
    run_id, _, path = uri.removeprefix("runs:").lstrip("/").partition("/")
    if not run_id or not path:
        raise InvalidInput(f"Not a proper runs:/ URI: {uri}.", remedy="Write runs:/<run_id>/<model name>.", key=uri)
    run = store.runs.get(run_id)
    made = store.logged_models.get_many([output.model_id for output in run.model_outputs])
    named = [model for model in made if model.name == path]
    if named:
        return _logged(max(named, key=lambda model: model.creation_timestamp))
    return ModelPlace(f"{run.info.artifact_uri}/{path}")


def _logged(model: LoggedModel) -> ModelPlace:
    return ModelPlace(model.artifact_location, model)
