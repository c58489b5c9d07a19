"""Making a LoggedModel a version of a registered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.tasks.model_ids import ready_model_id

if TYPE_CHECKING:
    from headgate.store.entities import ModelVersion
    from headgate.store.store import Store


def register_model(
    store: Store,
    model_name: str,
    model: str,
    *,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    actor: str = "",
    now: int | None = None,
) -> ModelVersion:
    """Register a LoggedModel, as the next version of a registered model, which is made when it is missing.

    A model is one version of a name, however often and from wherever it is registered or promoted under it: a task that
    is retried gets the version that it made.

    Args:
        store: where the model is.
        model_name: of the registered model.
        model: a LoggedModel's id, or a ``models:/`` URI of one or of a version (which is copied to ``model_name``).
        tags: of the version; set over those of the same keys when it is there already.
        description: of a version that is made.
        actor: who registers, for the record.
        now: UTC epoch ms; None takes the current time.

    Raises:
        InvalidModel: the model is not READY, or the version has no LoggedModel.
        InvalidInput: a name, a tag or the URI is not valid.
        NotFound: no such model.
        StoreUnavailable: a retry may help.
    """
    return store.registry.get_or_create_version(
        model_name,
        ready_model_id(store, model, "it is registered"),
        tags=tags,
        description=description,
        user_id=actor,
        now=now_ms() if now is None else now,
    )
