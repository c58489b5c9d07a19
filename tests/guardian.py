"""Runs a command; when told to stop, or when whoever started it is gone, kills the command and all that came of it.

A program of its own: ``python guardian.py COMMAND …``. It is told to stop by the end of its standard input, so a test
run that is itself killed leaves nothing behind either. As a subreaper it is the parent of every orphan below it: a
process in a session or a group of its own is found too. (Linux.)
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 1.0


def main(command: list[str]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    # Stopping is the end of the input, for whoever presses Ctrl-C too: pytest then comes to an end in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parent = os.getppid()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, restore_signals=True, preexec_fn=_default_signals)
    try:
        while os.getppid() == parent and not _told_to_stop():
            if process.pid in _reap():
                return 1
    finally:
        _kill_all()
    return 0


def _default_signals() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _told_to_stop() -> bool:
    return bool(select.select([sys.stdin], [], [], _LOOK_SECONDS)[0])


def _kill_all() -> None:
    while True:
        _reap()
        left = _descendants(os.getpid())
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def _reap() -> set[int]:
    """Take leave of every child that ended, adopted ones too; return their ids."""
    ended = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.add(pid)


def _descendants(ancestor: int) -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found: set[int] = set()
    wanted = {ancestor}
    while wanted:
        wanted = {pid for pid, parent in parents.items() if parent in wanted} - found
        found |= wanted
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
