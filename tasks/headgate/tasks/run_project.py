"""Running an entry point of a project as a recorded run: the one way in for every door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.clock import now_ms
from headgate.store.entities import RunContext, RunInfo
from headgate.tasks.process import OnOutput, ProcessScope
from headgate.tasks.recorded_run import Limits, RecordedRun
from headgate.tasks.run_request import RunRequest, prepare_run
from headgate.tasks.run_result import RunResult as RunResult
from headgate.tasks.stopping import StopRequest, killed_by_signals

if TYPE_CHECKING:
    from headgate.store.store import Store


def run_project(
    project: str | Path,
    entry_point: str = "main",
    parameters: Mapping[str, Any] | None = None,
    *,
    store: Store,
    context: RunContext | None = None,
    experiment: str | None = None,
    version: str | None = None,
    env: str | None = None,
    run_name: str | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
    process_scope: ProcessScope = ProcessScope.OWN_SESSION,
    on_output: OnOutput | None = None,
    on_start: Callable[[RunInfo], None] | None = None,
    stop: StopRequest | None = None,
    handle_signals: bool = True,
    working_directory: Path | None = None,
    evaluates: bool = False,
    clock: Callable[[], int] = now_ms,
) -> RunResult:
    """Run an entry point of a project, and record it.

    What is wrong with the project, the entry point, a parameter or the environment is said before anything is written.
    The run then ends in every case: FINISHED, FAILED (the entry point or the environment's build failed), or KILLED (a
    signal, a timeout, a request, an interrupt). Its output is kept as the artifact ``logs/output.txt`` and is passed to
    ``on_output`` line by line; known secrets are masked in both. Nothing that the entry point starts is left running.

    On retry: each try of a context with a ``pipeline_run_id`` is an attempt of the same work. A new attempt fences the
    one before off; the same attempt again returns the result that it had, if it had FINISHED.

    Args:
        project: a folder, a ``.zip`` file or a git URI, with ``#subdirectory``.
        entry_point: a name from the MLproject file, or a ``.py`` or ``.sh`` file of the project.
        parameters: name → value; a secret may be given as ``pydantic.SecretStr``.
        store: where the run is recorded.
        context: which piece of an orchestrator's work this is; None is none.
        experiment: its name; made when it is missing. None is ``Default``.
        version: branch, tag or commit of a project in git.
        env: ``local``, ``virtualenv``, ``conda`` or ``docker``; None is what the project declares, or else ``local``.
        run_name: None invents one.
        parent_run_id: the run that this one is part of.
        tags: of the run, over those that are set here.
        variables: environment of the entry point, over this process's own and below what Headgate sets.
        timeout: seconds that the entry point may take; building its environment does not count.
        process_scope: whether the entry point lives in a session of its own or in the caller's process group.
        on_output: called in this thread with each line and ``stdout`` or ``stderr``.
        on_start: called in this thread once the run is open.
        stop: asks the run to stop, from another thread.
        handle_signals: end the run on SIGTERM and SIGHUP, where this is the main thread; the old handlers come back.
            A host that raises from handlers of its own says False.
        working_directory: local paths among the parameters are relative to it; None is the process's own.
        evaluates: the run measures a model: a tag says what its figures are known by.
        clock: gives epoch ms.

    Raises:
        InvalidInput: something that was given is wrong; nothing was written (InvalidProject names the place).
        EnvironmentUnavailable: a program that the environment needs is missing; nothing was written.
        ProjectUnavailable, StoreUnavailable, ArtifactStoreUnavailable: no answer; a retry may help.
        EnvironmentBuildFailed: a retry may help.
        EntryPointFailed: with ``run_id``, ``exit_code_of_process`` (None if it was never learnt) and ``tail``.
        EntryPointTimedOut: after ``timeout`` seconds.
        RunKilled: by a signal, a request or a lost lease.
        RunNotActive: a newer attempt exists, or this one has ended without success.
        BaseException: what else is raised in this thread (KeyboardInterrupt, a host's timeout, an error of
            ``on_output``), once the processes have ended and the end is recorded.
    """
    stop = stop or StopRequest()
    recorded = RecordedRun(store, Limits(stop, timeout, process_scope), clock=clock, on_output=on_output)
    with killed_by_signals(
        stop,
        f"Entry point {entry_point!r} of {project}",
        handle_signals=handle_signals,
        facts=lambda: {"run_id": recorded.run_id},
    ):
        request = prepare_run(
            project,
            entry_point,
            parameters,
            home=store.settings.home.expanduser().absolute(),
            version=version,
            env=env,
            run_name=run_name,
            tags=tags,
            variables=variables,
            context=context,
            working_directory=working_directory,
            evaluates=evaluates,
        )
        return recorded.run(request, experiment=experiment, parent_run_id=parent_run_id, on_start=on_start)


def run_prepared(
    request: RunRequest,
    *,
    store: Store,
    experiment: str | None = None,
    timeout: float | None = None,
    on_output: OnOutput | None = None,
    on_start: Callable[[RunInfo], None] | None = None,
) -> RunResult:
    """Run what :func:`headgate.tasks.run_request.prepare_run` found fit to run, and record it.

    For who must know that before a store is opened. Arguments, what is raised and what a retry does are those of
    :func:`run_project`.
    """
    stop = StopRequest()
    recorded = RecordedRun(store, Limits(stop, timeout, ProcessScope.OWN_SESSION), on_output=on_output)
    with killed_by_signals(
        stop,
        f"Entry point {request.entry_point.name!r} of {request.source.name}",
        facts=lambda: {"run_id": recorded.run_id},
    ):
        return recorded.run(request, experiment=experiment, on_start=on_start)
