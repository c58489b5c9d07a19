"""The active model: what metrics are recorded on unless another one is named."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import fields
from types import TracebackType

from headgate.store.clock import now_ms
from headgate.store.entities import LoggedModel
from headgate.store.errors import InvalidInput
from headgate.tasks.tracking.active_runs import active_run
from headgate.tasks.tracking.session import current_experiment_id, current_store
from headgate.tasks.tracking.source import source_tags

_VARIABLES = ("HEADGATE_ACTIVE_MODEL_ID", "MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID")

_active: ContextVar[str | None] = ContextVar("headgate_active_model", default=None)


class ActiveModel(LoggedModel):
    """The LoggedModel that was made active. As a context manager it makes the one before active again at the end."""

    _previous: str | None

    @classmethod
    def of(cls, model: LoggedModel) -> ActiveModel:
        """Make ``model`` the active one of this thread or asyncio task."""
        active = cls(**{field.name: getattr(model, field.name) for field in fields(model)})
        object.__setattr__(active, "_previous", _active.get())
        _active.set(model.model_id)
        return active

    def __enter__(self) -> ActiveModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.set(self._previous)


def set_active_model(name: str | None = None, *, model_id: str | None = None) -> ActiveModel:
    """Make a LoggedModel the active one of this thread, until the next call or the end of a ``with`` block.

    Args:
        name: of the newest such model in the experiment of the active run, or else the chosen one; an external model is
            made when there is none. Two processes that ask at once get the same.
        model_id: of a model that exists; with ``name``, it must have that name.

    Raises:
        InvalidInput: neither is given, the name is not valid, or the model has another name.
        NotFound: no such model.
    """
    store = current_store()
    if model_id is not None:
        model = store.logged_models.get(model_id)
        if name is not None and model.name != name:
            raise InvalidInput(
                f"LoggedModel {model_id} is called {model.name!r}, not {name!r}.",
                remedy="Give the name or the id, not both.",
                model_id=model_id,
            )
        return ActiveModel.of(model)
    if name is None:
        raise InvalidInput("Neither the name nor the id of a model is given.", remedy="set_active_model('my-agent-v1')")
    models, experiment_id = store.logged_models, experiment_of_models()
    return ActiveModel.of(models.get_or_create_active(experiment_id, name, tags=source_tags(), now=now_ms()))


def get_active_model_id() -> str | None:
    """Return the id of the active model: the one set last in this thread, or what ``HEADGATE_ACTIVE_MODEL_ID`` or
    ``MLFLOW_ACTIVE_MODEL_ID`` says, which is not checked until something is recorded on it; None when there is none.
    """
    return _active.get() or next((value for name in _VARIABLES if (value := os.environ.get(name))), None)


def clear_active_model() -> None:
    """Let no model be active in this thread, but for one that the environment names."""
    _active.set(None)


def experiment_of_models() -> str:
    """Return the experiment that new models belong to: that of the active run, or else the chosen one."""
    run = active_run()
    return current_experiment_id() if run is None else run.info.experiment_id
