"""Watches over one process tree, and leaves none of it behind. A program of its own, started by its path.

    python -I -S supervisor.py STATUS_DESCRIPTOR GRACE_SECONDS GROUP PROGRAM [ARGUMENT…]

It starts PROGRAM with its own working directory, environment, output and errors, and is the only process that stays
between PROGRAM and the caller:

* On Linux it is the *subreaper* of the tree: whatever PROGRAM starts stays its descendant, even after ``setsid`` and a
  double fork, so all of it is found and "no child left" means that nothing is left.
* Standard input is a pipe that the caller holds. When it ends, because the caller closed it or died (``kill -9``
  included), the tree is stopped: SIGTERM to every process, GRACE_SECONDS, SIGKILL.
* What PROGRAM leaves running when it ends is stopped in the same way.
* A SIGTERM to the supervisor stops the tree; a second one, or one while it stops, ends the grace.

On STATUS_DESCRIPTOR it writes ``started PID`` (and ``adopts nothing`` where it can't be a subreaper), then ``ended
CODE`` (negative for a signal); or ``failed ERRNO TEXT``.
GROUP 0 gives PROGRAM a session of its own, or a process group where the C library can't; any other number is the
process group of the caller's session that it joins.

Only the standard library is used, and little of it: this is on the way of every run.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONTROL = 0
_CALLER_POLL_SECONDS = 1.0
_KILL_AGAIN_SECONDS = 0.02
# A process that SIGKILL does not end within this time waits for a device; nothing in user space can end it.
_UNKILLABLE_SECONDS = 5.0
_PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """The loop around one program."""

    def __init__(self, status: int, grace: float, group: int) -> None:
        self.status = status
        self.grace = grace
        self.group = group
        self.program = 0
        self.ended = False
        self.caller = os.getppid()
        self.stop_at: float | None = None  # when the stop began
        self.hurry = False
        self.seen: set[int] = set()
        self.adopts = _become_subreaper()
        self.wakeup = self._listen()

    def run(self, arguments: list[str]) -> int:
        try:
            self.program = self._start(arguments)
        except OSError as error:
            self._say(f"failed {error.errno or 0} {error.strerror or error}")
            return 1
        self._say(f"started {self.program}" if self.adopts else f"started {self.program} adopts nothing")
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):  # so that output ends when the tree does
            os.dup2(null, descriptor)
        while not self._step():
            pass
        return 0

    def _start(self, arguments: list[str]) -> int:
        options: Any = {
            "file_actions": [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            "setsigdef": [signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them
            "setsigmask": [],
        }
        variables = _as_given()
        if self.group:
            return os.posix_spawnp(arguments[0], arguments, variables, setpgroup=self.group, **options)
        try:
            return os.posix_spawnp(arguments[0], arguments, variables, setsid=True, **options)
        except NotImplementedError:  # the C library is older than POSIX_SPAWN_SETSID
            # The tree is found by its descent, and the supervisor's session has no terminal: a group will do.
            return os.posix_spawnp(arguments[0], arguments, variables, setpgroup=0, **options)

    def _step(self) -> bool:
        """Wait for something to happen and act on it; say whether everything is over."""
        self._wait()
        alone = self._reap()
        if self.ended and (alone if self.adopts else not self._members()):
            return True
        if self.stop_at is None:
            if self.ended or self.hurry or self._caller_is_gone():
                self.stop_at = time.monotonic()
                self.hurry = False
                self._signal(signal.SIGTERM)
                self._signal(signal.SIGCONT)
            return False
        late = time.monotonic() - self.stop_at - (0 if self.hurry else self.grace)
        if late >= 0:
            self._signal(signal.SIGKILL)
        return late >= _UNKILLABLE_SECONDS + (self.grace if self.hurry else 0)

    def _wait(self) -> None:
        readers = [self.wakeup]
        if self.stop_at is None:
            timeout = _CALLER_POLL_SECONDS
            readers.append(_CONTROL)
        else:
            timeout = max(_KILL_AGAIN_SECONDS, self.stop_at + (0 if self.hurry else self.grace) - time.monotonic())
        ready, _, _ = select.select(readers, [], [], timeout)
        if self.wakeup in ready:
            os.read(self.wakeup, 4096)

    def _caller_is_gone(self) -> bool:
        ready, _, _ = select.select([_CONTROL], [], [], 0)
        closed = bool(ready) and not os.read(_CONTROL, 4096)
        return closed or os.getppid() != self.caller

    def _reap(self) -> bool:
        """Collect every child that has ended; say whether none is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.program:
                self.ended = True
                self._say(f"ended {os.waitstatus_to_exitcode(status)}")

    def _signal(self, number: int) -> None:
        for pid in self._members():
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                continue  # it ended meanwhile, or became another user's

    def _members(self) -> list[int]:
        """Return the process ids of the tree, without the supervisor and without those that have ended."""
        processes = _processes()
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in processes.items():
            children.setdefault(parent, []).append(pid)
        found = set()
        waiting = [os.getpid()]
        while waiting:
            for pid in children.get(waiting.pop(), ()):
                found.add(pid)
                waiting.append(pid)
        if not self.adopts:  # orphans leave the tree: keep those that were seen in it, and look into its group
            found.update(pid for pid in self.seen if pid in processes)
            if not self.group:
                found.update(pid for pid, (_, group) in processes.items() if group == self.program)
            self.seen = found
        return sorted(found)

    def _listen(self) -> int:
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        for number in (signal.SIGINT, signal.SIGHUP):  # meant for the caller; a handler is not inherited, ignoring is
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        return reader

    def _on_sigterm(self, number: int, frame: object) -> None:
        self.hurry = True

    def _say(self, line: str) -> None:
        try:
            os.write(self.status, f"{line}\n".encode())
        except BrokenPipeError:
            return  # the caller is gone; that is noticed elsewhere


def _become_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    try:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return False
    return bool(prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def _as_given() -> dict[str, str]:
    """Return the environment without what Python itself adds to it in the C locale."""
    variables = dict(os.environ)
    if "LC_CTYPE" in variables and os.path.exists("/proc/self/environ"):
        with open("/proc/self/environ", "rb") as content:
            if not any(variable.startswith(b"LC_CTYPE=") for variable in content.read().split(b"\0")):
                del variables["LC_CTYPE"]
    return variables


def _processes() -> dict[int, tuple[int, int]]:
    """Return the parent and the process group of every process that has not ended."""
    if not os.path.isdir("/proc/self"):
        return _processes_by_ps()
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as content:
                    # The name of the program, in parentheses, may hold anything; what follows it is regular.
                    state, parent, group = content.read().rpartition(b")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
            if state != b"Z":
                found[int(name)] = (int(parent), int(group))
    return found


def _processes_by_ps() -> dict[int, tuple[int, int]]:
    import subprocess

    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,pgid=,state="], stdout=subprocess.PIPE) as ps:
        listed = ps.communicate()[0].decode()
    rows = (line.split() for line in listed.splitlines())
    return {
        int(pid): (int(parent), int(group))
        for pid, parent, group, state in rows
        if not state.startswith("Z") and int(pid) != ps.pid
    }


def main(arguments: list[str]) -> int:
    status, grace, group, *program = arguments
    os.set_inheritable(int(status), False)
    return Supervisor(int(status), float(grace), int(group)).run(program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
