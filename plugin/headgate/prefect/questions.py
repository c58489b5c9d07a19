"""Asking a person something by a form of Prefect's: the flow run pauses, and *Resume* opens the form.

Everything that a question is about is kept by Prefect's server, with the flow run: its form, its text and its answer.
A process that dies while it waits, or between an answer and what it does with it, loses nothing: whoever asks the same
again is given the answer. Prefect's own ``pause_flow_run`` fails the flow run when nobody answers in time, whatever the
flow would make of it; here that is an answer, too.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from headgate.store.errors import InvalidInput, RunKilled

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, FlowRunInput, State
    from prefect.input import RunInput

    from headgate.tasks.stopping import StopRequest

F = TypeVar("F", bound="RunInput")

# Prefect fails a flow run whose pause has ended, so its pause lasts longer than we wait.
_MARGIN_SECONDS = 3600
_MOST_INPUTS = 200
_LOOK_SECONDS = 0.5
# A flow run has one pause at a time: what is asked in other threads waits for its turn.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Question(Generic[F]):
    """What is asked.

    Args:
        subject: what it is about, up to 64 letters, digits and dashes: who asks about the same again in this flow run
            is given the answer that came meanwhile.
        form: the fields of the answer.
        text: Markdown, shown above the form.
    """

    subject: str
    form: type[F]
    text: str


def ask(
    question: Question[F],
    *,
    timeout: float,
    poll: float = 5.0,
    suspend: bool = False,
    stop: StopRequest | None = None,
) -> F | None:
    """Return what somebody answered; None when nobody did in time. Called from a flow, or from a task of one.

    Args:
        timeout: how long to wait, seconds.
        poll: how long to wait between two looks, seconds.
        suspend: end the process meanwhile. The flow run starts from its top when it is answered; so it needs a
            deployment, and this call has to come again in it.
        stop: asks to stop waiting.

    Raises:
        InvalidInput: there is no flow run to pause; or it can't be suspended.
        RunKilled: the flow run was ended while it waited.
        prefect.exceptions.Pause: the process is to end; not an ``Exception``.
    """
    from prefect.client.orchestration import get_client

    flow_run_id = _flow_run_id()
    with _one_at_a_time, get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(flow_run_id)  # before its answers: one that comes in between is found
        asked = _kept(client, flow_run_id, question, suspend=suspend)
        if (given := _answer(question, asked)) is not None:
            return given
        key = f"{question.subject}-{1 + _times_asked(question, asked, flow_run)}"
        if suspend:
            _suspend(flow_run_id, question.form.with_initial_data(description=question.text), key, timeout)
        if (paused := _asked_now(question, flow_run)) is not None:
            timeout = min(timeout, _left(paused))
        else:
            paused = _pause(client, flow_run_id, key, timeout)
        _show(client, flow_run_id, paused, question, asked)
        _wait(client, flow_run_id, timeout, poll, stop)
        return _answer(question, _kept(client, flow_run_id, question, suspend=suspend))


def _kept(
    client: SyncPrefectClient, flow_run_id: UUID, question: Question[Any], *, suspend: bool
) -> list[FlowRunInput]:
    """Return what the server keeps with the flow run of a question: forms, texts and answers."""
    # So begin the keys that Prefect makes of a pause's.
    prefix = f"{'suspended' if suspend else 'paused'}-{question.subject}-"
    return client.filter_flow_run_input(flow_run_id, key_prefix=prefix, limit=_MOST_INPUTS, exclude_keys=set())


def _times_asked(question: Question[Any], asked: list[FlowRunInput], flow_run: FlowRun) -> int:
    """Return the highest number that a pause of the question had: each has one of its own, for a key fires once."""
    policy = flow_run.empirical_policy
    fired = (_turn(question, key) for key in (policy and policy.pause_keys) or ())
    return max((*fired, *(_number(each.key) for each in asked)), default=0)


def _asked_now(question: Question[Any], flow_run: FlowRun) -> State[Any] | None:
    """Return the pause in which the same is asked already: that of a task that failed while it waited."""
    state = flow_run.state
    if state is None or not state.is_paused() or state.state_details.pause_reschedule:
        return None
    return state if _turn(question, state.state_details.pause_key or "") else None


def _turn(question: Question[Any], pause_key: str) -> int:
    """Return the number of a pause of the question; 0 for a pause of something else."""
    subject, _, number = pause_key.rpartition("-")
    return int(number) if subject == question.subject and number.isdecimal() else 0


def _left(paused: State[Any]) -> float:
    """Return how long a pause is still waited for, seconds."""
    ends = paused.state_details.pause_timeout
    return 0.0 if ends is None else max(0.0, ends.timestamp() - time.time() - _MARGIN_SECONDS)


def _pause(client: SyncPrefectClient, flow_run_id: UUID, key: str, timeout: float) -> State[Any]:
    from prefect.exceptions import Abort
    from prefect.input import keyset_from_paused_state
    from prefect.states import Paused
    from prefect.utilities.engine import propose_state_sync

    paused: State[Any] = Paused(timeout_seconds=int(timeout) + _MARGIN_SECONDS, reschedule=False, pause_key=key)
    keyset = keyset_from_paused_state(paused)
    paused.state_details.run_input_keyset = {str(name): value for name, value in keyset.items()}
    try:
        state = propose_state_sync(client, paused, flow_run_id=flow_run_id)
    except Abort as error:
        raise RunKilled(f"The flow run can't wait for an answer any more: {error}") from error
    if not state.is_paused():
        raise RunKilled(f"The flow run is {state.name} and can't wait for an answer.")
    return state


def _show(
    client: SyncPrefectClient,
    flow_run_id: UUID,
    paused: State[Any],
    question: Question[Any],
    asked: list[FlowRunInput],
) -> None:
    """Keep the text and the form of a pause with the flow run.

    After it is paused: since Prefect 3.9 the server forgets, when a pause begins, what was kept under its keys. And the
    text first: without a form the server refuses every answer, so nobody answers what can't be read yet.
    """
    from prefect.input import keyset_from_paused_state

    keyset = keyset_from_paused_state(paused)
    kept = {each.key for each in asked}
    if keyset["description"] not in kept:
        client.create_flow_run_input(flow_run_id, keyset["description"], json.dumps(question.text))
    if keyset["schema"] not in kept:
        question.form.save(keyset, flow_run_id=flow_run_id, _sync=True)


def _wait(client: SyncPrefectClient, flow_run_id: UUID, timeout: float, poll: float, stop: StopRequest | None) -> None:
    """Wait until the flow run goes on; when nobody makes it in time, do so ourselves."""
    from prefect.states import Running
    from prefect.utilities.engine import propose_state_sync

    until = time.monotonic() + timeout
    while (left := until - time.monotonic()) > 0:
        look = time.monotonic() + min(poll, left)
        while (rest := look - time.monotonic()) > 0:
            if stop is not None and stop.reason is not None:
                raise RunKilled(f"Nobody is waited for any more: {stop.reason}.")
            time.sleep(min(rest, _LOOK_SECONDS))
        state = client.read_flow_run(flow_run_id).state
        if state is not None and state.is_running():
            return
        if state is None or not state.is_paused():
            raise RunKilled(f"The flow run became {'nothing' if state is None else state.name} while it waited.")
    propose_state_sync(client, Running(message="Nobody answered in time."), flow_run_id=flow_run_id)


def _suspend(flow_run_id: UUID, form: type[RunInput], key: str, timeout: float) -> None:
    """End this process's part of the flow run, until it is answered. Never returns."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import Pause
    from prefect.flow_runs import suspend_flow_run

    try:
        suspend_flow_run(form, flow_run_id, int(timeout), key, _sync=True)  # type: ignore[call-overload]
    except RuntimeError as error:
        raise InvalidInput(
            f"The flow run can't be suspended: {error}",
            remedy="Deploy the flow, or leave suspend= out: the process then waits.",
        ) from error
    with get_client(sync_client=True) as client:
        raise Pause(state=client.read_flow_run(flow_run_id).state)


def _answer(question: Question[F], inputs: list[FlowRunInput]) -> F | None:
    """Return the newest answer among what the server keeps with the flow run."""
    answers = [each for each in inputs if each.key.endswith("-response")]
    newest = max(answers, key=lambda each: _number(each.key), default=None)
    return None if newest is None else question.form.load_from_flow_run_input(newest)


def _number(key: str) -> int:
    """Return the number in the key of a form, a text or an answer."""
    return int(key.rsplit("-", 2)[1])


def _flow_run_id() -> UUID:
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise InvalidInput(
            "Nobody can be asked outside of a flow run: Prefect pauses flow runs only.",
            remedy="Call it from a flow; or approve in the shell: headgate gate approve.",
        )
    return context.flow_run.id
