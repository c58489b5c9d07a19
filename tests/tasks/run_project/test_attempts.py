from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import EntryPointFailed, RunNotActive
from headgate.store.store import Store
from headgate.tasks.run_project import run_project
from tests.tasks.run_project.conftest import MakeProject, all_runs

WORK = RunContext(origin="airflow", pipeline="dag", pipeline_run_id="run-1", task="train", logical_date=1_000)


def test_a_second_attempt_is_another_run_of_the_same_work(store: Store, project: MakeProject) -> None:
    directory = project('main: {parameters: {a: int}, command: "[ {a} = 2 ]"}')
    with pytest.raises(EntryPointFailed) as caught:
        run_project(directory, parameters={"a": 1}, store=store, context=replace(WORK, attempt=1))
    result = run_project(directory, parameters={"a": 2}, store=store, context=replace(WORK, attempt=2))
    first, second = store.runs.attempts(WORK)
    assert (first.run_id, second.run_id) == (caught.value.run_id, result.run_id)
    assert (first.status, second.status) == (RunStatus.FAILED, RunStatus.FINISHED)
    assert (first.superseded_by, second.previous_attempt_id) == (second.run_id, first.run_id)
    assert second.context == replace(WORK, attempt=2)
    newest = store.runs.search(["0"], newest_attempts_only=True).items
    assert [run.info.run_id for run in newest] == [second.run_id]


def test_the_next_attempt_is_counted(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "true"}')
    for _ in range(3):
        run_project(directory, store=store, context=WORK)
    assert [info.context.attempt for info in store.runs.attempts(WORK)] == [1, 2, 3]


def test_the_same_attempt_again_returns_what_it_had(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "echo x >> times"}')
    context = replace(WORK, attempt=1)
    first = run_project(directory, store=store, context=context)
    assert run_project(directory, store=store, context=context) == first
    assert (directory / "times").read_text() == "x\n"
    assert len(all_runs(store)) == 1


def test_the_same_attempt_again_after_a_failure(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "exit 1"}')
    context = replace(WORK, attempt=1)
    with pytest.raises(EntryPointFailed) as failed:
        run_project(directory, store=store, context=context)
    with pytest.raises(RunNotActive, match="Attempt 1 of this work has ended") as caught:
        run_project(directory, store=store, context=context)
    assert caught.value.run_id == failed.value.run_id
    assert not caught.value.retryable


def test_an_attempt_that_comes_too_late(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "touch started"}')
    store.runs.open("0", context=replace(WORK, attempt=2))
    with pytest.raises(RunNotActive, match="comes too late"):
        run_project(directory, store=store, context=replace(WORK, attempt=1))
    assert not (directory / "started").exists()


def test_mapped_tasks_are_different_work(store: Store, project: MakeProject) -> None:
    directory = project('main: {command: "true"}')
    for index in range(2):
        run_project(directory, store=store, context=replace(WORK, map_index=index, attempt=1))
    assert len(all_runs(store)) == 2
    assert all(run.info.superseded_by is None for run in all_runs(store))
