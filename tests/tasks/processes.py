"""Real processes for tests, and whether they are still there. "Gone" is an id that has vanished from the system."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.tasks.stopping import StopRequest

PATIENCE = 120  # seconds until a process that should have ended counts as left behind

# Writes its id into a file named like its second argument, ready for work, and sleeps.
SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
DAEMON = "import os\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n" + SLEEPER


def python(program: str, *arguments: object) -> str:
    """Return a shell command that runs a Python program."""
    return shlex.join([sys.executable, "-I", "-S", "-c", program, *map(str, arguments)])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"{what} did not happen within {PATIENCE} s")
        time.sleep(0.01)


def pid_in(path: Path) -> int:
    wait_for(lambda: path.exists() and path.read_text().isdigit(), f"{path.name}")
    return int(path.read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end between the opening of the file and its reading
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def writers(pid: int, pipe: Path) -> list[str]:
    """Return the descriptors by which a process holds the other end of a pipe."""
    wanted = os.readlink(pipe)
    return [
        file.name for file in Path(f"/proc/{pid}/fd").iterdir() if os.path.islink(file) and os.readlink(file) == wanted
    ]


class Family:
    """A command whose processes are a child, a grandchild, one in a session of its own, and a daemon."""

    def __init__(self, directory: Path, program: str = SLEEPER) -> None:
        self.files = [directory / name for name in ("child", "grandchild", "session", "daemon", "bare")]
        child, grandchild, session, daemon, bare = self.files
        self.command = (
            f"{python(program, grandchild)} & setsid {python(program, session)} & {python(DAEMON, daemon)}; "
            f"setsid env -i {python(program, bare)} & {python(program, child)}; true"
        )

    def command_that_says_ready(self) -> str:
        wait = "; ".join(f"until [ -s {file} ]; do sleep 0.01; done" for file in self.files)
        return f"({wait}; echo ready; echo again) & {self.command}"

    def pids(self) -> list[int]:
        return [pid_in(file) for file in self.files]

    def stop_when_complete(self, stop: StopRequest) -> threading.Thread:
        def watch() -> None:
            self.pids()
            stop.request("the test asks for it")

        thread = threading.Thread(target=watch)
        thread.start()
        return thread
