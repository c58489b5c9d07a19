"""One program and everything it starts: output line by line, a deadline, a stop that reaches every descendant.

Between the caller and the program stands a small supervisor (:mod:`headgate.tasks.supervisor`), a process of its own.
It ends the tree when the caller asks for it or dies, ``kill -9`` included, and it finds descendants that have left
their session. If the supervisor itself is killed, the caller finds what is left by a variable in its environment.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from headgate.tasks.output import LineSplitter, Tail
from headgate.tasks.stopping import StopRequest

OnOutput = Callable[[str, str], None]

_TREE_VARIABLE = "HEADGATE_PROCESS_TREE"
_SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))

_POLL_SECONDS = 0.2
_CHUNK_BYTES = 1 << 16
_TAIL_CHARACTERS = 8_000
# How much longer than the grace the supervisor may take, before it counts as stuck.
_SUPERVISOR_SECONDS = 7.0
# What is still in the pipes when the tree is gone is read; a process that nobody could reach does not hold it up.
_DRAIN_SECONDS = 1.0


class ProcessScope(StrEnum):
    """Where the program lives among process groups.

    ``OWN_SESSION``: in a session of its own; signals to the caller's group do not reach it, and Ctrl-C in a terminal is
    the caller's to handle. ``CALLERS_GROUP``: in the caller's process group, for a host that kills by group, as Airflow
    3.3 does. Either way every descendant is ended with the program.
    """

    OWN_SESSION = "own_session"
    CALLERS_GROUP = "callers_group"


class ProgramNotStarted(OSError):
    """The operating system did not start the program."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Args:
        exit_code: 0 to 255; negative for a signal; None when it never got that far.
        cause: ``exited`` by itself, ``timed_out``, or ``stopped`` because somebody asked for it.
        tail: the last lines it printed, at most 8,000 characters.
    """

    exit_code: int | None
    cause: Literal["exited", "timed_out", "stopped"]
    tail: str


def run_process(
    arguments: Sequence[str],
    *,
    directory: Path,
    variables: Mapping[str, str],
    on_output: OnOutput | None = None,
    timeout: float | None = None,
    grace: float = 3.5,
    scope: ProcessScope = ProcessScope.OWN_SESSION,
    stop: StopRequest | None = None,
    redact: Callable[[str], str] = str,
    on_stopping: Callable[[BaseException | None], None] | None = None,
) -> Ended:
    """Run a program until it and everything it started has ended.

    Args:
        arguments: the program, found on the PATH of ``variables``, and its arguments.
        directory: its working directory.
        variables: its whole environment.
        on_output: called in this thread with each line (without newline) and ``stdout`` or ``stderr``. While it does
            not return, the program is held up at its next full pipe, and no deadline is looked at.
        timeout: seconds; None waits for ever.
        grace: seconds between SIGTERM and SIGKILL.
        scope: see :class:`ProcessScope`.
        stop: asks for an end from another thread; looked at five times a second.
        redact: masks secrets in each line before anybody sees it.
        on_stopping: called once when the tree is being stopped, after SIGTERM and before the grace is waited for; with
            the exception that is the cause, or None for a timeout or a request. Its errors go through, but not before
            the tree has ended.

    Returns:
        How it ended. Whatever the program left running has been stopped as well.

    Raises:
        ProgramNotStarted: the program or the directory is not there, is not allowed, or the arguments are too long.
        BaseException: what ``on_output`` raised, or what was raised in this thread by a signal (KeyboardInterrupt);
            the whole tree has been ended before. A second KeyboardInterrupt cuts the grace short.
    """
    tree = _Tree(arguments, directory, variables, grace, scope, on_output, redact, on_stopping)
    try:
        deadline = None if timeout is None else time.monotonic() + timeout
        return tree.follow(deadline, stop or StopRequest())
    except BaseException as error:
        tree.end(error)
        raise
    finally:
        tree.close()


class _Tree:
    """The supervisor, its pipes, and what came out of them so far."""

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        variables: Mapping[str, str],
        grace: float,
        scope: ProcessScope,
        on_output: OnOutput | None,
        redact: Callable[[str], str],
        on_stopping: Callable[[BaseException | None], None] | None,
    ) -> None:
        self._mark = os.urandom(16).hex()
        self._grace = grace
        self._on_output = on_output
        self._redact = redact
        self._on_stopping = on_stopping
        self._tail = Tail(_TAIL_CHARACTERS)
        self._said = b""  # by the supervisor
        self._cause: Literal["exited", "timed_out", "stopped"] = "exited"
        self._give_up_at: float | None = None
        status_reader, status_writer = os.pipe()
        own_session = scope is ProcessScope.OWN_SESSION
        group = "0" if own_session else str(os.getpgrp())
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", _SUPERVISOR, str(status_writer), str(grace), group, *arguments],
                cwd=directory,
                env={**variables, _TREE_VARIABLE: self._mark},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(status_writer,),
                # The supervisor is never in the program's group: a kill of that group must leave it to clean up.
                start_new_session=own_session,
                process_group=None if own_session else 0,
            )
        except OSError as error:
            os.close(status_reader)
            raise ProgramNotStarted(error.errno, error.strerror) from error
        except BaseException:
            os.close(status_reader)
            raise
        finally:
            os.close(status_writer)
        self._status = open(status_reader, "rb", buffering=0)  # noqa: SIM115 - closed in close()
        self._splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        self._selector = selectors.DefaultSelector()
        self._open = {"status", *self._splitters}
        for name, pipe in (
            ("status", self._status),
            ("stdout", self._supervisor.stdout),
            ("stderr", self._supervisor.stderr),
        ):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, name)

    def follow(self, deadline: float | None, stop: StopRequest) -> Ended:
        """Pass output on until everything has ended, by itself, by ``deadline`` or because ``stop`` was asked for."""
        while "status" in self._open:
            now = time.monotonic()
            if self._give_up_at is None and stop.reason is not None:
                self._begin_end("stopped")
            elif self._give_up_at is None and deadline is not None and now >= deadline:
                self._begin_end("timed_out")
            elif self._give_up_at is not None and now >= self._give_up_at:
                break
            soonest = _POLL_SECONDS if deadline is None or self._give_up_at else min(_POLL_SECONDS, deadline - now)
            self._pump(max(0.0, soonest))
        self._finish()
        return Ended(self._exit_code(), self._cause, str(self._tail))

    def end(self, error: BaseException) -> None:
        """End the tree because of an exception in this thread; further interrupts only hurry it."""
        while True:
            try:
                self._begin_end("stopped", error)
                while "status" in self._open and time.monotonic() < (self._give_up_at or 0):
                    self._pump(_POLL_SECONDS)
                self._finish()
            except Exception as another:  # noqa: BLE001 - from the caller's functions; the first error comes first
                error.add_note(f"While the processes were stopped: {another!r}")
                self._on_output = None
            except BaseException:  # noqa: BLE001 - another interrupt; nothing may leave the tree behind
                self._supervisor.terminate()  # ends the grace
            else:
                return

    def close(self) -> None:
        self._selector.close()
        self._status.close()
        for pipe in (self._supervisor.stdin, self._supervisor.stdout, self._supervisor.stderr):
            assert pipe is not None
            pipe.close()

    def _begin_end(self, cause: Literal["timed_out", "stopped"], error: BaseException | None = None) -> None:
        if self._give_up_at is None:
            self._cause = cause
            self._give_up_at = time.monotonic() + self._grace + _SUPERVISOR_SECONDS
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.close()  # for the supervisor this is the word to stop
        on_stopping, self._on_stopping = self._on_stopping, None
        if on_stopping is not None:
            on_stopping(error)

    def _finish(self) -> None:
        """Make sure that nothing is left, and pass on what is still in the pipes."""
        over = b"ended " in self._said or b"failed " in self._said
        if "status" in self._open or not over or b"adopts nothing" in self._said:
            self._supervisor.kill()  # it is stuck, or killed, or can't find every descendant
            self._sweep()
        self._supervisor.wait()
        drained_by = time.monotonic() + _DRAIN_SECONDS
        while self._open and time.monotonic() < drained_by:
            self._pump(_POLL_SECONDS)
        for name, splitter in self._splitters.items():
            self._deliver(splitter.close(), name)

    def _pump(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            data = os.read(key.fd, _CHUNK_BYTES)
            if not data:
                self._selector.unregister(key.fileobj)
                self._open.discard(key.data)
            elif key.data == "status":
                self._said += data
            else:
                self._deliver(self._splitters[key.data].feed(data), key.data)

    def _deliver(self, lines: list[str], stream: str) -> None:
        for line in map(self._redact, lines):
            self._tail.add(line)
            if self._on_output is not None:
                self._on_output(line, stream)

    def _exit_code(self) -> int | None:
        for line in self._said.decode().splitlines():
            word, _, rest = line.partition(" ")
            if word == "failed":
                number, _, text = rest.partition(" ")
                raise ProgramNotStarted(int(number), text)
            if word == "ended":
                return int(rest)
        return None

    def _sweep(self) -> None:
        """Kill what carries this tree's mark in its environment; where there is no /proc, the program's group."""
        if not os.path.isdir("/proc/self"):
            self._kill_group()
            return
        until = time.monotonic() + _SUPERVISOR_SECONDS
        while time.monotonic() < until and (marked := _marked(self._mark)):
            for pid in marked:
                _kill(pid)
            time.sleep(0.01)

    def _kill_group(self) -> None:
        started = self._said.decode().partition("started ")[2].split()
        if started:
            try:
                os.killpg(int(started[0]), signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return  # it ended meanwhile, or never led a group


def _marked(mark: str) -> list[int]:
    """Return the living processes whose environment has this tree's mark."""
    wanted = f"{_TREE_VARIABLE}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                variables = Path("/proc", name, "environ").read_bytes()  # empty once the process has ended
            except OSError:
                continue  # it ended meanwhile, or is another user's
            if wanted in variables.split(b"\0"):
                found.append(int(name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
