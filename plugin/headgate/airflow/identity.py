"""Which piece of Airflow's work a run stands for, and the run of the DAG run that all its runs are part of.

The key of a run is (DAG, DAG run, task, map index); each try is an attempt of it. ``ti.id`` is no part of the key: it
is another one for every try. It tells apart two tries with the same number, of a DAG run that was deleted and made
again, and which of them is the later one (it is a UUID of version 7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.entities import RunContext
    from headgate.store.store import Store

ORIGIN = "airflow"
TASK_INSTANCE_TAG = "airflow.task_instance"
TRY_NUMBER_TAG = "airflow.try_number"
RUN_TYPE_TAG = "airflow.run_type"
BUNDLE_TAG = "airflow.bundle"
BUNDLE_VERSION_TAG = "airflow.bundle.version"
COMMIT_TAG = "mlflow.source.git.commit"

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What to open the run of a task with.

    Args:
        context: its key, with the attempt that this try is.
        experiment: its name.
        name: the task's id, with the label or the index of a mapped one.
        parent_run_id: the run of the DAG run.
        tags: which try of which task instance it is, and the version of the DAG's code.
    """

    context: RunContext
    experiment: str
    name: str
    parent_run_id: str
    tags: Mapping[str, str]


def task_run(store: Store, context: Context, experiment: str | None = None) -> TaskRun:
    """Return what to open the run of a task with; the run of its DAG run is open then. May run twice.

    Args:
        experiment: its name; None is the DAG's id.

    Raises:
        RunNotActive: a later try has a run already, or somebody deleted the run of the DAG run.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    work = run_context(context)
    return TaskRun(
        context=replace(work, attempt=_attempt(store, context, work)),
        experiment=experiment_of(context, experiment),
        name=_name(context),
        parent_run_id=open_parent_run(store, context, experiment),
        tags=_task_tags(context),
    )


def run_context(context: Context) -> RunContext:
    """Return the context of a task's run: its key, its try and what it stands for in time.

    A DAG run that was triggered by an asset, or by hand without a date, has no logical date: then it stands for the
    moment after which it was to run.
    """
    from headgate.store.clock import epoch_ms
    from headgate.store.entities import RunContext

    instance, dag_run = context["ti"], context["dag_run"]
    map_index = instance.map_index
    return RunContext(
        origin=ORIGIN,
        pipeline=instance.dag_id,
        pipeline_run_id=instance.run_id,
        task=instance.task_id,
        map_index=-1 if map_index is None else map_index,
        attempt=instance.try_number,
        logical_date=epoch_ms(dag_run.logical_date or dag_run.run_after),
        data_interval_start=epoch_ms(dag_run.data_interval_start),
        data_interval_end=epoch_ms(dag_run.data_interval_end),
    )


def parent_context(context: RunContext) -> RunContext:
    """Return the context of the DAG run that a task's run is part of."""
    return replace(context, task=None, map_index=-1, attempt=1)


def experiment_of(context: Context, said: str | None) -> str:
    """Return the name of the experiment that a task's run goes to: what the operator was told, or else the DAG's id."""
    return said or context["ti"].dag_id


def actor_of(context: Context) -> str:
    """Return who acts, for the record: the DAG, and who triggered it where Airflow knows."""
    user = getattr(context["dag_run"], "triggering_user_name", None)
    return f"{ORIGIN}:{context['ti'].dag_id}" + (f" ({user})" if user else "")


def open_parent_run(store: Store, context: Context, experiment: str | None = None) -> str:
    """Return the id of the run of this DAG run, made by whichever of its tasks comes first.

    It stays RUNNING until the DAG run ends; a DAG run whose tasks were cleared opens it again. May run twice and in
    many tasks at once.

    Args:
        experiment: its name, when the run has to be made; None is the DAG's id.

    Raises:
        StoreUnavailable: the store did not answer; a retry may help.
        RunNotActive: somebody deleted the run.
    """
    from headgate.store.entities import RunStatus

    work = parent_context(run_context(context))
    run = store.runs.find_by_context(work)
    if run is None:
        found = store.experiments.get_or_create(experiment_of(context, experiment))
        run = store.runs.open(
            found.experiment_id, context=work, name=work.pipeline, tags=_parent_tags(context), user_id=actor_of(context)
        )
    if run.info.status.terminated:
        store.runs.update(run.info.run_id, status=RunStatus.RUNNING)
    return run.info.run_id


def _attempt(store: Store, context: Context, work: RunContext) -> int:
    from headgate.store.errors import RunNotActive

    assert work.attempt is not None
    newest = store.runs.find_by_context(work)
    if newest is None or newest.info.context.attempt is None:
        return work.attempt
    ours, theirs = str(context["ti"].id), newest.tags.get(TASK_INSTANCE_TAG, "")
    if theirs == ours:
        return newest.info.context.attempt
    if theirs > ours:
        raise RunNotActive(
            f"Try {work.attempt} of task {work.task!r} comes too late: a later try has run {newest.info.run_id}.",
            remedy="Stop this one; the later one does the work.",
            run_id=newest.info.run_id,
        )
    return max(work.attempt, newest.info.context.attempt + 1)


def _name(context: Context) -> str:
    instance = context["ti"]
    if instance.map_index is None or instance.map_index < 0:
        return instance.task_id
    return f"{instance.task_id}[{getattr(instance, 'rendered_map_index', None) or instance.map_index}]"


def _parent_tags(context: Context) -> dict[str, str]:
    run_type = context["dag_run"].run_type
    return {RUN_TYPE_TAG: str(getattr(run_type, "value", run_type)), **_bundle_tags(context)}


def _task_tags(context: Context) -> dict[str, str]:
    instance = context["ti"]
    return {
        TASK_INSTANCE_TAG: str(instance.id),
        TRY_NUMBER_TAG: str(instance.try_number),
        **_bundle_tags(context),
    }


def _bundle_tags(context: Context) -> dict[str, str]:
    """Return where the DAG's code came from; a bundle that keeps no versions has none, ``dag.test()`` no bundle."""
    bundle: Any = getattr(context["ti"], "bundle_instance", None)
    said = {BUNDLE_TAG: getattr(bundle, "name", None), BUNDLE_VERSION_TAG: bundle_version(context)}
    return {key: value for key, value in said.items() if value}


def bundle_version(context: Context) -> str | None:
    """Return the version of the DAG's code: of a git bundle, the commit that this task was checked out at."""
    bundle: Any = getattr(context["ti"], "bundle_instance", None)
    return getattr(bundle, "version", None)


def commit_tags(context: Context, code: str | Path | None = None) -> dict[str, str]:
    """Return the commit of the DAG's code as a tag for a run: a git bundle's checkout has no ``.git`` to ask.

    Args:
        code: where the code of the run is, a path or a URI. What is elsewhere than in the checkout has no commit here.
            None is the DAG's file.
    """
    from headgate.tasks.beside import is_uri

    bundle: Any = getattr(context["ti"], "bundle_instance", None)
    version = bundle_version(context)
    if version is None or not _COMMIT.fullmatch(version):
        return {}
    if code is not None and (is_uri(code) or not _is_in_checkout(Path(code), bundle)):
        return {}
    return {COMMIT_TAG: version}


def _is_in_checkout(code: Path, bundle: Any) -> bool:
    """Say whether code is in a bundle; of a git bundle, anywhere in the repository."""
    return code.resolve().is_relative_to(Path(getattr(bundle, "repo_path", bundle.path)).resolve())
