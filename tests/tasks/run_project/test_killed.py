"""A run that is stopped from outside ends KILLED, and none of its processes is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from headgate.store import open_store
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import EntryPointTimedOut, RunKilled
from headgate.store.run_ending import STATUS_MESSAGE_TAG
from headgate.store.runs import Runs
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks.process import ProcessScope
from headgate.tasks.reap import REAPED_TAG, reap
from headgate.tasks.run_project import run_project
from headgate.tasks.stopping import StopRequest
from tests.tasks.processes import PATIENCE, STUBBORN, Family, alive, pid_in, python, wait_for
from tests.tasks.run_project.conftest import MakeProject, only_run, output_of


@pytest.fixture
def family(tmp_path: Path, project: MakeProject) -> Family:
    """Processes of every kind; the project's entry point ``main`` starts them, and says ``ready``, then ``again``."""
    found = Family(tmp_path)
    project('main: {command: "bash family.sh"}', family__sh=found.command_that_says_ready())
    return found


@pytest.fixture(params=list(ProcessScope))
def scope(request: pytest.FixtureRequest) -> ProcessScope:
    found: ProcessScope = request.param
    return found


def assert_killed(store: Store, why: str) -> None:
    run = only_run(store)
    assert run.info.status is RunStatus.KILLED
    assert run.info.end_time is not None
    assert why in run.tags[STATUS_MESSAGE_TAG]
    assert store.leases.get(run.info.run_id) is None


def test_a_timeout(
    store: Store, project: MakeProject, tmp_path: Path, scope: ProcessScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    directory = project("main: {command: bash run.sh}", run__sh=f"echo begun; {python(STUBBORN, pid_file)}")
    later = 0.0

    def on_output(line: str, stream: str) -> None:
        nonlocal later
        later = 1000.0

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later, sleep=time.sleep)
    monkeypatch.setattr("headgate.tasks.process.time", clock)
    with pytest.raises(EntryPointTimedOut) as caught:
        run_project(directory, store=store, timeout=900, process_scope=scope, on_output=on_output)
    assert (caught.value.timeout, caught.value.run_id) == (900, only_run(store).info.run_id)
    assert "stopped after 900 s.\n  | begun\n" in caught.value.message
    assert_killed(store, "it ran for longer than 900 s")
    assert output_of(store, caught.value.run_id) == "begun\n"
    assert not pid_file.exists() or not alive(pid_in(pid_file))


def test_a_request(store: Store, project: MakeProject, family: Family, tmp_path: Path, scope: ProcessScope) -> None:
    stop = StopRequest()
    watcher = family.stop_when_complete(stop)
    with pytest.raises(RunKilled) as caught:
        run_project(tmp_path / "project", store=store, stop=stop, process_scope=scope)
    watcher.join()
    assert caught.value.reason == "the test asks for it"
    assert caught.value.run_id == only_run(store).info.run_id
    assert_killed(store, "the test asks for it")
    assert [pid for pid in family.pids() if alive(pid)] == []


def test_a_request_before_the_start(store: Store, project: MakeProject, tmp_path: Path) -> None:
    stop = StopRequest()
    stop.request("too late")
    with pytest.raises(RunKilled, match="too late"):
        run_project(project('main: {command: "touch started"}'), store=store, stop=stop)
    assert_killed(store, "too late")
    assert not (tmp_path / "project" / "started").exists()


def test_a_hosts_own_exception(store: Store, family: Family, tmp_path: Path) -> None:
    class HostsTimeout(BaseException):
        """As Airflow's AirflowTaskTimeout and Prefect's TerminationSignal: no Exception."""

    def on_output(line: str, stream: str) -> None:
        raise HostsTimeout("execution_timeout")

    with pytest.raises(HostsTimeout):
        run_project(tmp_path / "project", store=store, on_output=on_output, handle_signals=False)
    assert_killed(store, "HostsTimeout: execution_timeout")
    assert [pid for pid in family.pids() if alive(pid)] == []


def test_handlers_of_a_host_may_stay(store: Store, project: MakeProject) -> None:
    seen = []
    before = signal.getsignal(signal.SIGTERM)
    for handle_signals in (False, True):
        run_project(
            project('main: {command: "echo x"}'),
            store=store,
            handle_signals=handle_signals,
            on_output=lambda *_: seen.append(signal.getsignal(signal.SIGTERM) == before),
        )
    assert seen == [True, False]
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_kill_is_recorded_before_the_grace_is_over(store: Store, project: MakeProject, tmp_path: Path) -> None:
    """Airflow sends SIGKILL 5 s after SIGTERM: by then the store must know."""
    script = "trap 'echo asked to stop' TERM; echo ready; until [ -e looked ]; do sleep 0.05; done"
    directory = project("main: {command: bash run.sh}", run__sh=script)
    stop = StopRequest()
    status_in_grace: list[RunStatus] = []

    def on_output(line: str, stream: str) -> None:
        stop.request("the test asks for it")
        if line == "asked to stop":
            status_in_grace.append(only_run(store).info.status)
            (directory / "looked").touch()

    settings = Settings(home=tmp_path / "home", grace_seconds=59)
    with open_store(store.url, settings=settings) as patient, pytest.raises(RunKilled):
        run_project(directory, store=patient, stop=stop, on_output=on_output)
    assert status_in_grace == [RunStatus.KILLED]


def test_a_signal_while_the_end_is_recorded(
    store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Runs.finish

    def finish(self: Runs, *arguments: object, **options: object) -> object:
        signal.raise_signal(signal.SIGTERM)  # raises the first time only
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Runs, "finish", finish)
    with pytest.raises(RunKilled, match="the process got SIGTERM"):
        run_project(project('main: {command: "exit 1"}'), store=store)
    run = only_run(store)
    assert run.info.status is RunStatus.FAILED
    assert "ended with code 1" in run.tags[STATUS_MESSAGE_TAG]


class TestAnotherProcess:
    """The caller gets signals; what it leaves in the store is looked at from here."""

    @pytest.fixture
    def start(self, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
        program = (
            "import sys\n"
            "from headgate.store import open_store\n"
            "from headgate.store.settings import Settings\n"
            "from headgate.tasks import ProcessScope, run_project\n"
            "url, home, project, scope, lease = sys.argv[1:]\n"
            "settings = Settings(home=home, lease_seconds=float(lease), grace_seconds=1)\n"
            "with open_store(url, settings=settings) as store:\n"
            "    try:\n"
            "        run_project(project, store=store, process_scope=ProcessScope(scope))\n"
            "    except BaseException as error:\n"
            "        print(type(error).__name__)\n"
        )

        def start(store: Store, scope: ProcessScope, lease: float = 60) -> subprocess.Popen[str]:
            arguments = [store.url, str(tmp_path / "home"), str(tmp_path / "project"), scope, str(lease)]
            return subprocess.Popen(
                [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
            )

        return start

    @pytest.mark.parametrize(
        ("number", "says", "why"),
        [
            (signal.SIGTERM, "RunKilled", "the process got SIGTERM"),
            (signal.SIGINT, "KeyboardInterrupt", "KeyboardInterrupt"),
            (signal.SIGHUP, "RunKilled", "the process got SIGHUP"),
        ],
    )
    def test_a_signal(
        self,
        store: Store,
        family: Family,
        start: Callable[..., subprocess.Popen[str]],
        scope: ProcessScope,
        number: signal.Signals,
        says: str,
        why: str,
    ) -> None:
        with start(store, scope) as caller:
            pids = family.pids()
            caller.send_signal(number)
            assert caller.communicate(timeout=PATIENCE)[0].strip() == says
        assert_killed(store, why)
        assert [pid for pid in pids if alive(pid)] == []
        assert set(output_of(store, only_run(store).info.run_id).split()) <= {"ready", "again"}

    def test_kill_9_then_reap(
        self, store: Store, family: Family, start: Callable[..., subprocess.Popen[str]], scope: ProcessScope
    ) -> None:
        with start(store, scope) as caller:
            pids = family.pids()
            os.killpg(caller.pid, signal.SIGKILL)
            caller.wait(PATIENCE)
        wait_for(lambda: not any(map(alive, pids)), "the end of every process")
        run = only_run(store)
        assert run.info.status is RunStatus.RUNNING
        lease = store.leases.get(run.info.run_id)
        assert lease is not None
        assert lease.pid == caller.pid
        assert reap(store, lease.expires_at - 1) == ()
        assert reap(store, lease.expires_at) == (run.info.run_id,)
        assert_killed(store, f"Its process ({caller.pid} on ")
        assert only_run(store).tags[REAPED_TAG] == "true"


class TestLeases:
    @pytest.fixture
    def hasty(self, tmp_path: Path, store: Store) -> Store:
        """The same store, with leases of a fraction of a second: heartbeats come quickly."""
        settings = Settings(home=tmp_path / "home", lease_seconds=0.3, grace_seconds=1)
        return open_store(store.url, settings=settings)

    def test_heartbeats_keep_it(self, store: Store, hasty: Store, project: MakeProject) -> None:
        beats: set[int] = set()

        def on_output(line: str, stream: str) -> None:
            lease = store.leases.get(only_run(store).info.run_id)
            assert lease is not None
            beats.add(lease.heartbeat_at)
            if len(beats) >= 3:
                (directory / "enough").touch()

        directory = project(
            "main: {command: bash run.sh}", run__sh="until [ -e enough ]; do echo alive; sleep 0.1; done"
        )
        with hasty:
            result = run_project(directory, store=hasty, on_output=on_output, timeout=PATIENCE)
        assert result.status is RunStatus.FINISHED

    @pytest.mark.parametrize("way", ["reaped", "fenced", "taken"])
    def test_without_it_the_work_stops(
        self, store: Store, hasty: Store, project: MakeProject, family: Family, tmp_path: Path, way: str
    ) -> None:
        context = RunContext(pipeline="p", pipeline_run_id="r", task="t", attempt=1)
        others: list[str] = []

        def on_output(line: str, stream: str) -> None:
            if others:
                return
            run_id = only_run(store).info.run_id
            lease = store.leases.get(run_id)
            assert lease is not None
            if way == "reaped":
                others.append(run_id)
                assert reap(store, lease.expires_at + 60_000) == (run_id,)
            elif way == "fenced":
                later = RunContext(pipeline="p", pipeline_run_id="r", task="t", attempt=2)
                others.append(store.runs.open("0", context=later).info.run_id)
            else:
                others.append(store.runs.open("0", context=context, lease_owner="another").info.run_id)

        with hasty, pytest.raises(RunKilled, match="its lease was lost") as caught:
            run_project(tmp_path / "project", store=hasty, context=context, on_output=on_output)
        run = store.runs.get(caught.value.run_id)
        # Whoever took the run over is working on it: it is not ours to close.
        assert run.info.status is (RunStatus.RUNNING if way == "taken" else RunStatus.KILLED)
        assert [pid for pid in family.pids() if alive(pid)] == []
