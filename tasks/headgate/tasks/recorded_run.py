"""One run from its opening to its end: whatever happens in between, the store says how it ended."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from headgate.store.clock import now_ms
from headgate.store.entities import Run, RunInfo, RunStatus
from headgate.store.errors import (
    EntryPointFailed,
    HeadgateError,
    InvalidInput,
    InvalidProject,
)
from headgate.tasks.download import Downloads
from headgate.tasks.environments.protocol import Builder, Launch, Task
from headgate.tasks.leased_run import LeasedRun, open_leased
from headgate.tasks.output import OutputFile
from headgate.tasks.process import Ended, OnOutput, ProcessScope, ProgramNotStarted, run_process
from headgate.tasks.projects.parameters import BoundParameter, download_paths, render_command
from headgate.tasks.projects.secrets import MASK, Redactor, secret_variables, url_passwords
from headgate.tasks.run_ends import OUTPUT_ARTIFACT, refuse_bad_end, status_after
from headgate.tasks.run_request import RunRequest
from headgate.tasks.run_result import RunResult, earlier_result
from headgate.tasks.run_variables import run_variables
from headgate.tasks.stopping import StopRequest
from headgate.wire.loopback import Loopback, new_token

if TYPE_CHECKING:
    from headgate.store.store import Store

_log = logging.getLogger(__name__)

_MODEL = re.compile(r"(?:models:/)?(m-[0-9a-f]{32})")
_OUTPUT_CHARACTERS = 10_000_000
_CLEAN_UP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What may end a run from outside.

    Args:
        stop: asks for it from another thread.
        timeout: seconds that the entry point may take; None is no limit.
        scope: where its processes live.
    """

    stop: StopRequest
    timeout: float | None = None
    scope: ProcessScope = ProcessScope.OWN_SESSION

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidInput(
                f"The timeout is {self.timeout} s.", remedy="Give a positive number of seconds, or leave it out."
            )


class RecordedRun:
    """Runs a request once. The parts of the work are methods in the order in which they happen."""

    def __init__(
        self, store: Store, limits: Limits, *, clock: Callable[[], int] = now_ms, on_output: OnOutput | None = None
    ) -> None:
        self.run_id: str | None = None
        self._store = store
        self._limits = limits
        self._clock = clock
        self._on_output = on_output
        self._owner = uuid.uuid4().hex
        self._token = new_token()
        self._redact = Redactor()
        self._leased: LeasedRun | None = None

    def run(
        self,
        request: RunRequest,
        *,
        experiment: str | None = None,
        parent_run_id: str | None = None,
        on_start: Callable[[RunInfo], None] | None = None,
    ) -> RunResult:
        """Open the run, do the work, record the end; errors are those of :func:`headgate.tasks.run_project`."""
        self._redact = Redactor(self._secrets(request))
        opened = self._open(request, experiment, parent_run_id)
        if opened.info.status.terminated:
            return earlier_result(self._store, opened)
        info = opened.info
        self.run_id = info.run_id
        with (
            TemporaryDirectory(prefix="headgate-", ignore_cleanup_errors=True) as scratch,
            OutputFile(Path(scratch, "output.txt"), _OUTPUT_CHARACTERS) as output,
            LeasedRun(
                self._store, info, self._owner, self._limits.stop, clock=self._clock, redact=self._redact
            ) as self._leased,
        ):
            try:
                if on_start is not None:
                    on_start(info)
                ended = self._work(request, info, Path(scratch), output)
                refuse_bad_end(
                    f"Entry point {request.entry_point.name!r} of project {request.project.name!r}",
                    ended,
                    run_id=info.run_id,
                    reason=self._limits.stop.reason,
                    timeout=self._limits.timeout,
                )
                self._keep_output(info, output)
                return self._leased.finish()
            except BaseException as error:
                if isinstance(error, HeadgateError):
                    error.attributes.setdefault("run_id", info.run_id)
                self._leased.close_whatever_comes(error)
                self._keep_output(info, output)
                raise

    def _secrets(self, request: RunRequest) -> list[str]:
        secret = [parameter for parameter in request.bound if parameter.secret]
        # Of a URL only the password is masked: the rest may stand in the output.
        whole = [parameter.text for parameter in secret if parameter.recorded == MASK]
        urls = [*(parameter.text for parameter in secret), self._store.url]
        passwords = (word for url in urls for word in url_passwords(url))
        settings = self._store.settings
        s3 = [] if settings.s3_secret_access_key is None else [settings.s3_secret_access_key.get_secret_value()]
        variables = {**os.environ, **request.variables}
        return [self._token, *s3, *whole, *passwords, *secret_variables(variables)]

    def _open(self, request: RunRequest, experiment: str | None, parent_run_id: str | None) -> Run:
        return open_leased(
            self._store,
            self._owner,
            context=request.context,
            experiment=experiment,
            parent_run_id=parent_run_id,
            name=request.name,
            tags=request.tags,
            params=request.params,
            user=request.user,
            clock=self._clock,
        )

    def _work(self, request: RunRequest, info: RunInfo, scratch: Path, output: OutputFile) -> Ended:
        def on_output(line: str, stream: str) -> None:
            output.add(line)
            if self._on_output is not None:
                self._on_output(line, stream)

        stop, grace = self._limits.stop, self._store.settings.grace_seconds
        directory, bound = self._place(request, scratch)
        bound = download_paths(bound, scratch / "downloads", Downloads(self._store))
        command = render_command(request.entry_point, bound)
        builder = Builder(on_output, stop, grace, self._limits.scope, self._redact)
        known_now = request.environment.prepare(builder)
        if known_now:
            self._store.tags.set(info.run_id, known_now)
        builder.go_on()
        paths = (*self._store_paths(), *(parameter.path for parameter in bound if parameter.path is not None))
        measures = self._models_named(request)
        with Loopback(self._store, info, request.user, self._token, measures=measures) as endpoint:
            ours = {**self._variables(info), **endpoint.environment, **endpoint.store_environment}
            variables = {**request.variables, **ours, **command.secrets}
            launch = request.environment.launch(Task(command.text, directory, variables, info.run_id, paths))
            return self._launch(launch, on_output, grace)

    def _place(self, request: RunRequest, scratch: Path) -> tuple[Path, tuple[BoundParameter, ...]]:
        """Return the folder to run in, and the parameters as they are there."""
        source = request.source
        if source.cached is None:
            return source.directory, request.bound
        copy = scratch / "project"
        shutil.copytree(source.cached, copy, symlinks=True)
        directory = copy / source.directory.relative_to(source.cached)
        return directory, tuple(parameter.moved(source.cached, copy) for parameter in request.bound)

    def _models_named(self, request: RunRequest) -> set[str]:
        """Return the LoggedModels that the parameters name: the process measures them, whosever they are."""
        found = set()
        for said in (parameter.recorded for parameter in request.bound):
            if (by_id := _MODEL.fullmatch(said)) is not None:
                found.add(by_id[1])
            elif said.startswith("models:/"):
                with suppress(InvalidInput):  # then it names none
                    found.add(str(self._store.registry.resolve_model_uri(said).model_id))
        return found

    def _store_paths(self) -> list[Path]:
        database, root = self._store.database, self._store.artifact_root
        paths = [Path(str(database.url.database)).absolute().parent] if database.dialect == "sqlite" else []
        return paths if "://" in root else [*paths, Path(root)]

    def _variables(self, info: RunInfo) -> dict[str, str]:
        # Lines arrive when they are printed, not when a buffer is full.
        return {
            **run_variables(self._store, info),
            "PYTHONUNBUFFERED": os.environ.get("PYTHONUNBUFFERED") or "1",
        }

    def _launch(self, launch: Launch, on_output: OnOutput, grace: float) -> Ended:
        try:
            ended = run_process(
                launch.arguments,
                directory=launch.directory,
                variables=launch.variables,
                on_output=on_output,
                timeout=self._limits.timeout,
                grace=grace,
                scope=self._limits.scope,
                stop=self._limits.stop,
                redact=self._redact,
                on_stopping=self._on_stopping,
            )
        except ProgramNotStarted as error:
            raise self._not_started(error) from error
        except BaseException:
            _clean_up(launch)
            raise
        if ended.cause != "exited":
            _clean_up(launch)
        return ended

    def _not_started(self, error: ProgramNotStarted) -> HeadgateError:
        if error.errno == errno.E2BIG:
            return InvalidProject(
                "The command with its values is longer than the operating system takes.",
                remedy="Pass long values in a file.",
                run_id=self.run_id,
            )
        return EntryPointFailed(
            f"The entry point can't be started: {error.strerror}.",
            remedy="Check the project's folder and the environment.",
            run_id=self.run_id,
            exit_code_of_process=None,
            tail="",
        )

    def _on_stopping(self, error: BaseException | None) -> None:
        """Record a kill while the processes still have their grace: whoever sent the signal may not wait for long."""
        if self._leased is not None and (error is None or status_after(error) is RunStatus.KILLED):
            self._leased.close(error, reason=self._reason())

    def _reason(self) -> str:
        if self._limits.stop.reason is None and self._limits.timeout is not None:
            return f"it ran for longer than {self._limits.timeout:g} s"
        return self._limits.stop.reason or ""

    def _keep_output(self, info: RunInfo, output: OutputFile) -> None:
        output.close()
        if output.problem is not None:
            _log.warning("The output of run %s is not kept whole: %s", info.run_id, output.problem)
        try:
            self._store.artifacts(info.artifact_uri).put_file(output.path, OUTPUT_ARTIFACT)
        except HeadgateError as error:  # a record of the output is not worth a run that went well
            _log.warning("The output of run %s could not be kept: %s", info.run_id, error)


def _clean_up(launch: Launch) -> None:
    if not launch.clean_up:
        return
    try:
        subprocess.run(
            launch.clean_up,
            env=dict(launch.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CLEAN_UP_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("%s did not clean up: %s", " ".join(launch.clean_up), error)
