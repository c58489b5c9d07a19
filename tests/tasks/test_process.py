"""Real processes. A test that says a process is gone has seen its id vanish from the system."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from headgate.tasks.process import Ended, ProcessScope, ProgramNotStarted, run_process
from headgate.tasks.stopping import StopRequest, Terminated, raise_on_signals
from tests.tasks.processes import (
    PATIENCE,
    SLEEPER,
    STUBBORN,
    Family,
    alive,
    pid_in,
    python,
    wait_for,
)


def run(command: str, directory: Path, **options: object) -> Ended:
    variables = {"PATH": os.environ["PATH"]}
    return run_process(["bash", "-c", command], directory=directory, variables=variables, **options)  # type: ignore[arg-type]


@pytest.fixture(params=list(ProcessScope))
def scope(request: pytest.FixtureRequest) -> ProcessScope:
    found: ProcessScope = request.param
    return found


class TestOutput:
    def test_lines_and_streams(self, tmp_path: Path) -> None:
        seen: list[tuple[str, str]] = []
        ended = run("echo one; echo two >&2; printf three", tmp_path, on_output=lambda *line: seen.append(line))
        assert sorted(seen) == [("one", "stdout"), ("three", "stdout"), ("two", "stderr")]
        assert (ended.exit_code, ended.cause) == (0, "exited")
        assert sorted(ended.tail.split("\n")) == ["one", "three", "two"]

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        assert run(r"printf '\xff\xfe ok\n'", tmp_path).tail == "\ufffd\ufffd ok"

    def test_much_of_it(self, tmp_path: Path) -> None:
        seen: list[str] = []
        ended = run("seq 200000; printf '%0300000d' 0", tmp_path, on_output=lambda line, stream: seen.append(line))
        assert seen[:200000] == [str(number) for number in range(1, 200001)]
        assert "".join(seen[200000:]) == "0" * 300000
        assert len(ended.tail) == 8000

    def test_no_input(self, tmp_path: Path) -> None:
        assert run("cat; echo end", tmp_path).tail == "end"

    def test_runs_in_the_callers_thread(self, tmp_path: Path) -> None:
        threads = set()
        run("echo x", tmp_path, on_output=lambda *_: threads.add(threading.current_thread()))
        assert threads == {threading.current_thread()}


class TestEnds:
    @pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", -9), ("true", 0)])
    def test_codes(self, tmp_path: Path, command: str, code: int) -> None:
        assert run(command, tmp_path).exit_code == code

    def test_no_such_program(self, tmp_path: Path) -> None:
        with pytest.raises(ProgramNotStarted) as caught:
            run_process(["no-such-program"], directory=tmp_path, variables={"PATH": os.environ["PATH"]})
        assert caught.value.errno == errno.ENOENT
        (tmp_path / "plain").touch()
        with pytest.raises(ProgramNotStarted) as caught:
            run_process([str(tmp_path / "plain")], directory=tmp_path, variables={})
        assert caught.value.errno == errno.EACCES

    def test_no_such_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ProgramNotStarted) as caught:
            run("true", tmp_path / "none")
        assert caught.value.errno == errno.ENOENT

    def test_more_arguments_than_the_system_takes(self, tmp_path: Path) -> None:
        with pytest.raises(ProgramNotStarted) as caught:
            run("#" + "x" * 3_000_000, tmp_path)
        assert caught.value.errno == errno.E2BIG

    def test_environment_is_the_given_one(self, tmp_path: Path) -> None:
        variables = {"PATH": os.environ["PATH"], "A B": "c\nd", "LATIN": "\udce9"}
        ended = run_process(["env", "-0"], directory=tmp_path, variables=variables)
        found = dict(entry.split("=", 1) for entry in ended.tail.rstrip("\0").split("\0"))
        del found["HEADGATE_PROCESS_TREE"]
        assert found == {**variables, "LATIN": "\ufffd"}

    def test_signals_are_as_usual(self, tmp_path: Path) -> None:
        program = "import signal; print([signal.getsignal(s) == signal.SIG_DFL for s in (1, 2, 13, 15, 17)])"
        expected = "[True, False, False, True, True]"  # Python itself handles SIGINT and ignores SIGPIPE
        assert run(python(program), tmp_path).tail == expected
        assert run("trap -- '' TERM; trap", tmp_path).tail == "trap -- '' SIGTERM"

    def test_nothing_is_left_open(self, tmp_path: Path) -> None:
        """In a process of its own, where no other test opens and closes files meanwhile."""
        program = (
            "import os\n"
            "from pathlib import Path\n"
            "from headgate.tasks.process import run_process\n"
            "def run(*words, **options):\n"
            "    run_process(words, directory=Path('.'), variables=dict(os.environ), **options)\n"
            "run('true')\n"
            "before = os.listdir('/proc/self/fd')\n"
            "run('true')\n"
            "run('sleep', '600', timeout=0.1)\n"
            "print(before, os.listdir('/proc/self/fd'), sep='\\n')\n"
        )
        said = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        before, after = said.stdout.splitlines()
        assert after == before


class TestEveryDescendantIsReached:
    def test_by_a_timeout(self, tmp_path: Path, scope: ProcessScope, monkeypatch: pytest.MonkeyPatch) -> None:
        family = Family(tmp_path)
        later = 0.0

        def on_output(line: str, stream: str) -> None:
            nonlocal later
            later = 1000.0

        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later, sleep=time.sleep)
        monkeypatch.setattr("headgate.tasks.process.time", clock)
        ended = run(family.command_that_says_ready(), tmp_path, timeout=900, grace=1, scope=scope, on_output=on_output)
        assert ended.cause == "timed_out"
        assert [pid for pid in family.pids() if alive(pid)] == []

    @pytest.mark.parametrize("program", [SLEEPER, STUBBORN], ids=["obedient", "stubborn"])
    def test_by_a_request(self, tmp_path: Path, scope: ProcessScope, program: str) -> None:
        family = Family(tmp_path, program)
        stop = StopRequest()
        watcher = family.stop_when_complete(stop)
        ended = run(family.command, tmp_path, grace=0.3, scope=scope, stop=stop)
        watcher.join()
        assert ended.cause == "stopped"
        assert [pid for pid in family.pids() if alive(pid)] == []

    def test_when_the_callers_code_raises(self, tmp_path: Path, scope: ProcessScope) -> None:
        family = Family(tmp_path)

        def complain(line: str, stream: str) -> None:
            raise LookupError(line)

        with pytest.raises(LookupError, match="ready"):
            run(family.command_that_says_ready(), tmp_path, on_output=complain, grace=1, scope=scope)
        assert [pid for pid in family.pids() if alive(pid)] == []

    def test_when_the_program_ends_first(self, tmp_path: Path, scope: ProcessScope) -> None:
        pid_file = tmp_path / "left"
        command = f"{python(SLEEPER, pid_file)} & until [ -s {pid_file} ]; do sleep 0.01; done; echo done"
        ended = run(command, tmp_path, scope=scope)
        assert (ended.exit_code, ended.cause, ended.tail) == (0, "exited", "done")
        assert not alive(pid_in(pid_file))

    def test_when_the_program_kills_its_group(self, tmp_path: Path) -> None:
        pid_file = tmp_path / "left"
        wait = f"until [ -s {pid_file} ]; do sleep 0.01; done"
        command = f"setsid {python(SLEEPER, pid_file)} & {wait}; trap 'kill 0' EXIT; exit 3"
        assert run(command, tmp_path).exit_code in (3, -signal.SIGTERM)
        assert not alive(pid_in(pid_file))

    def test_when_the_supervisor_is_killed(self, tmp_path: Path) -> None:
        pid_file, parent_file = tmp_path / "child", tmp_path / "parent"
        program = f"import os; open({str(parent_file)!r}, 'w').write(str(os.getppid())); " + SLEEPER

        def kill() -> None:
            pid_in(pid_file)
            os.kill(pid_in(parent_file), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        ended = run(f"exec {python(program, pid_file)}", tmp_path)
        killer.join()
        assert ended.exit_code is None
        assert not alive(pid_in(pid_file))


def test_a_program_may_clean_up(tmp_path: Path) -> None:
    program = (
        "import os, signal, time\n"
        "def end(*_):\n    os.write(1, b'checkpoint written')\n    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end); os.write(1, b'ready\\n'); time.sleep(600)"
    )
    stop = StopRequest()
    seen: list[str] = []

    def on_output(line: str, stream: str) -> None:
        seen.append(line)
        stop.request("enough")

    ended = run(python(program), tmp_path, on_output=on_output, stop=stop, grace=PATIENCE)
    assert seen == ["ready", "checkpoint written"]
    assert (ended.exit_code, ended.cause) == (0, "stopped")


class TestScopes:
    COMMAND = "echo $$; ps -o pgid=,sid= -p $$"

    def test_own_session(self, tmp_path: Path) -> None:
        pid, ids = run(self.COMMAND, tmp_path).tail.split("\n")
        assert ids.split() == [pid, pid]

    def test_callers_group(self, tmp_path: Path) -> None:
        _, ids = run(self.COMMAND, tmp_path, scope=ProcessScope.CALLERS_GROUP).tail.split("\n")
        assert ids.split() == [str(os.getpgrp()), str(os.getsid(0))]


# A caller in a process of its own: runs the command of its first argument in the scope of its second one.
CALLER = """
import os, sys
from pathlib import Path
from headgate.tasks.process import ProcessScope, run_process
from headgate.tasks.stopping import StopRequest, Terminated, raise_on_signals

stop = StopRequest()
try:
    with raise_on_signals(stop):
        command, scope, grace = sys.argv[1:]
        run_process(["bash", "-c", command], directory=Path("."), variables=dict(os.environ), grace=float(grace),
                    scope=ProcessScope(scope), stop=stop)
except BaseException as error:
    print(type(error).__name__, *error.args)
"""


class TestTheCallerGetsASignal:
    def start(self, command: str, scope: ProcessScope, directory: Path, grace: float = 1) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CALLER, command, scope, str(grace)],
            cwd=directory,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @pytest.mark.parametrize(
        ("number", "says"),
        [
            (signal.SIGINT, "KeyboardInterrupt"),
            (signal.SIGTERM, f"Terminated {signal.SIGTERM}"),
            (signal.SIGHUP, f"Terminated {signal.SIGHUP}"),
            (signal.SIGKILL, ""),
        ],
    )
    def test_every_descendant_is_reached(
        self, tmp_path: Path, scope: ProcessScope, number: signal.Signals, says: str
    ) -> None:
        family = Family(tmp_path)
        with self.start(family.command, scope, tmp_path) as caller:
            pids = family.pids()
            caller.send_signal(number)
            assert caller.communicate(timeout=PATIENCE)[0].strip() == says
        wait_for(lambda: not any(map(alive, pids)), "the end of every process")

    def test_the_group_of_the_caller_is_killed(self, tmp_path: Path) -> None:
        family = Family(tmp_path)
        with self.start(family.command, ProcessScope.CALLERS_GROUP, tmp_path) as caller:
            pids = family.pids()
            os.killpg(caller.pid, signal.SIGKILL)
            caller.wait(PATIENCE)
        wait_for(lambda: not any(map(alive, pids)), "the end of every process")

    def test_impatience_ends_the_grace(self, tmp_path: Path) -> None:
        pid_file, asked = tmp_path / "child", tmp_path / "asked"
        says_so = f"import signal; signal.signal(signal.SIGTERM, lambda *_: open({str(asked)!r}, 'w').close()); "
        with self.start(python(says_so + SLEEPER, pid_file), ProcessScope.OWN_SESSION, tmp_path, grace=600) as caller:
            pid = pid_in(pid_file)
            caller.send_signal(signal.SIGINT)
            wait_for(asked.exists, "the request to end")
            assert alive(pid)
            caller.send_signal(signal.SIGINT)
            assert caller.communicate(timeout=PATIENCE)[0].strip() == "KeyboardInterrupt"
        assert not alive(pid)


class TestSignalHandlers:
    def test_are_put_back(self) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
        with raise_on_signals(StopRequest()):
            assert signal.getsignal(signal.SIGTERM) not in before
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before

    def test_only_the_first_signal_raises(self) -> None:
        stop = StopRequest()
        with raise_on_signals(stop):
            with pytest.raises(Terminated) as caught:
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.reason == "the process got SIGTERM"
        assert stop.reason == "the process got SIGTERM"

    def test_other_threads_leave_signals_alone(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        inside: list[object] = []

        def other() -> None:
            with raise_on_signals(StopRequest()):
                inside.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert inside == [before]

    def test_what_is_ignored_stays_ignored(self) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            with raise_on_signals(StopRequest()):
                signal.raise_signal(signal.SIGHUP)
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_a_swallowed_signal_still_stops(self, tmp_path: Path) -> None:
        stop = StopRequest()

        def on_output(line: str, stream: str) -> None:
            try:
                signal.raise_signal(signal.SIGTERM)
            except BaseException:  # noqa: BLE001 - this is the mistake that is tested
                return

        with raise_on_signals(stop):
            ended = run("echo x; sleep 600", tmp_path, on_output=on_output, stop=stop)
        assert ended.cause == "stopped"

    def test_the_first_reason_counts(self) -> None:
        stop = StopRequest()
        stop.request("one")
        stop.request("two")
        assert stop.reason == "one"
