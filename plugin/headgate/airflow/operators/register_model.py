"""``RegisterModelOperator``: make a LoggedModel a version of a registered model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from headgate.airflow.asset_events import hold_back, model_outlets
from headgate.airflow.operators.base import HeadgateOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RegisterModelOperator(HeadgateOperator):
    """Register a model as the next version of a registered model, which is made when it is missing.

    A model is one version of a name: a retry gets the version that was made. The asset of the registered model is an
    outlet of the task.

    Returns a reference to the version: its number, model id, the run that made the model, and the digest of its files.

    Args:
        model: a LoggedModel's id, a ``models:/`` URI, or the output of a task that made one model.
        model_name: of the registered model.
        tags: of the version.
        description: of a version that is made.
    """

    template_fields: Sequence[str] = (
        *HeadgateOperator.template_fields,
        *("model", "model_name", "tags", "description"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"tags": "json"}

    def __init__(
        self,
        *,
        model: str | Mapping[str, Any],
        model_name: str,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.model_name = model_name
        self.tags = tags
        self.description = description
        self.outlets = model_outlets(self.outlets, model_name, None, self.headgate_conn_id)

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.asset_events import emit_registered
        from headgate.airflow.identity import actor_of
        from headgate.airflow.references import version_reference
        from headgate.tasks.handed_on import model_in
        from headgate.tasks.register import register_model

        hold_back(context)
        with self.open_store() as store:
            version = register_model(
                store,
                self.model_name,
                model_in(self.model),
                tags=self.tags,
                description=self.description,
                actor=actor_of(context),
            )
            (model,) = store.logged_models.get_many([str(version.model_id)])
        self.log.info("Version %d of %s is model %s", version.version, version.name, version.model_id)
        emit_registered(context, version, digest=model.artifact_digest, headgate_conn_id=self.headgate_conn_id)
        return version_reference(version, model.artifact_digest)
