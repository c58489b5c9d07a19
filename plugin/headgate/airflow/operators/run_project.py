"""``RunProjectOperator``: an entry point of a project, as a recorded run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headgate.airflow.links import RunLink
from headgate.airflow.operators.base import HeadgateOperator
from headgate.airflow.places import beside_dag

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.entities import RunInfo
    from headgate.store.store import Store
    from headgate.tasks.evaluate import RunOptions


class RunProjectOperator(HeadgateOperator):
    """Run an entry point of a project, and record it as a run below the run of its DAG run.

    Returns a reference to the run: its id, status, metrics, the ids of the models that it made, and where its artifacts
    are. What the entry point prints is in the task's log line by line. Each try is an attempt of the same work: the one
    before is closed, and nothing is recorded twice. A try that is killed, by whatever, leaves no process behind.

    Args:
        project: a folder, a ``.zip`` file or a git URI, with ``#subdirectory``. A relative path starts at the folder of
            the DAG's file.
        entry_point: a name from the MLproject file, or a ``.py`` or ``.sh`` file of the project.
        parameters: name → value. Paths among them are relative to the folder of the DAG's file, too.
        experiment: its name; made when it is missing. None is the DAG's id.
        version: branch, tag or commit of a project in git.
        env: ``local``, ``virtualenv``, ``conda`` or ``docker``; None is what the project declares, or else ``local``.
        env_vars: environment variables of the entry point, over the worker's.
        run_name: None is the task's id, with the label of a mapped one.
        tags: of the run.
    """

    template_fields: Sequence[str] = (
        *HeadgateOperator.template_fields,
        *("project", "entry_point", "parameters", "experiment", "version", "env", "env_vars", "run_name", "tags"),
    )
    operator_extra_links = (RunLink(),)
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json", "env_vars": "json", "tags": "json"}

    def __init__(
        self,
        *,
        project: str | Path,
        entry_point: str = "main",
        parameters: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        version: str | None = None,
        env: str | None = None,
        env_vars: Mapping[str, str] | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.entry_point = entry_point
        self.parameters = parameters
        self.experiment = experiment
        self.version = version
        self.env = env
        self.env_vars = env_vars
        self.run_name = run_name
        self.tags = tags

    def work(self, context: Context) -> dict[str, Any]:
        """Run the entry point; returns :func:`headgate.airflow.references.run_reference`."""
        from headgate.airflow.references import run_reference
        from headgate.tasks.run_project import run_project

        with self.open_store() as store:
            project = beside_dag(context, self.project)
            result = run_project(
                project, self.entry_point, self.parameters, store=store, **self.run_options(context, store)
            )
            return run_reference(result, store.runs.get_info(result.run_id).experiment_id)

    def run_options(self, context: Context, store: Store) -> RunOptions:
        """Return how the run is made, as :func:`headgate.tasks.run_project` takes it; the DAG run's is open then."""
        from headgate.airflow.identity import task_run
        from headgate.airflow.versions import process_scope

        task = task_run(store, context, self.experiment)
        return {
            "context": task.context,
            "experiment": task.experiment,
            "version": self.version,
            "env": self.env,
            "run_name": self.run_name or task.name,
            "parent_run_id": task.parent_run_id,
            "tags": {**self._code_tags(context), **task.tags, **(self.tags or {})},
            "variables": {"AIRFLOW_CTX_MAP_INDEX": str(task.context.map_index), **(self.env_vars or {})},
            "process_scope": process_scope(),
            "on_output": lambda line, _: self.log.info("%s", line),
            "on_start": self._tell_run,
            "stop": self.stop,
            "handle_signals": False,
            "working_directory": Path(context["dag"].folder),
        }

    def _tell_run(self, run: RunInfo) -> None:
        self.log.info("Run %s (%s) in experiment %s", run.run_id, run.name, run.experiment_id)

    def _code_tags(self, context: Context) -> dict[str, str]:
        """Return the commit of a project that is in the bundle of the DAG, as it is checked out there."""
        from headgate.airflow.identity import commit_tags

        return {} if self.version is not None else commit_tags(context, beside_dag(context, self.project))
