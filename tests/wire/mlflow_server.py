"""A real ``mlflow server``, and what it answers to scripts: asked once per test run, whoever needs it first."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from tests.wire.conversation import Answer, Conversation

Script = Callable[[Conversation], None]

_PATIENCE = 300.0
_TRIES = 5


def answers(folder: Path, backend_store_uri: str, scripts: Sequence[Script]) -> Mapping[str, list[Answer]]:
    """Return MLflow's answers to each script, by its name; the first process that asks for them starts the server.

    Args:
        folder: shared by the processes of a test run, and nobody else's.
        backend_store_uri: an empty database.
        scripts: what is said to the server, one script after the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "answers.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with mlflow_server(folder, backend_store_uri) as url:
                told = {script.__name__: _told(script, url) for script in scripts}
            kept.write_text(json.dumps(told))
        found = json.loads(kept.read_text())
    return {name: [(label, status, body) for label, status, body in said] for name, said in found.items()}


def _told(script: Script, url: str) -> list[Answer]:
    with Conversation(url) as talk:
        script(talk)
        return talk.told()


@contextmanager
def mlflow_server(folder: Path, backend_store_uri: str) -> Iterator[str]:
    """Start a real MLflow server with one worker, give its URL, and end it."""
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # further processes, for what no script here asks
    }
    for number in range(_TRIES):  # another process may take the port before the server does
        port = _free_port()
        command = [
            sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port),
            "--backend-store-uri", backend_store_uri, "--artifacts-destination", str(folder / "artifacts"),
        ]  # fmt: skip
        log = folder / f"server-{number}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=folder, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        try:
            if _answers(process, f"http://127.0.0.1:{port}"):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            _end(process)
        if "address already in use" not in log.read_text().lower():
            break
    raise AssertionError(f"mlflow server did not start:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server answers; False when it ended instead."""
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # Whoever else has taken the port is not an MLflow server of this very process.
            if requests.get(f"{url}/health", timeout=5).text == "OK" and process.poll() is None:
                return True
        except requests.RequestException:
            time.sleep(0.1)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(60)
    finally:
        with suppress(ProcessLookupError):  # what it started may still be there
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
