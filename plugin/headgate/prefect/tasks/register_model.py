"""``register_model``: make a LoggedModel a version of a registered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task
from headgate.store.entities import ModelVersion


@headgate_task(task_run_name="register-{model_name}")
def register_model(
    model: Any,
    model_name: str,
    *,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    store: str | None = None,
) -> ModelVersion:
    """Register a model as the next version of a registered model, which is made when it is missing.

    A model is one version of a name: a retry gets the version that was made.

    Args:
        model: a LoggedModel's id, a ``models:/`` URI, or what a task returned that made one model.
        model_name: of the registered model.
        tags: of the version.
        description: of a version that is made.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Raises:
        HeadgateError: as :func:`headgate.tasks.register_model`.
    """
    from headgate.prefect.identity import actor, open_parent_run
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.handed_on import model_in
    from headgate.tasks.register import register_model as register

    with open_store_of(store) as opened:
        open_parent_run(opened)
        version = register(opened, model_name, model_in(model), tags=tags, description=description, actor=actor())
    get_run_logger().info("Version %d of %s is model %s", version.version, version.name, version.model_id)
    return version
