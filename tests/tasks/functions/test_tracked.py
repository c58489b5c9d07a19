"""``tracked``: each call of a function is a run, whatever becomes of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from headgate.store.entities import LoggedModelStatus, RunContext, RunStatus
from headgate.store.errors import InvalidInput, RunKilled, RunNotActive
from headgate.store.store import Store
from headgate.tasks import StopRequest, tracked, tracking
from headgate.tasks.functions.run import CallToRecord, tracked_run
from headgate.tasks.functions.tracked import Options, Place, call_tracked
from tests.clock import in_another_millisecond
from tests.tasks.functions.conftest import only_run, recorded, values

MESSAGE = "headgate.statusMessage"
PATIENCE = 120


@tracked
def train(depth: int, rate: float = 0.5, api_key: str = "hush-hush-hush") -> dict[str, Any]:
    tracking.log_metric("loss", 0.25)
    return {"f1": 0.9, "by_class": {"a": 1, "b": 0.5}, "passed": True, "name": "n", "list": [3]}


def test_a_call_is_recorded_and_returns_what_the_function_returns(store: Store) -> None:
    returned = train(6)
    assert returned == {"f1": 0.9, "by_class": {"a": 1, "b": 0.5}, "passed": True, "name": "n", "list": [3]}
    run = only_run(store)
    assert (run.info.name, run.info.status, run.info.experiment_id) == ("train", RunStatus.FINISHED, "0")
    assert run.params == {"depth": "6", "rate": "0.5", "api_key": "***"}
    assert values(run) == {"loss": 0.25, "f1": 0.9, "by_class/a": 1.0, "by_class/b": 0.5, "list/0": 3.0}
    assert run.tags["headgate.function"] == f"{__name__}:train"
    assert run.tags["mlflow.source.name"] == __file__
    assert run.tags["mlflow.user"] == run.info.user_id != ""
    assert run.info.end_time is not None
    assert store.leases.expired(now=2**60) == ()


def test_each_call_is_a_run_of_its_own(store: Store) -> None:
    train(1)
    in_another_millisecond()
    train(2)
    assert [run.params["depth"] for run in recorded(store)] == ["1", "2"]


def test_what_is_said_of_the_runs(store: Store) -> None:
    named = tracked(experiment="elsewhere", run_name="mine", tags={"team": "a"})(lambda: None)
    assert named() is None
    experiment = store.experiments.get_by_name("elsewhere")
    assert experiment is not None
    (run,) = store.runs.search([experiment.experiment_id]).items
    assert (run.info.name, run.tags["team"]) == ("mine", "a")


def test_models_and_files_become_records_and_the_caller_gets_the_objects(store: Store, tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    report = tmp_path / "report.txt"

    @tracked
    def fit() -> dict[str, Any]:
        report.write_text("fine")
        return {"classifier": model, "report": report}

    assert fit() == {"classifier": model, "report": report}
    run = only_run(store)
    (output,) = run.model_outputs
    logged = store.logged_models.get(output.model_id)
    assert (logged.name, logged.status, logged.source_run_id) == (
        "classifier",
        LoggedModelStatus.READY,
        run.info.run_id,
    )
    with store.artifacts(run.info.artifact_uri).open("report.txt") as stream:
        assert stream.read() == b"fine"


def called(store: Store, function: Any, **place: Any) -> Any:
    return call_tracked(function, (), {}, Options(), Place(store, **place))


def test_what_is_handed_on_has_names_in_place_of_models_and_files(store: Store, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.csv").write_text(folder)
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])

    def make() -> Any:
        known = tracking.log_model(model, "known")
        in_another_millisecond()
        files = [tmp_path / "a" / "data.csv", tmp_path / "b" / "data.csv", tmp_path / "a"]
        return {"known": known, "new": [model], "files": files, "f1": 0.5, "none": None}

    done = called(store, make)
    result = done.result()
    uri = result.artifact_uri
    known, new = (store.logged_models.get(model_id) for model_id in result.model_ids)
    assert (known.name, new.name) == ("known", "new-0")
    assert done.handed_on == {
        "known": f"models:/{known.model_id}",
        "new": [f"models:/{new.model_id}"],
        "files": [f"{uri}/files-0/data.csv", f"{uri}/files-1/data.csv", f"{uri}/a"],
        "f1": 0.5,
        "none": None,
    }
    with store.artifacts(uri).open("files-1/data.csv") as stream:
        assert stream.read() == b"b"
    assert result.metrics == {"f1": 0.5}


def test_a_model_by_itself_is_called_as_the_function(store: Store) -> None:
    def classifier() -> Any:
        return LogisticRegression().fit([[0.0], [1.0]], [0, 1])

    done = called(store, classifier)
    assert store.logged_models.get(done.result().model_ids[0]).name == "classifier"
    assert done.handed_on == f"models:/{done.result().model_ids[0]}"


@pytest.mark.parametrize("value", [None, 0.5, True, "text", b"bytes", [], {}, object(), LogisticRegression, len])
def test_what_has_no_name_is_left_alone(store: Store, value: Any) -> None:
    done = called(store, lambda: value)
    assert done.value is done.handed_on is value
    run = only_run(store)
    assert (values(run), run.model_outputs, run.info.status) == ({}, (), RunStatus.FINISHED)


def test_a_file_that_is_not_there_fails_the_run(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no such file") as caught:
        called(store, lambda: {"f1": 1.0, "report": tmp_path / "nowhere"})
    run = only_run(store)
    assert caught.value.run_id == run.info.run_id
    assert run.info.status is RunStatus.FAILED


# ---------------------------------------------------------------------------------------------------------------------
# How it ends


def test_an_exception_fails_the_run_and_its_secrets_are_masked(store: Store) -> None:
    @tracked
    def connect(password: str) -> None:
        raise ConnectionError(f"refused {password}")

    with pytest.raises(ConnectionError, match="refused canary-1234"):
        connect("canary-1234")
    run = only_run(store)
    assert (run.info.status, run.tags[MESSAGE]) == (RunStatus.FAILED, "ConnectionError: refused ***")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), RunStatus.KILLED),
        (SystemExit(0), RunStatus.FINISHED),
        (SystemExit(None), RunStatus.FINISHED),
        (SystemExit(3), RunStatus.FAILED),
        (asyncio.CancelledError(), RunStatus.KILLED),
    ],
)
def test_what_is_no_exception_ends_it_too(store: Store, error: BaseException, status: RunStatus) -> None:
    @tracked
    def ends() -> None:
        raise error

    with pytest.raises(type(error)):
        ends()
    assert only_run(store).info.status is status


def test_a_signal_kills_the_run(tmp_path: Path, store: Store) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nfrom headgate.tasks import tracked\n"
        "@tracked\ndef slow():\n    print('ready', flush=True)\n    time.sleep(300)\n"
        "slow()\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "RunKilled: The function 'slow' was stopped: the process got SIGTERM." in stderr
    run = only_run(store)
    assert (run.info.status, run.tags[MESSAGE]) == (RunStatus.KILLED, "the process got SIGTERM")


def test_what_was_told_to_stop_does_not_end_well(store: Store) -> None:
    stop = StopRequest()

    def stubborn() -> int:
        stop.request("somebody asked")
        return 1

    with pytest.raises(RunKilled, match="somebody asked"):
        called(store, stubborn, stop=stop)
    assert only_run(store).info.status is RunStatus.KILLED


def test_a_run_that_was_fenced_off_does_not_end_well(store: Store) -> None:
    work = RunContext("airflow", "dag", "run-1", "train")

    def slow() -> int:
        store.runs.open("0", context=work)
        return 1

    with pytest.raises(RunKilled, match="ended too late"):
        called(store, slow, context=work)
    first, second = recorded(store)
    assert {first.info.status, second.info.status} == {RunStatus.KILLED, RunStatus.RUNNING}


# ---------------------------------------------------------------------------------------------------------------------
# Attempts


def test_an_attempt_that_is_made_again_is_the_next_one(store: Store) -> None:
    work = RunContext("airflow", "dag", "run-1", "train", attempt=1)
    first = called(store, lambda: {"f1": 0.1}, context=work)
    second = called(store, lambda: {"f1": 0.2}, context=work)
    runs = [store.runs.get(done.run.run_id) for done in (first, second)]
    assert [run.info.context.attempt for run in runs] == [1, 2]
    assert runs[0].info.superseded_by == runs[1].info.run_id
    assert [values(run) for run in runs] == [{"f1": 0.1}, {"f1": 0.2}]


def test_an_older_attempt_comes_too_late(store: Store) -> None:
    called(store, lambda: None, context=RunContext("airflow", "dag", "run-1", "train", attempt=2))
    with pytest.raises(RunNotActive, match="too late"):
        called(store, lambda: None, context=RunContext("airflow", "dag", "run-1", "train", attempt=1))


def test_a_wrong_tag_is_refused_before_anything_is_recorded(store: Store) -> None:
    with (
        pytest.raises(InvalidInput, match="name of a tag"),
        tracked_run(store, CallToRecord("f", tags={"a//b": "c"})),
    ):
        raise AssertionError("never begun")
    assert recorded(store) == []


# ---------------------------------------------------------------------------------------------------------------------
# Where logging calls go


def test_a_tracked_function_below_another_is_nested(store: Store) -> None:
    @tracked
    def inner(n: int) -> None:
        tracking.log_metric("inside", n)

    @tracked
    def outer() -> None:
        inner(1)
        tracking.log_metric("outside", 2)

    outer()
    by_name = {run.info.name: run for run in recorded(store)}
    assert by_name["inner"].info.parent_run_id == by_name["outer"].info.run_id
    assert (values(by_name["inner"]), values(by_name["outer"])) == ({"inside": 1.0}, {"outside": 2.0})


def test_start_run_inside_attaches_and_what_is_left_open_ends(store: Store) -> None:
    @tracked
    def function() -> None:
        with tracking.start_run() as run:
            tracking.log_metric("same", 1)
            assert tracking.active_run() is run
        tracking.start_run(run_name="left open", nested=True)
        tracking.log_metric("nested", 2)

    function()
    by_name = {run.info.name: run for run in recorded(store)}
    assert set(by_name) == {"function", "left open"}
    assert values(by_name["function"]) == {"same": 1.0}
    assert by_name["left open"].info.status is RunStatus.FINISHED
    assert by_name["left open"].info.parent_run_id == by_name["function"].info.run_id
    assert tracking.active_run() is None


def test_threads_of_the_function_log_to_its_run(store: Store) -> None:
    @tracked
    def function() -> None:
        thread = threading.Thread(target=tracking.log_metric, args=("from_thread", 1))
        thread.start()
        thread.join()

    function()
    assert values(only_run(store)) == {"from_thread": 1.0}


def test_functions_side_by_side_have_runs_of_their_own(store: Store) -> None:
    together = threading.Barrier(3)

    @tracked(environment=False)
    def function(n: int) -> None:
        together.wait(PATIENCE)
        tracking.log_metric("n", n)
        together.wait(PATIENCE)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(function, range(3)))
    runs = recorded(store)
    assert sorted(run.params["n"] for run in runs) == ["0", "1", "2"]
    assert all(values(run) == {"n": float(run.params["n"])} for run in runs)


def test_the_environment_is_one_functions_at_a_time(store: Store) -> None:
    started, over = threading.Event(), threading.Event()

    @tracked
    def first() -> None:
        started.set()
        assert over.wait(PATIENCE)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(first)
        assert started.wait(PATIENCE)
        with pytest.raises(InvalidInput, match="environment=False"):
            train(1)
        over.set()
        running.result(PATIENCE)
    statuses = {run.info.name: run.info.status for run in recorded(store)}
    assert statuses == {"first": RunStatus.FINISHED, "train": RunStatus.FAILED}


def test_an_unclear_thread_is_refused(store: Store) -> None:
    together = threading.Barrier(2)
    refused: list[Exception] = []

    def log() -> None:
        try:
            tracking.log_metric("whose", 1)
        except InvalidInput as error:
            refused.append(error)

    @tracked(environment=False)
    def function() -> None:
        together.wait(PATIENCE)
        thread = threading.Thread(target=log)
        thread.start()
        thread.join()
        together.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: function(), range(2)))
    assert len(refused) == 2
    assert all("2 functions are being tracked" in str(error) for error in refused)
    assert [values(run) for run in recorded(store)] == [{}, {}]


def test_child_processes_find_the_run_and_the_variables_are_put_back(store: Store) -> None:
    before = dict(os.environ)

    @tracked
    def function() -> None:
        script = "from headgate.tasks import tracking; tracking.log_metric('from_child', 7)"
        subprocess.run([sys.executable, "-c", script], check=True)

    function()
    assert values(only_run(store)) == {"from_child": 7.0}
    assert dict(os.environ) == before


def test_coroutine_functions(store: Store) -> None:
    @tracked(environment=False)
    async def fetch(n: int) -> dict[str, float]:
        await asyncio.sleep(0)
        tracking.log_metric("inside", n)
        await asyncio.sleep(0)
        return {"score": n / 2}

    async def both() -> list[Any]:
        return await asyncio.gather(fetch(1), fetch(2))

    assert asyncio.run(both()) == [{"score": 0.5}, {"score": 1.0}]
    for run in recorded(store):
        n = float(run.params["n"])
        assert values(run) == {"inside": n, "score": n / 2}
