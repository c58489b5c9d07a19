"""What the process of a project run may touch: it reads everything, and writes in its own experiment only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headgate.store.entities import LoggedModelStatus
from headgate.store.errors import NotFound
from headgate.store.validation import EVIDENCE_TAGS, PARENT_RUN_TAG
from headgate.wire.call import Call
from headgate.wire.errors import WireError
from headgate.wire.principal import Principal

if TYPE_CHECKING:
    from headgate.store.store import Store

_OF_MODEL = re.compile(r"(?:^|/)models/(m-[0-9a-f]{32})/artifacts(?:/|$)")

_OF_RUN = re.compile(r"(?:^|/)([a-zA-Z0-9][\w\-]{0,35})/artifacts(?:/|$)")


class Asks(Protocol):
    """Who asks, and of which store."""

    @property
    def store(self) -> Store: ...

    @property
    def principal(self) -> Principal: ...


@dataclass(frozen=True, slots=True)
class Asking:
    """See :class:`Asks`."""

    store: Store
    principal: Principal


def may_write_in(call: Asks, experiment_id: str) -> None:
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


def may_write_run(call: Asks, run_id: str) -> None:
    """Let the call write to a run, or refuse it: also where the run is another's evidence for a gate."""
    own = call.principal.run_id
    if call.principal.experiment_id is None or own is None or run_id == own:
        return
    may_write_in(call, call.store.runs.get_info(run_id).experiment_id)
    if not EVIDENCE_TAGS.isdisjoint(call.store.tags.get(run_id)) and not _is_below(call, run_id, own):
        raise WireError("PERMISSION_DENIED", f"What run {run_id} found is evidence; run {own} may not add to it.")


def may_tag(call: Asks, tags: Mapping[str, str]) -> None:
    """Let the call set tags of a run, or refuse it: no run makes itself evidence, or part of it."""
    if call.principal.run_id is None:
        return
    if reserved := EVIDENCE_TAGS.intersection(tags):
        raise WireError(
            "PERMISSION_DENIED", f"The tag {min(reserved)} is set by who evaluates or validates, not by a run's code."
        )
    if (parent := tags.get(PARENT_RUN_TAG)) is not None:
        with suppress(NotFound):  # then it is only a tag
            may_write_run(call, parent)


def may_end_run(call: Call, run_id: str) -> None:
    """Let the call say how a run ended, or take its lease, or refuse it.

    What another runner keeps alive is that runner's to end; the runs below the caller's own are its own.
    """
    may_write_run(call, run_id)
    own = call.principal.run_id
    if own is None or _is_below(call, run_id, own):
        return
    lease = call.store.leases.get(run_id)
    if lease is not None and lease.expires_at > call.now:
        raise WireError("PERMISSION_DENIED", f"Run {run_id} is kept by another runner; run {own} may not end it.")


def _is_below(call: Asks, run_id: str, ancestor: str) -> bool:
    seen: set[str] = set()
    at: str | None = run_id
    with suppress(NotFound):  # a run that nobody knows is below none
        while at is not None and at not in seen:
            seen.add(at)
            at = call.store.runs.get_info(at).parent_run_id
            if at == ancestor:
                return True
    return False


def may_write_model(call: Asks, model_id: str) -> None:
    """Let the call write to a LoggedModel, or refuse it."""
    if call.principal.experiment_id is not None:
        may_write_in(call, call.store.logged_models.get_info(model_id).experiment_id)


def may_measure(call: Asks, model_id: str) -> None:
    """Let the call log metrics on a LoggedModel, or refuse it."""
    if model_id not in call.principal.measures:
        may_write_model(call, model_id)


def may_write_files_of(call: Call, model_id: str) -> None:
    """Let the call write files of a LoggedModel, or refuse it: what was promoted stays what is served."""
    call.store.logged_models.require_not_promoted(model_id)
    may_finish_model(call, model_id)


def may_finish_model(call: Call, model_id: str) -> None:
    """Let the call say how the upload of a LoggedModel ended, or refuse it: each run finishes its own."""
    own = call.principal.run_id
    if call.principal.experiment_id is None or own is None:
        return
    model = call.store.logged_models.get_info(model_id)
    may_write_in(call, model.experiment_id)
    made_by = model.source_run_id
    if model.status != LoggedModelStatus.READY or made_by in (None, own) or _is_below(call, str(made_by), own):
        return
    raise WireError(
        "PERMISSION_DENIED", f"Model {model_id} is finished, and run {own} has not made it: log a new model."
    )


def may_write_path(call: Call, path: str) -> None:
    """Let the call write an artifact below the root, or refuse it."""
    if (of_model := _OF_MODEL.search(path)) is not None:
        may_write_files_of(call, of_model[1])
    experiment_id = call.principal.experiment_id
    if experiment_id is None:
        return
    if (of_run := _OF_RUN.search(path)) is not None:
        with suppress(NotFound):  # then there is nothing to be changed
            may_write_run(call, of_run[1])
    location = call.store.experiments.get(experiment_id).artifact_location
    if not f"{call.store.artifact_root.rstrip('/')}/{path}".startswith(location.rstrip("/") + "/"):
        raise WireError("PERMISSION_DENIED", f"Run {call.principal.run_id} writes no artifact outside its experiment.")


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
