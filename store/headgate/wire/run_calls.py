"""What Headgate's own client asks of the endpoint of its run: some calls of the store, each with a guard.

The code of a project's run never gets the store itself, only what logging needs of it, and no call here promotes,
decides, deletes or administers. The guards hold it to what the MLflow routes hold it to: its run's experiment. Only the
endpoint of a run has this route; servers don't.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, NoReturn

from headgate.store.errors import HeadgateError, InvalidInput, NotFound, StoreUnavailable
from headgate.store.validation import check_tags
from headgate.wire.call import Call, parse_body
from headgate.wire.carrying import RUN_PATH, carried, carried_error, received
from headgate.wire.errors import WireError
from headgate.wire.routes import Routes
from headgate.wire.scope import (
    may_end_run,
    may_finish_model,
    may_measure,
    may_tag,
    may_write_in,
    may_write_model,
    may_write_run,
)

Arguments = MutableMapping[str, Any]
Guard = Callable[[Call, Arguments], None]

routes = Routes()

_log = logging.getLogger(__name__)


@routes.post(f"{RUN_PATH}/{{name}}")
def answer(call: Call) -> bytes:
    """Answer one call with what it returns, or with the error that it raises."""
    name = call.arguments["name"]
    guard = _GUARDS.get(name)
    if guard is None:
        raise WireError("PERMISSION_DENIED", f"The code of a run may not call {name} of the store.")
    return json.dumps(_answer(call, name, guard)).encode()  # with NaN, which JSON has no word for


def _answer(call: Call, name: str, guard: Guard) -> dict[str, Any]:
    try:
        function, arguments = _call(call, name)
        guard(call, arguments.arguments)
        return {"returned": carried(function(*arguments.args, **arguments.kwargs))}
    except StoreUnavailable as error:  # where the database is, and what it said, is not for the code of a run
        _log.warning("%s: %s", name, error)
        return carried_error(StoreUnavailable("The store did not answer.", remedy="Try again."))
    except HeadgateError as error:
        return carried_error(error)


def _call(call: Call, name: str) -> tuple[Callable[..., Any], inspect.BoundArguments]:
    aggregate, _, method = name.partition(".")
    function = getattr(getattr(call.store, aggregate), method)
    said = parse_body(call.body)
    positional, named = received(said.get("positional", [])), received(said.get("named"))
    try:
        return function, inspect.signature(function).bind(*positional, **named)
    except TypeError as error:
        raise InvalidInput(
            f"{name} can't be called like that: {error}.", remedy="Use headgate's own client."
        ) from error


def _anything(call: Call, said: Arguments) -> None:
    """Let everything be read, as everywhere else on the endpoint."""


def _run(call: Call, said: Arguments) -> None:
    may_write_run(call, said["run_id"])


def _metrics(call: Call, said: Arguments) -> None:
    _run(call, said)
    for model_id in {metric.model_id for metric in said["metrics"] if metric.model_id is not None}:
        may_measure(call, model_id)


def _tags(call: Call, said: Arguments) -> None:
    _run(call, said)
    may_tag(call, check_tags(said["tags"]))


def _other_run(call: Call, said: Arguments) -> None:
    """Let a run below be ended and kept alive; how the own run ends is for its runner to say."""
    if said["run_id"] == call.principal.run_id:
        _refuse("How the run of a project ends is for its exit code to say, and its lease is its runner's.")
    may_end_run(call, said["run_id"])


def _update(call: Call, said: Arguments) -> None:
    (_run if said.get("status") is None and said.get("end_time") is None else _other_run)(call, said)


def _run_below(call: Call, said: Arguments) -> None:
    may_write_in(call, said["experiment_id"])
    may_tag(call, check_tags(said.get("tags", ())))
    if (context := said.get("context")) is not None and context.pipeline_run_id is not None:
        _refuse("The code of a run opens runs below its own, not attempts of an orchestrator's work.")
    said["parent_run_id"] = said.get("parent_run_id") or call.principal.run_id
    may_write_run(call, said["parent_run_id"])
    said["user_id"] = call.principal.name or said.get("user_id", "")
    if said.get("run_id") is not None and (said.get("lease_owner") is not None or said.get("status") is not None):
        with suppress(NotFound):  # then it is a new run
            _other_run(call, said)


def _outputs(call: Call, said: Arguments) -> None:
    _run(call, said)
    for output in said["models"]:
        may_write_model(call, output.model_id)


def _new_model(call: Call, said: Arguments) -> None:
    may_write_in(call, said["experiment_id"])
    if (run_id := said.get("source_run_id")) is not None:
        may_write_run(call, run_id)


def _finished_model(call: Call, said: Arguments) -> None:
    may_finish_model(call, said["model_id"])


def _experiment(call: Call, said: Arguments) -> None:
    if call.store.experiments.get_by_name(said["name"]) is None:
        _refuse(f"The code of a run may not make an experiment, and there is none called {said['name']!r}.")


def _refuse(message: str) -> NoReturn:
    raise WireError("PERMISSION_DENIED", message)


_GUARDS: Mapping[str, Guard] = {
    "datasets.log_inputs": _run,
    "datasets.log_outputs": _outputs,
    "experiments.get": _anything,
    "experiments.get_or_create": _experiment,
    "leases.acquire": _other_run,
    "leases.heartbeat": _other_run,
    "logged_models.create": _new_model,
    "logged_models.create_external_model": _new_model,
    "logged_models.finalize": _finished_model,
    "logged_models.get": _anything,
    "logged_models.get_many": _anything,
    "logged_models.get_or_create_active": _new_model,
    "metrics.log": _metrics,
    "params.log": _run,
    "registry.download_uri": _anything,
    "registry.resolve_model_uri": _anything,
    "runs.finish": _other_run,
    "runs.get": _anything,
    "runs.get_info": _anything,
    "runs.open": _run_below,
    "runs.update": _update,
    "tags.set": _tags,
}
