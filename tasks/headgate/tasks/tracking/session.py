"""Which store and experiment this process logs to."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, cast

from headgate.store.entities import DEFAULT_EXPERIMENT_ID
from headgate.tasks.tracking.bound import bound

if TYPE_CHECKING:
    from headgate.store.entities import Experiment
    from headgate.store.store import Store

EXPERIMENT_VARIABLE = "HEADGATE_EXPERIMENT_ID"
_STORE_VARIABLES = ("HEADGATE_STORE_URL", "HEADGATE_ARTIFACT_ROOT", "HEADGATE_WORKSPACE", "HEADGATE_HOME")
_ENDPOINT = ("http://", "https://")

_lock = threading.Lock()
_opened: dict[tuple[str | None, ...], Store] = {}
_said: tuple[str, str | None] | None = None
_experiment_id: str | None = None


def set_store(url: str, artifact_root: str | None = None) -> None:
    """Log to another store than ``HEADGATE_STORE_URL`` says, in every thread from now on.

    Args:
        url: ``sqlite:///path``, ``postgresql://…`` or ``mysql://…``. It is opened with the first thing that is logged.
        artifact_root: a folder or ``s3://bucket/prefix``; None takes ``HEADGATE_ARTIFACT_ROOT``, or else ``artifacts``
            beside the SQLite file.
    """
    global _said
    _said = (url, artifact_root)


def current_store() -> Store:
    """Return the store to log to: that of the function that is being tracked, or else one opened once per process.

    In the code of a project's run it is the part of the store that logging needs, by way of the run's endpoint.

    Raises:
        InvalidSettings: it can't be used as it is set up.
        StoreUnavailable: the database did not answer.
    """
    if (given := bound()) is not None:
        return given.store
    key = ("said", *_said) if _said else tuple(os.environ.get(name) for name in _STORE_VARIABLES)
    with _lock:
        if key not in _opened:
            _opened[key] = _open()
        return _opened[key]


def _open() -> Store:
    endpoint = os.environ.get("HEADGATE_STORE_URL", "")
    if _said is None and endpoint.startswith(_ENDPOINT):
        from headgate.wire.run_store import RunStore

        return cast("Store", RunStore.of_environment(endpoint))  # every call that this package makes, and no other
    from headgate.store.store import open_store

    url, artifact_root = _said or (None, None)
    return open_store(url, artifact_root=artifact_root)


def set_experiment(name: str | None = None, *, experiment_id: str | None = None) -> Experiment:
    """Choose the experiment for runs and models that are made from now on, in every thread.

    A run that was started for this process by ``headgate run`` or an orchestrator stays in its own.

    Args:
        name: made when no experiment has it.
        experiment_id: of an experiment that exists; give either this or the name.

    Raises:
        InvalidInput: neither or both are given, or the name is not valid.
        NotFound: no experiment has this id.
        AlreadyExists: the experiment of this name was deleted.
    """
    from headgate.store.errors import InvalidInput

    global _experiment_id
    if (name is None) == (experiment_id is None):
        raise InvalidInput("Give either the name of an experiment or its id.", remedy="set_experiment('my-experiment')")
    experiments = current_store().experiments
    found = experiments.get(experiment_id) if experiment_id is not None else experiments.get_or_create(str(name))
    _experiment_id = found.experiment_id
    return found


def current_experiment_id() -> str:
    """Return the experiment for new runs and models: the chosen one, ``HEADGATE_EXPERIMENT_ID``, or the default."""
    return _experiment_id or os.environ.get(EXPERIMENT_VARIABLE) or DEFAULT_EXPERIMENT_ID


def forget() -> None:
    """Close the stores and forget what was chosen, as at the end of the process."""
    global _said, _experiment_id
    with _lock:
        for store in _opened.values():
            store.close()
        _opened.clear()
    _said = _experiment_id = None


atexit.register(forget)
