"""What the process of a project run may touch: it reads everything, and writes in its own experiment only."""

from __future__ import annotations

from headgate.wire.call import Call
from headgate.wire.errors import WireError


def may_write_in(call: Call, experiment_id: str) -> None:
    """Let the call write in an experiment, or refuse it.

    Raises:
        WireError: ``PERMISSION_DENIED``.
    """
    if not call.principal.may_write_in(experiment_id):
        raise WireError(
            "PERMISSION_DENIED",
            f"Run {call.principal.run_id} writes in experiment {call.principal.experiment_id} only, "
            f"not in {experiment_id}.",
        )


def may_write_run(call: Call, run_id: str) -> None:
    """Let the call write to a run, or refuse it."""
    if call.principal.experiment_id is not None and run_id != call.principal.run_id:
        may_write_in(call, call.store.runs.get_info(run_id).experiment_id)


def may_write_model(call: Call, model_id: str) -> None:
    """Let the call write to a LoggedModel, or refuse it."""
    if call.principal.experiment_id is not None:
        may_write_in(call, call.store.logged_models.get(model_id).experiment_id)


def may_write_version(call: Call, name: str, number: int) -> None:
    """Let the call write to a model version, or refuse it: the version has to come from the caller's experiment."""
    if call.principal.experiment_id is None:
        return
    version = call.store.registry.get_version(name, number)
    if version.model_id is not None:
        may_write_model(call, version.model_id)
    elif version.run_id is not None:
        may_write_run(call, version.run_id)
    else:
        raise WireError(
            "PERMISSION_DENIED",
            f"Run {call.principal.run_id} writes to versions of its own experiment only; nothing says that version "
            f"{number} of {name} is one.",
        )
