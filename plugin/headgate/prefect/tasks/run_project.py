"""``run_project``: an entry point of a project, as a recorded run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger

from headgate.prefect.tasks.base import headgate_task
from headgate.tasks.run_result import RunResult

if TYPE_CHECKING:
    from headgate.store.store import Store
    from headgate.tasks.evaluate import RunOptions
    from headgate.tasks.stopping import StopRequest


@headgate_task(task_run_name="{entry_point}")
def run_project(
    project: str | Path,
    entry_point: str = "main",
    parameters: Mapping[str, Any] | None = None,
    *,
    experiment: str | None = None,
    version: str | None = None,
    env: str | None = None,
    env_vars: Mapping[str, str] | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | None = None,
) -> RunResult:
    """Run an entry point of a project, and record it as a run below the run of its flow run.

    What the entry point prints is in the task run's log line by line. Each try is an attempt of the same work: the one
    before is closed, and nothing is recorded twice. A task run that is ended, by whatever, leaves no process behind.

    Args:
        project: a folder, a ``.zip`` file or a git URI, with ``#subdirectory``. A relative path starts at the folder of
            the flow's file.
        entry_point: a name from the MLproject file, or a ``.py`` or ``.sh`` file of the project.
        parameters: name → value. Paths among them are relative to the folder of the flow's file, too.
        experiment: its name; made when it is missing. None is the flow's name.
        version: branch, tag or commit of a project in git.
        env: ``local``, ``virtualenv``, ``conda`` or ``docker``; None is what the project declares, or else ``local``.
        env_vars: environment variables of the entry point, over the process's.
        run_name: None is the task run's name.
        tags: of the run.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Raises:
        HeadgateError: as :func:`headgate.tasks.run_project`; no retry is spent on a Terminal one.
    """
    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.run import publish_run
    from headgate.prefect.places import beside_flow
    from headgate.prefect.processes import at_work
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.run_project import run_project as run

    with open_store_of(store) as opened, at_work() as stop:
        options = run_options(
            opened,
            stop,
            request={"project": project, "entry_point": entry_point, "parameters": parameters},
            experiment=experiment,
            version=version,
            env=env,
            env_vars=env_vars,
            run_name=run_name,
            tags=tags,
        )
        result = run(beside_flow(project), entry_point, parameters, store=opened, **options)
        show(lambda: publish_run(opened, result.run_id))
        return result


def run_options(
    store: Store,
    stop: StopRequest,
    *,
    request: Mapping[str, Any],
    experiment: str | None,
    version: str | None,
    env: str | None,
    env_vars: Mapping[str, str] | None,
    run_name: str | None,
    tags: Mapping[str, str] | None,
) -> RunOptions:
    """Return how the run is made, as :func:`headgate.tasks.run_project` takes it; the flow run's is open then.

    Args:
        request: what else tells this call from others; how the entry point runs is part of it in any case.
    """
    from headgate.prefect.identity import task_run
    from headgate.prefect.places import flow_folder

    how = {"experiment": experiment, "version": version, "env": env, "env_vars": env_vars}
    task, log = task_run(store, experiment, request={**request, **how}), get_run_logger()
    return {
        "context": task.context,
        "experiment": task.experiment,
        "version": version,
        "env": env,
        "run_name": run_name or task.name,
        "parent_run_id": task.parent_run_id,
        "tags": {**task.tags, **(tags or {})},
        "variables": env_vars,
        "on_output": lambda line, _: log.info("%s", line),
        "on_start": lambda run: log.info("Run %s (%s) in experiment %s", run.run_id, run.name, run.experiment_id),
        "stop": stop,
        "handle_signals": False,
        "working_directory": flow_folder(),
    }
