"""A run around work of this process: it ends as the work ends, and work that was told to stop never ends green."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.entities import Run, RunContext, RunStatus
from headgate.store.errors import InvalidInput, NotFound, RunKilled, RunNotActive
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import StopRequest
from headgate.tasks.in_process_run import in_process_run

NOW = 1_800_000_000_000
FIRST = RunContext("airflow", "retrain", "run-1", "check", attempt=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


def status(store: Store, run: Run) -> tuple[RunStatus, str | None]:
    found = store.runs.get(run.info.run_id)
    return found.info.status, found.tags.get("headgate.statusMessage")


def test_work_that_goes_well_finishes_its_run(store: Store) -> None:
    parent = store.runs.open("0").info.run_id
    with in_process_run(
        store,
        context=FIRST,
        experiment="checks",
        name="check",
        parent_run_id=parent,
        params={"suite": "scans"},
        tags={"team": "red"},
        user="alice",
        clock=lambda: NOW,
    ) as run:
        assert store.runs.get_info(run.info.run_id).status is RunStatus.RUNNING
        assert store.leases.get(run.info.run_id) is not None
    found = store.runs.get(run.info.run_id)
    assert (found.info.status, found.info.end_time, found.info.parent_run_id) == (RunStatus.FINISHED, NOW, parent)
    assert (found.info.name, found.info.user_id, found.params) == ("check", "alice", {"suite": "scans"})
    assert found.tags["team"] == "red"
    assert store.experiments.get(found.info.experiment_id).name == "checks"
    assert store.leases.get(run.info.run_id) is None


@pytest.mark.parametrize(
    ("error", "ended", "message"),
    [
        (InvalidInput("The data are not there.", remedy="Look."), RunStatus.FAILED, "The data are not there."),
        (ValueError("seven"), RunStatus.FAILED, "ValueError: seven"),
        (KeyboardInterrupt(), RunStatus.KILLED, "KeyboardInterrupt"),
    ],
)
def test_what_the_work_raises_ends_its_run(store: Store, error: BaseException, ended: RunStatus, message: str) -> None:
    with pytest.raises(type(error)) as raised, in_process_run(store) as run:
        raise error
    assert raised.value is error
    assert status(store, run) == (ended, message)
    if isinstance(error, InvalidInput):
        assert error.run_id == run.info.run_id


def test_work_that_was_told_to_stop_is_killed(store: Store) -> None:
    stop = StopRequest()
    too_late = pytest.raises(RunKilled, match="ended too late: somebody cancelled it")
    with too_late as raised, in_process_run(store, stop=stop) as run:
        stop.request("somebody cancelled it")
    assert status(store, run)[0] is RunStatus.KILLED
    assert raised.value.run_id == run.info.run_id


def test_a_signal_kills_the_work_and_the_error_names_its_run(store: Store) -> None:
    stopped = pytest.raises(RunKilled, match="The audit was stopped: the process got SIGTERM")
    with stopped as raised, in_process_run(store, subject="The audit", handle_signals=True) as run:
        signal.raise_signal(signal.SIGTERM)
    assert status(store, run) == (RunStatus.KILLED, "the process got SIGTERM")
    assert raised.value.run_id == run.info.run_id


def test_work_that_somebody_else_closed_stays_closed(store: Store) -> None:
    with pytest.raises(RunKilled, match="its lease was lost"), in_process_run(store) as run:
        assert store.leases.kill_expired(run.info.run_id, now=2**50)
    assert status(store, run) == (RunStatus.KILLED, None)


def test_a_new_attempt_takes_over(store: Store) -> None:
    second = RunContext("airflow", "retrain", "run-1", "check", attempt=2)
    lost, newer = pytest.raises(RunKilled, match="its lease was lost"), in_process_run(store, context=second)
    with lost, in_process_run(store, context=FIRST) as first, newer as run:
        pass
    assert run.info.previous_attempt_id == first.info.run_id
    assert (status(store, first)[0], status(store, run)[0]) == (RunStatus.KILLED, RunStatus.FINISHED)
    with pytest.raises(RunNotActive), in_process_run(store, context=FIRST):
        raise AssertionError("an attempt that was fenced off does no work")


def test_an_attempt_that_has_ended_comes_out_as_it_is(store: Store) -> None:
    with in_process_run(store, context=FIRST, clock=lambda: NOW) as first:
        pass
    with in_process_run(store, context=FIRST, clock=lambda: NOW + 1) as again:
        assert again.info.status is RunStatus.FINISHED
    assert (again.info.run_id, store.runs.get_info(first.info.run_id).end_time) == (first.info.run_id, NOW)


def test_nothing_is_made_for_a_parent_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound), in_process_run(store, experiment="checks", parent_run_id="f" * 32):
        raise AssertionError("there is no run to work in")
    assert [experiment.name for experiment in store.experiments.list().items] == ["Default"]
