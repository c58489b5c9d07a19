"""Which LoggedModel a model id or a ``models:/`` URI stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.entities import LoggedModelStatus
from headgate.store.errors import InvalidModel

if TYPE_CHECKING:
    from headgate.store.store import Store


def model_id_of(store: Store, model: str) -> str:
    """Return the id of the LoggedModel that an id or a ``models:/`` URI names now.

    Raises:
        InvalidInput: the URI can't be read.
        InvalidModel: it names a version that was registered without a LoggedModel.
        NotFound: it names nothing.
    """
    if not model.startswith("models:"):
        return model
    model_id = store.registry.resolve_model_uri(model).model_id
    if model_id is None:
        raise InvalidModel(
            f"{model} was registered without a LoggedModel, so nothing can be recorded or decided on it.",
            remedy="Log the model with log_model, or create_external_model, and name that one.",
        )
    return model_id


def ready_model_id(store: Store, model: str, before: str) -> str:
    """Return the READY LoggedModel that a model id or a ``models:/`` URI stands for now.

    Args:
        before: what it must be finished for: ``it is registered``.

    Raises:
        InvalidInput, NotFound: as :func:`model_id_of`.
        InvalidModel: it is not READY, or a version that was registered without a LoggedModel.
    """
    model_id = model_id_of(store, model)
    found = store.logged_models.get(model_id)
    if found.status is not LoggedModelStatus.READY:
        raise InvalidModel(
            f"LoggedModel {model_id} ({found.name!r}) is {found.status}, not READY.",
            remedy=f"Finish logging the model before {before}.",
            model_id=model_id,
        )
    return model_id
