"""``run_project`` in real flows: the run and its parent, its log, its retries, and what is not run twice."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from headgate.prefect import run_project
from headgate.store import RunContext, Store
from headgate.store.entities import Run, RunStatus
from headgate.store.errors import EntryPointFailed, InvalidProject
from tests.plugin.prefect.projects import echo_project, times_run

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return echo_project(tmp_path)


def parent_of(store: Store, run: Run) -> Run:
    context = run.info.context
    found = store.runs.find_by_context(RunContext(context.origin, context.pipeline, context.pipeline_run_id))
    assert found is not None
    return found


@pytest.mark.oldest_prefect
def test_a_run_below_the_run_of_its_flow_run(
    store: Store, project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow
    def training():
        return run_project(project, parameters={"word": "hi"})

    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)
    result = training()
    run = store.runs.get(result.run_id)
    assert (run.info.status, run.info.name, dict(run.params)) == ("FINISHED", "main", {"word": "hi"})
    context = run.info.context
    assert (context.origin, context.pipeline, context.task) == ("prefect", "training", "run_project")
    assert (context.map_index, context.attempt) == (-1, 1)
    parent = parent_of(store, run)
    assert [child.run_id for child in store.runs.children(parent.info.run_id)] == [result.run_id]
    assert (parent.info.status, parent.info.context.logical_date) == ("FINISHED", context.logical_date)
    assert "said hi" in [record.getMessage() for record in caplog.records if record.name == "prefect.task_runs"]


def test_a_mistake_spends_no_retry_and_a_failure_does(store: Store, project: Path) -> None:
    @flow
    def failing(entry_point: str):
        return run_project.with_options(retries=1)(project, entry_point)

    with pytest.raises(InvalidProject):
        failing("missing")
    with pytest.raises(EntryPointFailed) as failure:
        failing("fails")
    assert times_run(project) == 2
    last = store.runs.get(failure.value.run_id)
    assert [run.status for run in store.runs.attempts(last.info.context)] == ["FAILED", "FAILED"]
    assert (last.info.context.attempt, parent_of(store, last).info.status) == (2, "FAILED")


def test_calls_side_by_side_are_runs_of_their_own(store: Store, project: Path) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
    def sweeping():
        mapped = run_project.map(str(project), parameters=[{"word": word} for word in ("a", "b", "a")]).result()
        return [*mapped, run_project.submit(project).result()]

    runs = [store.runs.get(result.run_id) for result in sweeping()]
    assert [run.params["word"] for run in runs] == ["a", "b", "a", "hello"]
    assert {run.info.status for run in runs} == {RunStatus.FINISHED}
    assert sorted(run.info.context.map_index for run in runs) == [-1, 1, 2, 3]
    assert times_run(project) == 4


@pytest.mark.oldest_prefect
def test_a_flow_that_runs_again_runs_no_finished_entry_point_again(store: Store, project: Path) -> None:
    broken = [True]

    @task
    def report():
        if broken:
            broken.clear()
            raise RuntimeError("the report failed")

    @flow(retries=1)
    def nightly():
        results = run_project.map(str(project), parameters=[{"word": word} for word in ("a", "b")]).result()
        report()
        return [result.run_id for result in results]

    runs = [store.runs.get(run_id) for run_id in nightly()]
    assert times_run(project) == 2
    assert [run.info.context.attempt for run in runs] == [1, 1]
    parent = parent_of(store, runs[0])
    assert {child.run_id for child in store.runs.children(parent.info.run_id)} == {run.info.run_id for run in runs}
    assert parent.info.status == "FINISHED"


def test_a_call_that_differs_in_its_environment_alone_gets_a_result_of_its_own(store: Store, project: Path) -> None:
    first: list[str] = []

    @flow(retries=1)
    def nightly():
        if not first:
            first.append(run_project(project, env_vars={"SITE": "north"}).run_id)
            raise RuntimeError("the report failed")
        return [run_project(project, env_vars={"SITE": site}).run_id for site in ("south", "north")]

    south, north = nightly()
    assert north == first[0]
    assert south != north
    assert times_run(project) == 2


def test_a_call_that_failed_is_another_attempt_when_the_flow_runs_again(store: Store, project: Path) -> None:
    @flow(retries=1)
    def nightly():
        return run_project(project, "fails")

    with pytest.raises(EntryPointFailed) as failure:
        nightly()
    run = store.runs.get(failure.value.run_id)
    assert (times_run(project), run.info.context.map_index, run.info.context.attempt) == (2, -1, 2)


def test_a_subflow_s_run_is_below_the_run_of_its_caller(store: Store, project: Path) -> None:
    @flow
    def inner():
        return run_project(project).run_id

    @flow
    def outer():
        return run_project(project).run_id, inner()

    above, below = map(store.runs.get, outer())
    assert parent_of(store, below).tags["mlflow.parentRunId"] == parent_of(store, above).info.run_id
    assert parent_of(store, below).info.context.pipeline == "inner"
    assert parent_of(store, below).info.status == "FINISHED"


def test_a_task_outside_of_any_flow(store: Store, project: Path) -> None:
    run = store.runs.get(run_project(project).run_id)
    assert (run.info.status, run.info.context.pipeline, run.info.context.task) == ("FINISHED", *["run_project"] * 2)


def test_a_relative_project_starts_at_the_folder_of_the_flow_s_file(
    store: Store, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "nightly.py"
    file.write_text(
        "from prefect import flow\nfrom headgate.prefect import run_project\n\n@flow\ndef nightly():\n"
        "    return run_project('project')\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    names: dict[str, object] = {"__name__": "nightly", "__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), names)
    assert store.runs.get(names["nightly"]().run_id).info.status == "FINISHED"  # type: ignore[operator]
