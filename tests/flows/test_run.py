"""Running pipelines of small scripts: order, values, failures, retries; all of it recorded."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from headgate.flows import Pipeline, Step, run_pipeline
from headgate.flows.events import (
    Event,
    PipelineEnded,
    PipelineStarted,
    StepEnded,
    StepOutput,
    StepRunEnded,
    StepStarted,
)
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import EntryPointFailed, EntryPointTimedOut, InvalidInput, InvalidPipeline, RunKilled
from headgate.store.store import Store
from headgate.tasks.stopping import StopRequest
from tests.flows.conftest import WriteFiles
from tests.flows.run_cases import FLAKY, statuses

# Waits for a file that another script makes, for up to 60 s.
WAIT = 'for i in $(seq 600); do [ -e "$1" ] && exit 0; sleep 0.1; done; echo "no $1"; exit 1\n'


def test_values_reach_the_steps_and_everything_is_recorded(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(
        {
            "MLproject": """\
                name: letters
                entry_points:
                  first: {parameters: {window: int}, command: "echo window {window}"}
                  second:
                    parameters: {data: path, text: string}
                    command: "cat {data} && echo {text}"
                """,
            "pipeline.yaml": """\
                name: letters
                experiment: alphabet
                parameters: {window: 24, name: "O'Neill"}
                steps:
                  second:
                    entry_point: second
                    parameters:
                      data: "{{ steps.first.artifacts['logs/output.txt'] }}"
                      text: >-
                        {{ params.name }}; {{ steps.first.run_id }}; {{ steps.first.params.window }};
                        {{ run.id }}; {{ run.logical_date }}; {{ run.data_interval_start }}; {{ '{{' }} $HOME
                  first: {entry_point: first, parameters: {window: "{{ params.window }}"}}
                """,
        }
    )
    events: list[Event] = []
    result = run_pipeline(
        folder,
        store=store,
        parameters={"window": "48"},
        logical_date=1795230000500,
        data_interval_start=1795143600000,
        pipeline_run_id="weekly-1",
        actor="ada",
        on_event=events.append,
    )

    assert result.raise_for_status() is result
    assert (result.status, result.error, result.failures) == (RunStatus.FINISHED, None, ())
    assert list(result.steps) == ["first", "second"]
    first, second = (step.chosen for step in result.steps.values())
    assert first is not None
    assert second is not None
    printed = [event.line for event in events if isinstance(event, StepOutput) and event.step == "second"]
    dates = "2026-11-21T03:00:00.500000+00:00; 2026-11-20T03:00:00+00:00"
    assert printed == ["window 48", f"O'Neill; {first.run_id}; 48; weekly-1; {dates}; {{{{ $HOME"]

    parent = store.runs.get(result.run_id)
    assert parent.info.status is RunStatus.FINISHED
    assert parent.info.end_time is not None
    assert parent.params == {"window": "48", "name": "O'Neill"}
    assert parent.tags["mlflow.source.name"] == str(folder / "pipeline.yaml")
    assert parent.info.user_id == "ada"
    assert parent.info.context == RunContext(
        "local", "letters", "weekly-1", None, -1, 1, 1795230000500, 1795143600000, None
    )
    assert store.experiments.get(parent.info.experiment_id).name == "alphabet"
    assert store.leases.get(result.run_id) is None
    children = store.runs.children(result.run_id, all_attempts=True)
    assert [(child.name, child.context.task, child.context.attempt) for child in children] == [
        ("first", "first", 1),
        ("second", "second", 1),
    ]
    assert all(child.context.logical_date == 1795230000500 for child in children)
    assert all(child.status is RunStatus.FINISHED for child in children)

    kinds = [type(event) for event in events if not isinstance(event, StepOutput)]
    of_a_step = [StepStarted, StepRunEnded, StepEnded]
    assert kinds == [PipelineStarted, *of_a_step, *of_a_step, PipelineEnded]
    assert events[-1] == PipelineEnded(result)


def test_independent_steps_run_side_by_side(store: Store, write_files: WriteFiles) -> None:
    folder = write_files({"left.sh": "touch left\nset right\n" + WAIT, "right.sh": "touch right\nset left\n" + WAIT})
    pipeline = Pipeline(
        "barrier", steps=[Step("left", entry_point="left.sh"), Step("right", entry_point="right.sh")], folder=folder
    )
    assert run_pipeline(pipeline, store=store, max_parallel=2).status is RunStatus.FINISHED


def test_members_of_a_sweep_run_side_by_side(store: Store, write_files: WriteFiles) -> None:
    mlproject = 'entry_points: {a: {parameters: {me: int}, command: "touch {me}; bash wait.sh {me}"}}\n'
    folder = write_files({"MLproject": mlproject, "wait.sh": "set -- $((3 - $1))\n" + WAIT})
    step = Step("a", entry_point="a", sweep={"me": [1, 2]})
    result = run_pipeline(Pipeline("barrier", steps=[step], folder=folder), store=store, max_parallel=2)
    assert statuses(result) == {"a": "FINISHED"}
    assert result.steps["a"].chosen is None
    members = store.runs.get_many([run.run_id for run in result.steps["a"].runs])
    assert [(run.info.name, run.info.context.map_index, run.params["me"]) for run in members] == [
        ("a[0]", 0, "1"),
        ("a[1]", 1, "2"),
    ]
    assert {run.info.parent_run_id for run in members} == {result.run_id}


def test_no_more_run_at_once_than_allowed(store: Store, write_files: WriteFiles) -> None:
    alone = "mkdir busy || exit 1\nsleep 0.2\nrmdir busy\n"
    folder = write_files({"alone.sh": alone})
    steps = [Step(f"s{index}", entry_point="alone.sh") for index in range(3)]
    result = run_pipeline(Pipeline("one", steps=steps, folder=folder), store=store, max_parallel=1)
    assert result.status is RunStatus.FINISHED
    with pytest.raises(InvalidInput, match="max_parallel is 0"):
        run_pipeline(Pipeline("one", steps=steps, folder=folder), store=store, max_parallel=0)


FAILING = {
    "fail.sh": "echo broken >&2\nexit 3\n",
    "ok.sh": "exit 0\n",
    "endless.sh": "touch started\nwhile true; do sleep 0.1; done\n",
    "fail_later.sh": "set started\n" + WAIT.replace("exit 0", "exit 3"),
}


def test_a_failed_step_stops_what_depends_on_it_and_nothing_else(store: Store, write_files: WriteFiles) -> None:
    steps = [
        Step("bad", entry_point="fail.sh"),
        Step("after", entry_point="ok.sh", needs=["bad"]),
        Step("later", entry_point="ok.sh", needs=["after"]),
        Step("free", entry_point="ok.sh"),
        Step("after_free", entry_point="ok.sh", needs=["free"]),
    ]
    events: list[Event] = []
    pipeline = Pipeline("p", steps=steps, folder=write_files(FAILING))
    result = run_pipeline(pipeline, store=store, on_event=events.append)
    assert statuses(result) == {
        "bad": "FAILED",
        "free": "FINISHED",
        "after": "UPSTREAM_FAILED",
        "after_free": "FINISHED",
        "later": "UPSTREAM_FAILED",
    }
    assert result.status is RunStatus.FAILED
    assert [step.name for step in result.failures] == ["bad"]
    with pytest.raises(EntryPointFailed, match="ended with code 3"):
        result.raise_for_status()
    failed = result.steps["bad"].runs[0]
    assert failed.error is result.error
    assert store.runs.get_info(failed.run_id).status is RunStatus.FAILED
    parent = store.runs.get(result.run_id)
    assert parent.info.status is RunStatus.FAILED
    assert "ended with code 3" in parent.tags["headgate.statusMessage"]
    assert len(store.runs.children(result.run_id)) == 3
    assert {event.result.name for event in events if isinstance(event, StepEnded)} == {step.name for step in steps}


def test_failing_fast_stops_what_is_running(store: Store, write_files: WriteFiles) -> None:
    steps = [Step("endless", entry_point="endless.sh"), Step("bad", entry_point="fail_later.sh")]
    pipeline = Pipeline(
        "p", steps=[*steps, Step("never", entry_point="ok.sh", needs=["endless"])], folder=write_files(FAILING)
    )
    result = run_pipeline(pipeline, store=store, fail_fast=True, max_parallel=2)
    assert statuses(result) == {"endless": "KILLED", "bad": "FAILED", "never": "UPSTREAM_FAILED"}
    assert result.status is RunStatus.FAILED
    assert store.runs.get_info(result.steps["endless"].runs[0].run_id).status is RunStatus.KILLED
    assert store.runs.get_info(result.run_id).status is RunStatus.FAILED


def test_a_step_that_takes_too_long_is_killed_and_fails_the_pipeline(store: Store, write_files: WriteFiles) -> None:
    steps = [Step("endless", entry_point="endless.sh", timeout=0.2)]
    result = run_pipeline(Pipeline("p", steps=steps, folder=write_files(FAILING)), store=store)
    assert statuses(result) == {"endless": "KILLED"}
    assert isinstance(result.error, EntryPointTimedOut)
    assert store.runs.get_info(result.run_id).status is RunStatus.FAILED


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("{{ steps.a.artifacts['train.parquet'] }}", "artifact 'train.parquet' of step 'a'.*It logged logs"),
        ("{{ steps.a.metrics.f1 }}", "metric 'f1' of step 'a'.*did not log it"),
        ("{{ steps.a.params.dept }}", "param 'dept' of step 'a'.*Did you mean 'depth'"),
        ("{{ steps.a.params.token }}", "param 'token' of step 'a' holds a secret"),
        ("{{ steps.a.model }}", "model of step 'a' is referred to, and its run .* logged no model"),
    ],
)
def test_what_a_step_did_not_log_fails_the_step_that_wants_it(
    value: str, what: str, store: Store, write_files: WriteFiles
) -> None:
    steps = [
        Step("a", entry_point="ok.sh", parameters={"depth": 3, "token": "hunter22"}),
        Step("b", entry_point="ok.sh", parameters={"x": value}),
    ]
    result = run_pipeline(Pipeline("p", steps=steps, folder=write_files(FAILING)), store=store)
    assert statuses(result) == {"a": "FINISHED", "b": "FAILED"}
    with pytest.raises(InvalidPipeline, match=what):
        result.raise_for_status()


def test_a_sweep_in_which_nothing_can_be_chosen_fails(store: Store, write_files: WriteFiles) -> None:
    step = Step("a", entry_point="ok.sh", sweep={"x": [1, 2]}, choose={"metric": "f1"})
    result = run_pipeline(Pipeline("p", steps=[step], folder=write_files(FAILING)), store=store)
    assert statuses(result) == {"a": "FAILED"}
    assert len(result.steps["a"].runs) == 2
    with pytest.raises(InvalidPipeline, match="No run of the sweep 'a' logged a finite 'f1'"):
        result.raise_for_status()


def test_what_a_retry_may_cure_is_tried_again_as_a_new_attempt(store: Store, write_files: WriteFiles) -> None:
    events: list[Event] = []
    pipeline = Pipeline("p", steps=[Step("a", entry_point="flaky.sh", retries=5)], folder=write_files(FLAKY))
    result = run_pipeline(pipeline, store=store, pipeline_run_id="r", on_event=events.append)
    assert result.status is RunStatus.FINISHED
    attempts = store.runs.attempts(RunContext(pipeline="p", pipeline_run_id="r", task="a"))
    assert [run.status for run in attempts] == [RunStatus.FAILED, RunStatus.FAILED, RunStatus.FINISHED]
    assert result.steps["a"].runs[0].run_id == attempts[-1].run_id
    assert [event.retry for event in events if isinstance(event, StepStarted)] == [0, 1, 2]
    assert [event.will_retry for event in events if isinstance(event, StepRunEnded)] == [True, True, False]


def test_retries_come_to_an_end(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(FLAKY)
    pipeline = Pipeline("p", steps=[Step("a", entry_point="flaky.sh", retries=1)], folder=folder)
    assert run_pipeline(pipeline, store=store).status is RunStatus.FAILED
    assert (folder / "tries").read_text() == "try\ntry\n"


@pytest.mark.parametrize(("retries", "status"), [(1, "FINISHED"), (0, "FAILED")])
def test_a_bucket_that_does_not_answer_costs_a_try_of_the_step_that_asks_it(
    store: Store, write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch, retries: int, status: str
) -> None:
    from headgate.flows import run as module
    from headgate.store.errors import ArtifactStoreUnavailable

    folder = write_files({"ok.sh": "exit 0\n"})
    make = Step("make", entry_point="ok.sh")
    steps = [
        make,
        Step("asks", entry_point="ok.sh", parameters={"data": make.artifact("logs/output.txt")}, retries=retries),
        Step("after", entry_point="ok.sh", needs=["asks"]),
        Step("other", entry_point="ok.sh", needs=["make"]),
    ]
    real, tries = module.artifact_value, iter([ArtifactStoreUnavailable("The bucket did not answer.")])

    def flaky(*about: Any) -> str:
        error = next(tries, None)
        if error is not None:
            raise error
        return real(*about)

    monkeypatch.setattr(module, "artifact_value", flaky)
    result = run_pipeline(Pipeline("p", steps=steps, folder=folder), store=store)
    after = "FINISHED" if status == "FINISHED" else "UPSTREAM_FAILED"
    assert statuses(result) == {"make": "FINISHED", "asks": status, "after": after, "other": "FINISHED"}
    assert store.runs.get_info(result.run_id).status.value == status


def test_what_cannot_work_is_refused_and_leaves_nothing_behind(store: Store, write_files: WriteFiles) -> None:
    pipeline = Pipeline("p", steps=[Step("a", entry_point="missing.sh")], folder=write_files(FLAKY), experiment="new")
    with pytest.raises(InvalidPipeline, match=r"no entry point|not a script"):
        run_pipeline(pipeline, store=store)
    assert store.experiments.get_by_name("new") is None


def test_secrets_reach_the_entry_point_and_no_record(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(
        {
            "MLproject": """\
                entry_points:
                  login:
                    parameters: {words: string}
                    command: "[ {words} = 'user:sword/fish-1' ] && echo in with {words}"
                """
        }
    )
    step = Step("login", entry_point="login", parameters={"words": "user:{{ params.password }}"})
    pipeline = Pipeline("p", steps=[step], parameters={"password": ""}, folder=folder)
    events: list[Event] = []
    result = run_pipeline(
        pipeline, store=store, parameters={"password": "sword/fish-1"}, on_event=events.append, pipeline_run_id="r"
    )
    assert result.status is RunStatus.FINISHED
    assert [event.line for event in events if isinstance(event, StepOutput)] == ["in with ***"]
    assert store.runs.get(result.run_id).params == {"password": "***"}
    assert result.steps["login"].runs[0].params == {"words": "***"}
    assert "sword/fish" not in repr(events)
    resumed = run_pipeline(pipeline, store=store, parameters={"password": "sword/fish-1"}, pipeline_run_id="r")
    assert resumed.steps["login"].reused


def test_a_pipeline_run_can_be_stopped_from_another_thread(store: Store, write_files: WriteFiles) -> None:
    steps = [Step("a", entry_point="endless.sh"), Step("b", entry_point="ok.sh", needs=["a"])]
    stop = StopRequest()

    def on_event(event: Event) -> None:
        if isinstance(event, StepStarted):
            threading.Thread(target=stop.request, args=("the test wants it",)).start()

    pipeline = Pipeline("p", steps=steps, folder=write_files(FAILING))
    with pytest.raises(RunKilled, match="was stopped: the test wants it") as caught:
        run_pipeline(pipeline, store=store, on_event=on_event, stop=stop)
    assert store.runs.get_info(caught.value.run_id).status is RunStatus.KILLED
    assert store.leases.get(caught.value.run_id) is None
    assert {child.status for child in store.runs.children(caught.value.run_id)} <= {RunStatus.KILLED}


class Sabotage(Exception):
    """What a callback of the test raises."""


def test_what_a_callback_raises_ends_the_run(store: Store, write_files: WriteFiles) -> None:
    pipeline = Pipeline("p", steps=[Step("a", entry_point="endless.sh")], folder=write_files(FAILING))
    run_ids: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, PipelineStarted):
            run_ids.append(event.run_id)
        if isinstance(event, StepStarted):
            raise Sabotage("no more")

    with pytest.raises(Sabotage):
        run_pipeline(pipeline, store=store, on_event=on_event)
    assert store.runs.get_info(run_ids[0]).status is RunStatus.FAILED
    assert {child.status for child in store.runs.children(run_ids[0])} <= {RunStatus.KILLED}


def test_a_pipeline_run_that_is_closed_from_outside_stops(
    store: Store, write_files: WriteFiles, tmp_path: Path
) -> None:
    from headgate.store.settings import Settings
    from headgate.store.store import open_store

    pipeline = Pipeline("p", steps=[Step("a", entry_point="endless.sh")], folder=write_files(FAILING))
    run_ids: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, PipelineStarted):
            run_ids.append(event.run_id)
        if isinstance(event, StepStarted):
            store.runs.finish(run_ids[0], RunStatus.KILLED)

    with (
        open_store(store.url, artifact_root=store.artifact_root, settings=Settings(lease_seconds=1.5)) as impatient,
        pytest.raises(RunKilled, match="its lease was lost"),
    ):
        run_pipeline(pipeline, store=impatient, on_event=on_event)
    assert store.runs.get_info(run_ids[0]).status is RunStatus.KILLED
    assert {child.status for child in store.runs.children(run_ids[0])} <= {RunStatus.KILLED}


def test_every_step_runs_the_commit_that_was_planned(store: Store, write_files: WriteFiles) -> None:
    commit = "git -c user.name=t -c user.email=t@example.com commit -q"
    move = f'cd "$2" && echo "echo new" > say.sh && {commit} -a --allow-empty -m new\n'
    folder = write_files({"move.sh": move, "say.sh": "echo old\n"})
    for command in ("git init -q -b main", "git add -A", f"{commit} -m old"):
        subprocess.run(command.split(), cwd=folder, check=True)
    steps = [
        Step("move", entry_point="move.sh", parameters={"repository": str(folder)}),
        Step("say", entry_point="say.sh", needs=["move"]),
    ]
    pipeline = Pipeline("p", steps=steps, project=folder, version="main")
    said: list[str] = []
    for _ in range(2):
        events: list[Event] = []
        result = run_pipeline(pipeline, store=store, on_event=events.append)
        said += [event.line for event in events if isinstance(event, StepOutput) and event.step == "say"]
        commits = {
            store.runs.get(step.runs[0].run_id).tags["mlflow.source.git.commit"] for step in result.steps.values()
        }
        assert len(commits) == 1
    assert said == ["old", "new"]
