"""What a listener has heard, brought into the store: runs whose task or DAG run ended without them are ended.

Scheduler and API server must neither wait for our store nor load it, and threads in a process that forks its workers
are a danger to these: there, what was heard goes to a small process beside the server (``python -m
headgate.airflow.settling``), which lives as long as there is something to do and half a minute more.
"""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from headgate.airflow.connection import DEFAULT_CONN_ID, open_store_of
from headgate.airflow.identity import ORIGIN, TASK_INSTANCE_TAG, TRY_NUMBER_TAG

if TYPE_CHECKING:
    from headgate.store.store import Store

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
_TRIES = 5
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Heard:
    """That a DAG run, or a try of a task in it, has ended.

    Args:
        at: when, epoch ms. Runs that began later belong to a later life of the DAG run.
        message: why, for the record.
        status: how the DAG run ended: FINISHED, FAILED or KILLED.
        task_id: None for the DAG run itself; the rest names the try.
        task_instance_id: of the try, or, once Airflow has prepared it, of the next one.
        closes_itself: the DAG is a pipeline, with a task that says how its run ended.
    """

    dag_id: str
    run_id: str
    at: int
    message: str
    conn_id: str = DEFAULT_CONN_ID
    status: str = "KILLED"
    task_id: str | None = None
    map_index: int = -1
    try_number: int = 0
    task_instance_id: str = ""
    closes_itself: bool = False


def settle(heard: Heard) -> tuple[str, ...]:
    """Bring into the store what was heard; return the ids of the runs that this has ended. May run twice.

    Raises:
        InvalidSettings: nothing names the store.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    with open_store_of(heard.conn_id) as store:
        return _settle_dag_run(store, heard) if heard.task_id is None else _settle_task(store, heard)


def _settle_dag_run(store: Store, heard: Heard) -> tuple[str, ...]:
    from headgate.store.entities import RunContext, RunStatus
    from headgate.tasks.settle import settle_pipeline_run

    work = RunContext(origin=ORIGIN, pipeline=heard.dag_id, pipeline_run_id=heard.run_id)
    return settle_pipeline_run(
        store,
        work,
        RunStatus(heard.status),
        message=heard.message,
        now=heard.at,
        only_running=heard.closes_itself,
    )


def _settle_task(store: Store, heard: Heard) -> tuple[str, ...]:
    from headgate.tasks.task_names import CHAMPION_SUFFIX

    # A task that evaluates may have a second run: that of the champion, which the candidate is compared with.
    tasks = (heard.task_id, f"{heard.task_id}{CHAMPION_SUFFIX}")
    return tuple(run_id for task in tasks for run_id in _settle_run_of(store, heard, task))


def _settle_run_of(store: Store, heard: Heard, task: str | None) -> tuple[str, ...]:
    from headgate.store.entities import RunContext
    from headgate.tasks.settle import settle_run

    found = store.runs.find_by_context(RunContext(ORIGIN, heard.dag_id, heard.run_id, task, heard.map_index))
    if found is None or found.info.status.terminated:
        return ()
    another_try = found.tags.get(TRY_NUMBER_TAG) != str(heard.try_number)
    if another_try or found.tags.get(TASK_INSTANCE_TAG, "") > heard.task_instance_id:
        return ()
    return settle_run(store, found.info.run_id, message=heard.message, now=heard.at)


class Settler:
    """The process beside a server, started when there is something to tell it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ear: socket.socket | None = None

    def tell(self, heard: Heard) -> None:
        """Hand over what was heard, without waiting for anything.

        Raises:
            OSError: the process can't be started, or has more to do than it takes.
        """
        line = json.dumps(asdict(heard)).encode() + b"\n"
        try:
            self._send(line)
        except BrokenPipeError:  # it had nothing to do and has gone
            self._start()
            self._send(line)

    def _send(self, line: bytes) -> None:
        if self._ear is None:
            self._start()
        assert self._ear is not None
        if self._ear.send(line) < len(line):
            self._ear.close()  # what it got of the line is not read
            self._ear = None
            raise OSError("it was told only in part")

    def _start(self) -> None:
        if self._ear is not None:
            self._ear.close()
        if self._process is not None:
            self._process.poll()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=theirs.fileno(), close_fds=True, start_new_session=True
            )
        self._ear = ours


def serve(ear: socket.socket, idle_seconds: float = IDLE_SECONDS) -> None:
    """Settle what is told, line by line, until nobody tells anything any more."""
    ear.settimeout(idle_seconds)
    rest = b""
    while True:
        try:
            data = ear.recv(_CHUNK_BYTES)
        except TimeoutError:
            ear.shutdown(socket.SHUT_RD)  # from here on whoever tells something learns that nobody listens
            ear.settimeout(None)
            continue  # with what was told before that
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _settle_in_the_end(Heard(**json.loads(line)))


def _settle_in_the_end(heard: Heard) -> None:
    from headgate.store.errors import Transient

    for attempt in range(_TRIES):
        try:
            closed = settle(heard)
        except Transient as error:
            wait = 2.0**attempt
            log.warning("The store did not answer, asking again in %g s: %s", wait, error)
            time.sleep(wait)
        except Exception:
            log.exception("What happened to %s can't be recorded; ReapRunsOperator will do it", heard)
            return
        else:
            if closed:
                log.info("Ended %s of DAG run %s of %s", ", ".join(closed), heard.run_id, heard.dag_id)
            return
    log.error("What happened to %s can't be recorded; ReapRunsOperator will do it", heard)


if __name__ == "__main__":
    serve(socket.socket(fileno=sys.stdin.fileno()))
