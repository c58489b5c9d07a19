"""A real Prefect server on loopback, started once per test process; its database is SQLite, and it phones nobody.

``HEADGATE_TEST_PREFECT_URL`` names one that runs already, for whoever runs a few tests often.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

PATIENCE = 300  # seconds until what Prefect should have done counts as not happening: the machine may be slow and busy
GUARDIAN = Path(__file__).parents[2] / "guardian.py"
_LOOK_SECONDS = 0.1
_SHOWN_OF_LOG = 6000

# For every process of a test; Prefect reads them when it is first imported.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
}
_OF_THE_SERVER = {
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
}


@dataclass(frozen=True)
class PrefectServer:
    """A running server.

    Args:
        url: of its pages, without a slash at the end.
        folder: where its database, its log and its home are.
    """

    url: str
    folder: Path

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to this server, whatever else stands in the environment of the test."""
        machine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return {**machine, **SETTINGS, "PREFECT_API_URL": self.api_url, "PREFECT_HOME": str(self.folder / "home")}


@contextmanager
def running_server(folder: Path) -> Iterator[PrefectServer]:
    """Start a server whose files are in a folder, and wait until it answers; or join the one that runs already."""
    if (known := os.environ.get("HEADGATE_TEST_PREFECT_URL")) is not None:
        yield PrefectServer(known, folder)
        return
    port = free_port()
    server = PrefectServer(f"http://127.0.0.1:{port}", folder)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with guarded(command, server.log, {**server.environment, **_OF_THE_SERVER}, folder) as guardian:

        def healthy() -> bool:
            if guardian.poll() is not None:
                pytest.fail(f"Prefect's server did not start:\n{shown(server.log)}")
            try:
                return httpx.get(f"{server.api_url}/health", timeout=60, trust_env=False).is_success
            except httpx.HTTPError:  # nobody listens yet
                return False

        wait_until(healthy, lambda: f"answer of Prefect's server:\n{shown(server.log)}")
        yield server


@contextmanager
def guarded(
    command: list[str], log: Path, environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the test; in the end it is killed, with all that came of it. Gives its guardian."""
    whole = [sys.executable, "-I", str(GUARDIAN), *command]
    with log.open("wb") as output:
        guardian = subprocess.Popen(
            whole, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=dict(environment), cwd=folder
        )
    assert guardian.stdin is not None
    try:
        yield guardian
    finally:
        guardian.stdin.close()
        guardian.wait()


def wait_until(condition: Callable[[], bool], what: str | Callable[[], str], seconds: float = PATIENCE) -> None:
    """Wait for something; when it does not happen, fail the test with what it was."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"Within {seconds:g} s there was no {what if isinstance(what, str) else what()}")
        time.sleep(_LOOK_SECONDS)


def shown(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(errors="replace")[-_SHOWN_OF_LOG:] if log.exists() else ""


def free_port() -> int:
    """Return a port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = 12_000 + secrets.randbelow(8_000)  # pytest-randomly seeds `random` alike in every process
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
