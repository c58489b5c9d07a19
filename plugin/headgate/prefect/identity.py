"""Which piece of Prefect's work a run stands for, and the run of the flow run that all its runs are part of.

The key of a run is (flow, flow run, task, number of the call). Prefect gives each call of a task an id of its own, and
a new one when the flow run runs again: after a suspension, a retry of the flow, a crash. So calls are counted here, per
*life* of the flow run; in a later life a call takes the number of the earlier one that asked for the same, whatever the
order in which threads come by, and what that one finished is not done again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from headgate.store.entities import Run, RunContext
    from headgate.store.store import Store

ORIGIN = "prefect"
FLOW_RUN_TAG = "prefect.flow_run"
FLOW_RUN_NAME_TAG = "prefect.flow_run.name"
DEPLOYMENT_TAG = "prefect.deployment"
TASK_RUN_TAG = "prefect.task_run"
REQUEST_TAG = "headgate.request"
"""Digest of what a task was asked for: by it a later life of the flow run finds what was done already."""

# Calls that are made in a process without the flow can't be counted there: their numbers are drawn, above all counts.
_DRAWN_FROM, _DRAWN = 1 << 30, 1 << 29
_MOST_FLOW_RUNS = 256


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What to open the run of a task with.

    Args:
        context: its key; with an attempt where that one is to be taken as it is.
        experiment: its name.
        name: of the run: the task run's.
        parent_run_id: the run of the flow run; None where the task was called outside of any flow.
        tags: which task run of which flow run it is.
    """

    context: RunContext
    experiment: str
    name: str
    parent_run_id: str | None
    tags: Mapping[str, str]


@dataclass(slots=True)
class _Life:
    """What is known in this process of one life of a flow run.

    Args:
        parents: store's URL → the run of the flow run.
        numbers: task run's id → (task, number, attempt to take as it is).
    """

    parents: dict[str, Run] = field(default_factory=dict)
    numbers: dict[str, tuple[str, int, int | None]] = field(default_factory=dict)


_lock = threading.RLock()
_lives: dict[tuple[str, int], _Life] = {}


def task_run(store: Store, experiment: str | None = None, *, request: Mapping[str, Any] | None = None) -> TaskRun:
    """Return what to open the run of this task run with; the run of its flow run is open then. May run twice.

    Args:
        experiment: its name; None is the flow's name.
        request: what the task is asked for. In a later life of the flow run, what was finished for the same request is
            its result again; None is asked for anew.

    Raises:
        RunNotActive: somebody deleted the run of the flow run.
        StoreUnavailable: the store did not answer; a retry may help.
    """
    from prefect import runtime

    from headgate.store.entities import RunContext

    task, task_run_id = str(runtime.task_run.task_name or "task"), str(runtime.task_run.id or "")
    digest = None if request is None else _digest(request)
    parent = _parent_run(store, experiment)
    if parent is None:
        context = RunContext(ORIGIN, pipeline=task, pipeline_run_id=task_run_id or None, task=task)
    else:
        number, attempt = _call(store, parent, task, task_run_id, digest)
        context = replace(parent.info.context, task=task, map_index=number or -1, attempt=attempt)
    return TaskRun(
        context=context,
        experiment=experiment_of(experiment),
        name=str(runtime.task_run.name or task),
        parent_run_id=None if parent is None else parent.info.run_id,
        tags={**task_tags(), **({} if digest is None else {REQUEST_TAG: digest})},
    )


def flow_context() -> RunContext:
    """Return the context of the flow run: its flow, its id and the time that it was scheduled for."""
    from prefect import runtime

    from headgate.store.clock import epoch_ms
    from headgate.store.entities import RunContext

    return RunContext(
        origin=ORIGIN,
        pipeline=runtime.flow_run.flow_name,
        pipeline_run_id=None if runtime.flow_run.id is None else str(runtime.flow_run.id),
        logical_date=epoch_ms(runtime.flow_run.scheduled_start_time),
    )


def experiment_of(said: str | None) -> str:
    """Return the name of the experiment that a task's run goes to: what the task was told, or else the flow's name."""
    from prefect import runtime

    return said or runtime.flow_run.flow_name or runtime.task_run.task_name or "Default"


def actor() -> str:
    """Return who acts, for the record: the flow."""
    from prefect import runtime

    return f"{ORIGIN}:{runtime.flow_run.flow_name or runtime.task_run.task_name or 'task'}"


def reason(said: str | None = None) -> str:
    """Return why something is promoted, for the record: what the task was told, or else the flow run."""
    from prefect import runtime

    return said or f"Prefect flow run {runtime.flow_run.name or runtime.task_run.name or ''}".strip()


def open_parent_run(store: Store, experiment: str | None = None) -> str | None:
    """Return the id of the run of this flow run, made by whichever of its tasks comes first; None outside of a flow.

    It stays RUNNING until the flow run ends; a flow run that runs again opens it again. May run twice and in many
    tasks at once.

    Args:
        experiment: its name, when the run has to be made; None is the flow's name.

    Raises:
        StoreUnavailable: the store did not answer; a retry may help.
        RunNotActive: somebody deleted the run.
    """
    parent = _parent_run(store, experiment)
    return None if parent is None else parent.info.run_id


def _parent_run(store: Store, experiment: str | None) -> Run | None:
    from prefect import runtime

    from headgate.prefect.hooks import see_to_the_end
    from headgate.store.entities import RunStatus

    if runtime.flow_run.id is None:
        return None
    with _lock:  # one of the tasks that start at once makes it
        life = _life()
        known = life.parents.get(store.url)
        if known is not None:
            return known
        work = replace(flow_context(), attempt=1)
        run = store.runs.find_by_context(work)
        if run is None:
            found = store.experiments.get_or_create(experiment_of(experiment))
            run = store.runs.open(
                found.experiment_id,
                context=work,
                name=runtime.flow_run.name,
                tags=flow_tags(),
                user_id=actor(),
                parent_run_id=run_above(store),
            )
        if run.info.status.terminated:
            store.runs.update(run.info.run_id, status=RunStatus.RUNNING)
        life.parents[store.url] = run
        see_to_the_end(store, work)
        return run


def run_above(store: Store) -> str | None:
    """Return the run of the flow run that called this one as a subflow; None where there is none, or it has no run."""
    from prefect import runtime
    from prefect.client.orchestration import get_client

    from headgate.store.entities import RunContext

    above = runtime.flow_run.parent_flow_run_id
    if above is None:
        return None
    with get_client(sync_client=True) as client:
        name = client.read_flow(client.read_flow_run(UUID(str(above))).flow_id).name
    run = store.runs.find_by_context(RunContext(ORIGIN, name, str(above)))
    return None if run is None else run.info.run_id


def _life() -> _Life:
    from prefect import runtime

    key = str(runtime.flow_run.id), int(runtime.flow_run.run_count or 0)
    while len(_lives) >= _MOST_FLOW_RUNS and key not in _lives:
        _lives.pop(next(iter(_lives)))
    return _lives.setdefault(key, _Life())


def _call(store: Store, parent: Run, task: str, task_run_id: str, digest: str | None) -> tuple[int, int | None]:
    """Return the number of this call of a task, and the attempt that it is to take as it is, if there is one.

    Each try of a task run has the same number, and no attempt: it is the next one.
    """
    from prefect import runtime
    from prefect.context import FlowRunContext

    flow = FlowRunContext.get()
    with _lock:
        life = _life()
        if task_run_id in life.numbers:
            return life.numbers[task_run_id][1], life.numbers[task_run_id][2]
        taken = {number for name, number, _ in life.numbers.values() if name == task}
        earlier = _earlier_calls(store, parent, task, taken) if int(runtime.flow_run.run_count or 0) > 1 else {}
        number, attempt = _matching(earlier, digest)
        if number is None and (flow is None or flow.detached):
            number = _DRAWN_FROM + int(hashlib.sha256(task_run_id.encode()).hexdigest(), 16) % _DRAWN
        if number is None:
            number = max([-1, *taken, *(known for known in earlier if known < _DRAWN_FROM)]) + 1
        life.numbers[task_run_id] = task, number, attempt
        return number, attempt


def _earlier_calls(store: Store, parent: Run, task: str, taken: set[int]) -> dict[int, Run]:
    """Return the newest attempts of calls that earlier lives of the flow run made, and this one has not taken up."""
    found = [info for info in store.runs.children(parent.info.run_id) if info.context.task == task]
    runs = store.runs.get_many([info.run_id for info in found])
    numbered = {max(0, run.info.context.map_index): run for run in runs}
    return {number: numbered[number] for number in sorted(numbered) if number not in taken}


def _matching(earlier: Mapping[int, Run], digest: str | None) -> tuple[int | None, int | None]:
    """Return the earlier call that asked for the same, with its attempt where that went well; else one that did not."""
    from headgate.store.entities import RunStatus

    for number, run in earlier.items():
        if digest is not None and run.tags.get(REQUEST_TAG) == digest:
            finished = run.info.status is RunStatus.FINISHED
            return number, run.info.context.attempt if finished else None
    for number, run in earlier.items():
        if run.info.status is not RunStatus.FINISHED or digest is None:
            return number, None
    return None, None


def _digest(request: Mapping[str, Any]) -> str:
    """Return what tells a request from others. Secrets count by their length only: a digest could be guessed at."""
    from headgate.tasks.projects.secrets import is_secret_name, is_secret_type

    def shown(name: str, value: Any) -> Any:
        if is_secret_type(value) or (is_secret_name(name) and isinstance(value, str)):
            return f"*{len(str(getattr(value, 'get_secret_value', lambda: value)()))}"
        if isinstance(value, Mapping):
            return {str(key): shown(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [shown(name, item) for item in value]
        return value

    text = json.dumps(shown("", request), sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def flow_tags() -> dict[str, str]:
    """Return the tags of the run of a flow run: which it is, by id and by name, and of which deployment."""
    from prefect import runtime

    said = {
        FLOW_RUN_TAG: runtime.flow_run.id,
        FLOW_RUN_NAME_TAG: runtime.flow_run.name,
        DEPLOYMENT_TAG: runtime.deployment.id,
    }
    return {key: str(value) for key, value in said.items() if value}


def task_tags() -> dict[str, str]:
    """Return the tags of the run of a task run: which it is, and of which flow run."""
    from prefect import runtime

    said = {FLOW_RUN_TAG: runtime.flow_run.id, TASK_RUN_TAG: runtime.task_run.id}
    return {key: str(value) for key, value in said.items() if value}
