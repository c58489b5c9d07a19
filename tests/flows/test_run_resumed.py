"""Pipeline runs that begin again: what is taken as it is, what runs anew, and what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.flows import Pipeline, Step, run_pipeline
from headgate.flows.events import Event, PipelineStarted
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import InvalidPipeline, RunNotActive
from headgate.store.store import Store
from tests.flows.conftest import WriteFiles
from tests.flows.run_cases import FLAKY, statuses


def resumable(folder: Path, **parameters: Any) -> Pipeline:
    a = Step("a", entry_point="count.sh", parameters={"name": "a"})
    return Pipeline(
        "p",
        steps=[
            a,
            Step("b", entry_point="flaky.sh", parameters={"from": a.run_id, **parameters}),
            Step("c", entry_point="count.sh", needs=["b"]),
            Step("d", entry_point="count.sh", needs=["a"]),
        ],
        parameters={"window": 24},
        folder=folder,
    )


def test_a_pipeline_run_is_resumed_where_it_broke_off(store: Store, write_files: WriteFiles) -> None:
    folder = write_files({**FLAKY, "count.sh": "echo ran >> ran\n"})
    first = run_pipeline(resumable(folder), store=store, pipeline_run_id="r", logical_date=5_000)
    assert statuses(first) == {"a": "FINISHED", "b": "FAILED", "d": "FINISHED", "c": "UPSTREAM_FAILED"}
    events: list[Event] = []
    second = run_pipeline(resumable(folder), store=store, pipeline_run_id="r", on_event=events.append)
    assert statuses(second) == statuses(first)
    assert (second.run_id, second.experiment_id) == (first.run_id, first.experiment_id)
    third = run_pipeline(resumable(folder), store=store, pipeline_run_id="r")
    assert third.raise_for_status().run_id == first.run_id

    assert isinstance(events[0], PipelineStarted)
    assert events[0].resumed
    assert [step.name for step in second.steps.values() if step.reused] == ["a", "d"]
    assert second.steps["a"].runs[0].run_id == first.steps["a"].runs[0].run_id
    assert (folder / "ran").read_text().count("ran") == 3
    context = RunContext(pipeline="p", pipeline_run_id="r", task="b")
    assert [run.status.value for run in store.runs.attempts(context)] == ["FAILED", "FAILED", "FINISHED"]
    parent = store.runs.get_info(first.run_id)
    assert (parent.status, parent.context.logical_date) == (RunStatus.FINISHED, 5_000)
    assert store.runs.attempts(RunContext(pipeline="p", pipeline_run_id="r")) == (parent,)

    again = run_pipeline(resumable(folder), store=store, pipeline_run_id="r")
    assert all(step.reused for step in again.steps.values())
    edited = run_pipeline(resumable(folder, more="x"), store=store, pipeline_run_id="r")
    assert {name: step.reused for name, step in edited.steps.items()} == {"a": True, "b": False, "d": True, "c": False}


def test_what_a_step_ran_decides_whether_it_is_taken_as_it_is(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(dict.fromkeys(("count.sh", "other.sh", "elsewhere/count.sh"), "exit 0\n"))

    def run(**step: Any) -> bool:
        said = {"entry_point": "count.sh", "parameters": {"name": "a", "more": 1}, **step}
        pipeline = Pipeline("p", steps=[Step("a", **said)], folder=folder)
        return run_pipeline(pipeline, store=store, pipeline_run_id="r").raise_for_status().steps["a"].reused

    assert not run()
    assert run()
    for edited in ({"parameters": {"name": "a"}}, {"entry_point": "other.sh"}, {"project": "elsewhere"}):
        assert not run(**edited)
        assert run(**edited)


def test_a_step_of_another_commit_is_run_again(store: Store, write_files: WriteFiles) -> None:
    folder = write_files({"project/count.sh": "exit 0\n"})

    def git(*words: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", str(folder / "project"), *who, *words], check=True, capture_output=True)

    def run(version: str) -> bool:
        pipeline = Pipeline("p", steps=[Step("a", entry_point="count.sh")], folder=folder, project="project")
        pipeline = replace(pipeline, version=version)
        return run_pipeline(pipeline, store=store, pipeline_run_id="r").raise_for_status().steps["a"].reused

    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "first")
    assert [run("main"), run("main")] == [False, True]
    git("commit", "-m", "second", "--allow-empty")
    assert [run("main"), run("main")] == [False, True]


def test_a_pipeline_run_is_resumed_as_it_was_started_or_not_at_all(store: Store, write_files: WriteFiles) -> None:
    folder = write_files({**FLAKY, "count.sh": "exit 0\n"})
    run_pipeline(resumable(folder), store=store, pipeline_run_id="r", logical_date=5_000)
    with pytest.raises(InvalidPipeline, match="was started with window='24', not '12'"):
        run_pipeline(resumable(folder), store=store, pipeline_run_id="r", parameters={"window": 12})
    with pytest.raises(InvalidPipeline, match=r"logical date 1970-01-01T00:00:05\+00:00, not"):
        run_pipeline(resumable(folder), store=store, pipeline_run_id="r", logical_date=6_000)


def test_two_processes_do_not_run_one_pipeline_run(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(FLAKY)
    pipeline = Pipeline("p", steps=[Step("a", entry_point="ok.sh")], folder=folder)
    context = RunContext(pipeline="p", pipeline_run_id="r", attempt=1, logical_date=1)

    def running_elsewhere(host: str, pid: int) -> None:
        opened = store.runs.open("0", context=context, lease_owner="other", host=host, pid=pid, lease_seconds=3600)
        store.runs.update(opened.info.run_id, status=RunStatus.RUNNING)
        store.runs.open("0", context=context, lease_owner="other", host=host, pid=pid, lease_seconds=3600)

    running_elsewhere("far.example", 1)
    with pytest.raises(RunNotActive, match=r"is running on far\.example, process 1"):
        run_pipeline(pipeline, store=store, pipeline_run_id="r")
    running_elsewhere(socket.gethostname(), os.getpid())
    with pytest.raises(RunNotActive, match="is running on"):
        run_pipeline(pipeline, store=store, pipeline_run_id="r")
    running_elsewhere(socket.gethostname(), 2**22 + 1)  # no process has this id
    assert run_pipeline(pipeline, store=store, pipeline_run_id="r").status is RunStatus.FINISHED
