"""``headgate server`` as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEADGATE = str(Path(sys.executable).with_name("headgate"))
PATIENCE = 120.0


class Server:
    """A server that runs.

    Args:
        process: it.
        url: where it listens.
        log: what it wrote on stderr.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    def stop(self) -> int:
        """Send SIGTERM and return how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def server(folder: Path, *options: str) -> Iterator[Server]:
    """Start a server on a store in the folder, on a free port; it is gone in the end."""
    log = folder / "server.log"
    command = [HEADGATE, "server", "--port", "0", "--json", *store_options(folder), *options]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=_environment(folder), start_new_session=True
        )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("}"):
                break
        assert said, log.read_text()
        yield Server(process, json.loads(said)["url"], log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


def store_options(folder: Path) -> tuple[str, ...]:
    return ("--store", f"sqlite:///{folder}/headgate.db", "--artifact-root", str(folder / "artifacts"))


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "HEADGATE_HOME": str(folder)}
