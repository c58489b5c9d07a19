"""Both servers as programs of their own, on databases of the same kind, and what they take of the machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.wire.http_client import Connection, get
from tests.services import POSTGRESQL, database_of_its_own

PROGRAMS = Path(sys.executable).parent
_PATIENCE = 180.0


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Args:
        process: it, at the head of a process group of its own.
        url: where it listens.
        seconds: from its start to its first answer at ``/health``.
    """

    process: subprocess.Popen[Any]
    url: str
    seconds: float

    def memory(self) -> float:
        """Return the bytes that it holds with all its processes; what several share is shared among them (PSS)."""
        return float(sum(_proportional_bytes(process) for process in _tree(self.process.pid)))

    def processor_seconds(self) -> float:
        """Return what its processes have spent so far. The load of the machine hardly shows in it."""
        return sum(_ticks(process) for process in _tree(self.process.pid)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Place:
    """The databases of one kind, one for each server."""

    name: str
    folder: Path
    headgate: str
    mlflow: str


@contextmanager
def places(kind: str, folder: Path) -> Iterator[Place]:
    """Give an empty database for each of the two servers, in a folder or on the PostgreSQL that tests use."""
    with ExitStack() as stack:
        urls = []
        for whose in ("headgate", "mlflow"):
            if kind == "sqlite":
                urls.append(f"sqlite:///{folder}/{whose}.db")
            else:
                urls.append(stack.enter_context(database_of_its_own(str(POSTGRESQL.url()))))
        yield Place(kind, folder, *urls)


def make_ready(url: str, folder: Path) -> None:
    """Make the tables of a Headgate store; an operator does it once."""
    subprocess.run(
        [PROGRAMS / "headgate", "db", "upgrade", "--store", url], check=True, capture_output=True, cwd=folder
    )


@contextmanager
def headgate_server(url: str, folder: Path) -> Iterator[Running]:
    port = _free_port()
    command = ("headgate", "server", "--port", str(port), "--store", url, "--artifact-root", str(folder / "artifacts"))
    with _running(command, port, folder) as running:
        yield running


@contextmanager
def mlflow_server(url: str, folder: Path) -> Iterator[Running]:
    """Start mlflow's at its better setting: with several workers each kept-alive request waits 42 ms."""
    port = _free_port()
    artifacts = str(folder / "mlflow-artifacts")
    command = ("mlflow", "server", "--workers", "1", "--port", str(port), "--backend-store-uri", url)
    with _running((*command, "--artifacts-destination", artifacts), port, folder) as running:
        yield running


@contextmanager
def bare_server() -> Iterator[Running]:
    """Serve :mod:`tests.bench.wire.bare_app`."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "tests.bench.wire.bare_app"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        yield Running(process, process.stdout.readline().strip(), time.perf_counter() - begin)
    finally:
        _end(process)
        process.stdout.close()


@contextmanager
def _running(command: tuple[str, ...], port: int, folder: Path) -> Iterator[Running]:
    log = folder / f"{command[0]}-{port}.log"
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [PROGRAMS / command[0], *command[1:]],
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**os.environ, "HEADGATE_HOME": str(folder)},
            start_new_session=True,
        )
    try:
        while not _answers(url):
            if process.poll() is not None or time.perf_counter() - begin > _PATIENCE:
                raise AssertionError(f"{command[0]} does not answer:\n{log.read_text()[-3000:]}")
            time.sleep(0.005)
        yield Running(process, url, time.perf_counter() - begin)
    finally:
        _end(process)


def _answers(url: str) -> bool:
    try:
        with Connection(url, patience=30) as connection:
            connection.answer(get("/health"))
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[Any]) -> None:
    """End a server that may be in the middle of an answer that nobody waits for any more."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tree(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                said = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(said.rpartition(")")[2].split()[1])
    found = [root]
    for process in found:
        found.extend(child for child, parent in parents.items() if parent == process)
    return found


def _proportional_bytes(process: int) -> int:
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"the kernel tells no PSS of process {process}")


def _ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
