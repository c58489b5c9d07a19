"""What asks work to stop: the end of a flow, a signal, the death of a worker. No server is needed for that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prefect.states import Failed

from headgate.prefect import process_scope, retry_infrastructure
from headgate.prefect.processes import at_work, stop_all, wait_until_stopped, watch_signals
from headgate.store.errors import EntryPointFailed, GateRejected, RunKilled
from headgate.tasks.stopping import StopRequest
from tests.tasks.processes import alive, wait_for


@pytest.fixture
def worker() -> Iterator[StopRequest]:
    """What asks the work of another thread to stop; it goes on until it is asked, or the test is over."""
    stops: list[StopRequest] = []
    over = threading.Event()

    def work() -> None:
        with at_work() as stop:
            stops.append(stop)
            while stop.reason is None and not over.is_set():
                time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: bool(stops), "work to begin")
    yield stops[0]
    over.set()
    thread.join()


def test_a_flow_that_is_ended_from_outside_stops_the_work_of_its_other_threads(worker: StopRequest) -> None:
    with pytest.raises(KeyboardInterrupt), process_scope():
        raise KeyboardInterrupt
    assert worker.reason == "the flow was ended by KeyboardInterrupt"
    assert wait_until_stopped("", 0.0)


def test_a_flow_that_ends_by_itself_lets_them_go_on(worker: StopRequest) -> None:
    with process_scope():
        pass
    with pytest.raises(GateRejected), process_scope():
        raise GateRejected("no")
    stop_all("another flow run was cancelled", "another")
    assert worker.reason is None
    assert wait_until_stopped("another", 0.0)
    assert not wait_until_stopped("", 0.05)


@pytest.fixture
def handler() -> Iterator[Callable[[], list[int]]]:
    """Put a handler of SIGTERM in place, as Prefect does, and give what it was called with."""
    called: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
    yield lambda: called
    signal.signal(signal.SIGTERM, before)


def test_a_signal_stops_work_before_it_is_prefect_s(
    worker: StopRequest, handler: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.prefect.processes._stopped_by", None)
    watch_signals()
    watch_signals()  # once is enough
    signal.raise_signal(signal.SIGTERM)
    assert worker.reason == "the process got SIGTERM"
    assert handler() == [signal.SIGTERM]


def test_work_that_has_ended_is_asked_nothing() -> None:
    with at_work() as stop:
        pass
    stop_all("the test")
    assert stop.reason is None


def test_what_begins_when_the_process_is_ending_is_stopped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.prefect.processes._stopped_by", "the process got SIGTERM")
    with at_work() as stop:
        assert stop.reason == "the process got SIGTERM"


def test_no_retry_is_spent_in_a_flow_that_is_over() -> None:
    asked, lost = RunKilled("stopped"), RunKilled("its lease was lost")

    def work(error: RunKilled) -> None:
        with at_work():
            if error is asked:
                stop_all("the test")
            raise error

    for error in (asked, lost):
        with pytest.raises(RunKilled):
            work(error)
    verdict, trouble = GateRejected("no"), EntryPointFailed("code 3")
    retried = [
        error
        for error in (asked, lost, verdict, trouble, OSError())
        if retry_infrastructure(None, None, Failed(data=error))  # type: ignore[arg-type]
    ]
    assert retried[:2] == [lost, trouble]
    assert len(retried) == 3


ORPHAN = """\
import os, sys, time
from headgate.prefect.processes import at_work
with at_work():
    print(os.getpid(), flush=True)
    time.sleep(600)
"""


def test_a_process_whose_worker_dies_is_told_to_end() -> None:
    starter = "import os, subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"
    environment = {**os.environ, "PREFECT__FLOW_RUN_ID": "of-a-flow-run"}
    command = [sys.executable, "-c", starter, sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        orphan = int(worker.stdout.readline())
        worker.kill()
        wait_for(lambda: not alive(orphan), "the end of the flow's process")
