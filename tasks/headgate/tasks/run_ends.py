"""How a run ended, in words and as a status."""

from __future__ import annotations

import signal
from typing import Any

from headgate.store.entities import RunStatus
from headgate.store.errors import EntryPointFailed, EntryPointTimedOut, HeadgateError, RunKilled
from headgate.tasks.process import Ended
from headgate.tasks.stopping import Terminated

OUTPUT_ARTIFACT = "logs/output.txt"

_SHOWN_LINES = 20


def refuse_bad_end(subject: str, ended: Ended, *, run_id: str, reason: str | None, timeout: float | None) -> None:
    """Raise unless an entry point ended by itself with code 0.

    Args:
        subject: names it: ``Entry point 'main' of project 'churn'``.
        reason: why it was stopped, if it was.
        timeout: seconds that it had.
    """
    facts: dict[str, Any] = {"run_id": run_id, "exit_code_of_process": ended.exit_code, "tail": ended.tail}
    if ended.cause == "stopped":
        raise RunKilled(f"{subject} was stopped: {reason}.", reason=reason, **facts)
    if ended.cause == "timed_out":
        raise EntryPointTimedOut(
            f"{subject} was stopped after {timeout:g} s.{_shown(ended.tail)}",
            remedy="Allow it more time, or give it less to do.",
            timeout=timeout,
            **facts,
        )
    if ended.exit_code != 0:
        raise EntryPointFailed(
            f"{subject} {_how(ended.exit_code)}.{_shown(ended.tail)}",
            remedy=f"All of its output is in the artifact {OUTPUT_ARTIFACT} of run {run_id}.",
            **facts,
        )


def status_after(error: BaseException) -> RunStatus:
    """KILLED when something from outside ended the run; what goes wrong inside is an Exception, and FAILED."""
    from_outside = not isinstance(error, Exception) or isinstance(error, (RunKilled, EntryPointTimedOut))
    return RunStatus.KILLED if from_outside else RunStatus.FAILED


def message_of(error: BaseException) -> str:
    """Return what a run's record says of an error: one line, without output."""
    if isinstance(error, Terminated):
        return error.reason
    if isinstance(error, HeadgateError):
        return error.message.partition("\n")[0]
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "was killed together with the process that watched over it"
    if exit_code < 0:
        cause = " (often for want of memory)" if exit_code == -signal.SIGKILL else ""
        return f"was ended by {_signal_name(-exit_code)}{cause}"
    return f"ended with code {exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have no name
        return f"signal {number}"


def _shown(tail: str) -> str:
    lines = tail.splitlines()[-_SHOWN_LINES:]
    return "\n" + "\n".join(f"  | {line}" for line in lines) + "\n" if lines else ""
