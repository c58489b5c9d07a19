"""A pipeline run in pieces leaves what ``run_pipeline`` leaves, whoever does which piece and however often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.flows import Pipeline, PipelineParameter, PromotionBlock, Step, outline, run_pipeline
from headgate.flows.piecewise import Host, PiecewiseRun, join_pipeline_run
from headgate.store.clock import now_ms
from headgate.store.entities import ApprovalDecision, Outcome, Run, RunContext, RunStatus
from headgate.store.errors import EntryPointFailed, GateRejected, InvalidPipeline
from headgate.store.store import Store
from tests.flows.conftest import WriteFiles
from tests.flows.test_run_promotion import FILES, PROMOTE
from tests.pipeline_records import records_of

CONTEXT = RunContext("airflow", "screening", "manual__1", logical_date=1_795_230_000_000)


def screening(folder: Path) -> Pipeline:
    train = Step(
        "train",
        entry_point="train",
        parameters={"quality": "{{ params.quality }}"},
        sweep={"depth": [1, 2]},
        choose={"metric": "val"},
    )
    evaluate = Step(
        "evaluate", entry_point="evaluate", parameters={"model": train.model, "digest": "{{ params.digest }}"}
    )
    return Pipeline(
        "screening",
        steps=[train, evaluate],
        promote=PromotionBlock(candidate=train.model, evaluate=evaluate, **PROMOTE),  # type: ignore[arg-type]
        parameters={"quality": 0.9, "digest": "d1"},
        folder=folder,
    )


def join(
    store: Store, pipeline: Pipeline, given: Mapping[str, Any] | None = None, context: RunContext = CONTEXT
) -> PiecewiseRun:
    """Join as a task does: with nothing in hand but the pipeline and the key."""
    return join_pipeline_run(store, outline(pipeline), context, given or {}, Host("airflow:screening"))


def in_pieces(store: Store, pipeline: Pipeline, given: Mapping[str, Any], context: RunContext = CONTEXT) -> Run:
    """Do every piece of the screening, each after joining anew."""
    join(store, pipeline, given, context)
    for index in (1, 0):
        join(store, pipeline, given, context).run_step("train", index, attempt=1)
    assert join(store, pipeline, given, context).choose("train").map_index == 1
    join(store, pipeline, given, context).run_step("evaluate", attempt=1)
    join(store, pipeline, given, context).measure_champion(attempt=1)
    verdict = join(store, pipeline, given, context).decide()
    if verdict.outcome is Outcome.PASS:
        join(store, pipeline, given, context).promote(verdict.verdict_id)
    run = join(store, pipeline, given, context)
    run.finish()
    return store.runs.get(run.parent.run_id)


def test_the_records_are_those_of_run_pipeline(store: Store, write_files: WriteFiles, tmp_path: Path) -> None:
    """A first champion, then one that beats it on other data, then a rejected one."""
    from headgate.store.store import open_store

    pipeline = screening(write_files(FILES))
    with open_store(f"sqlite:///{tmp_path}/other.db", artifact_root=str(tmp_path / "other")) as other:
        for number, given in enumerate([{}, {"quality": 0.93, "digest": "d2"}, {"quality": 0.8, "digest": "d2"}]):
            whole = run_pipeline(pipeline, store=other, parameters=given, actor="ada", max_parallel=1)
            pieces = in_pieces(store, pipeline, given, replace(CONTEXT, pipeline_run_id=f"manual__{number}"))
            assert pieces.info.status is RunStatus.FINISHED
            assert pieces.info.end_time is not None
            assert records_of(store, pieces) == records_of(other, other.runs.get(whole.run_id))
        assert store.promotions.holder("screening", "@champion") is not None
        assert len(store.promotions.history("screening")) == 2


def test_an_edited_evaluation_measures_the_champion_anew(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    pipeline = screening(folder)

    def champion_measured(number: int) -> bool:
        context = replace(CONTEXT, pipeline_run_id=f"manual__{number}")
        in_pieces(store, pipeline, {"quality": 0.8 if number else 0.9}, context)
        return store.runs.find_by_context(replace(context, task="evaluate.champion")) is not None

    assert [champion_measured(number) for number in (0, 1)] == [False, False]
    (folder / "README.md").write_text("It is of the project, too.")
    assert [champion_measured(number) for number in (2, 3)] == [True, False]


def test_every_piece_may_be_done_again(store: Store, write_files: WriteFiles) -> None:
    pipeline = screening(write_files(FILES))
    parent = in_pieces(store, pipeline, {})
    before = records_of(store, parent)
    run = join(store, pipeline)
    assert store.runs.get_info(parent.info.run_id).status is RunStatus.RUNNING
    run.choose("train")
    verdict = run.decide()
    run.promote(verdict.verdict_id)
    assert run.measure_champion() is None
    assert run.finish() is RunStatus.FINISHED
    assert run.finish() is RunStatus.FINISHED
    assert records_of(store, store.runs.get(parent.info.run_id)) == before

    again = run.run_step("evaluate", attempt=2)
    attempts = store.runs.attempts(replace(CONTEXT, task="evaluate"))
    assert [(info.context.attempt, info.superseded_by) for info in attempts] == [(1, again.run_id), (2, None)]


def test_an_orchestrator_that_begins_again_runs_nothing_twice(store: Store, write_files: WriteFiles) -> None:
    pipeline = screening(write_files(FILES))
    run = join(store, pipeline)
    trained = [run.run_step("train", index, may_reuse=True) for index in (0, 1)]
    assert not any(made.reused for made in trained)
    run.choose("train")
    evaluated = run.run_step("evaluate", may_reuse=True)
    verdict = run.decide(may_reuse=True)

    again = join(store, pipeline)
    for index, before in enumerate(trained):
        made = again.run_step("train", index, may_reuse=True)
        assert (made.run_id, made.reused, made.metrics) == (before.run_id, True, before.metrics)
    assert again.run_step("evaluate", may_reuse=True).run_id == evaluated.run_id
    assert again.decide(may_reuse=True).verdict_id == verdict.verdict_id
    assert again.run_step("evaluate").run_id != evaluated.run_id


def test_a_verdict_that_no_promotion_could_rest_on_is_not_reused(store: Store, write_files: WriteFiles) -> None:
    from headgate.tasks.promote import promote

    folder = write_files(FILES)
    train = Step("train", entry_point="both", parameters={"quality": "{{ params.quality }}"})
    pipeline = Pipeline(
        "p",
        steps=[train],
        promote=PromotionBlock(candidate=train.model, **PROMOTE),  # type: ignore[arg-type]
        parameters={"quality": 0.91},
        folder=folder,
    )
    first, second = (
        join(store, pipeline, {"quality": q}, replace(CONTEXT, pipeline_run_id=q)) for q in ("0.91", "0.95")
    )
    first.run_step("train")
    second.run_step("train")
    verdict = second.decide()
    second = join(store, pipeline, {}, replace(CONTEXT, pipeline_run_id="0.95"))
    assert second.decide(may_reuse=True).verdict_id == verdict.verdict_id
    late = replace(second, host=replace(second.host, clock=lambda: verdict.expires_at))
    assert late.decide(may_reuse=True).verdict_id != verdict.verdict_id
    promote(store, first.decide().verdict_id, actor="ada")
    anew = second.decide(may_reuse=True)
    assert (anew.champion_version, anew.outcome) == (1, Outcome.PASS)


def test_parameters_and_dates_come_from_the_record(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(
        {
            "MLproject": """\
                entry_points:
                  a:
                    parameters: {window: int, token: string, data: path}
                    command: "cat {data}; echo {token} {window}"
                """,
            "here.txt": "here\n",
        }
    )
    values = {"window": "{{ params.window }}", "token": "{{ params.token }}", "data": "{{ params.data }}"}
    pipeline = Pipeline(
        "p",
        steps=[Step("a", entry_point="a", parameters=values)],
        parameters={
            "window": PipelineParameter("window", "int"),
            "token": "",
            "data": PipelineParameter("data", "path"),
        },
        folder=folder,
    )
    given = {"window": 3, "token": "swordfish", "data": "here.txt"}
    opened = join(store, pipeline, given)
    assert store.runs.get(opened.parent.run_id).params == {"window": "3", "token": "***", "data": "here.txt"}
    # What changes meanwhile is not this pipeline run's, except for the secret, which nobody recorded.
    run = join(store, pipeline, {"window": 4, "token": "marlin", "data": "other.txt"}).run_step("a")
    assert run.params == {"window": "3", "token": "***", "data": "here.txt"}
    output = store.artifacts(run.artifact_uri).local_path("logs/output.txt")
    assert output is not None
    assert output.read_text() == "here\n*** 3\n"


def test_a_wrong_parameter_is_told_before_anything_is_recorded(store: Store, write_files: WriteFiles) -> None:
    pipeline = screening(write_files(FILES))
    with pytest.raises(InvalidPipeline, match="no float"):
        join(store, pipeline, {"quality": "good"})
    assert store.runs.find_by_context(CONTEXT) is None


def test_a_run_that_another_task_opened_becomes_the_pipelines(store: Store, write_files: WriteFiles) -> None:
    experiment = store.experiments.get_or_create("elsewhere")
    opened = store.runs.open(experiment.experiment_id, context=replace(CONTEXT, attempt=1), name="screening")
    parent = in_pieces(store, screening(write_files(FILES)), {})
    assert parent.info.run_id == opened.info.run_id
    assert parent.params == {"quality": "0.9", "digest": "d1"}
    assert parent.tags["headgate.gate"] == "screening"
    children = store.runs.children(parent.info.run_id)
    assert {child.experiment_id for child in children} == {experiment.experiment_id}


def test_a_pipeline_may_be_a_part_of_something_larger(store: Store, write_files: WriteFiles) -> None:
    pipeline = screening(write_files(FILES))
    whole = store.runs.open("0", context=replace(CONTEXT, attempt=1))
    host = Host("airflow:screening", parent_run_id=whole.info.run_id)
    run = join_pipeline_run(store, outline(pipeline), replace(CONTEXT, task="retraining"), {}, host)
    made = run.run_step("train", 0, attempt=1)
    assert store.runs.get_info(run.parent.run_id).parent_run_id == whole.info.run_id
    info = store.runs.get_info(made.run_id)
    assert (info.parent_run_id, info.context.task, info.name) == (run.parent.run_id, "retraining.train", "train[0]")


def test_a_step_that_never_ran_is_missed(store: Store, write_files: WriteFiles) -> None:
    run = join(store, screening(write_files(FILES)))
    with pytest.raises(InvalidPipeline, match="No run of the sweep 'train' was chosen"):
        run.run_step("evaluate")
    with pytest.raises(InvalidPipeline, match=r"Step 'train\[0\]' has no run in the pipeline run 'manual__1'"):
        run.choose("train")
    assert run.finish() is RunStatus.FAILED
    tags = store.runs.get(run.parent.run_id).tags
    assert tags["headgate.statusMessage"] == "Not every step has finished: train, evaluate."


def test_a_failed_step_fails_the_run(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    pipeline = Pipeline("p", steps=[Step("a", entry_point="fail.sh")], folder=folder)
    run = join(store, pipeline)
    with pytest.raises(EntryPointFailed):
        run.run_step("a", attempt=1)
    assert run.finish() is RunStatus.FAILED
    (folder / "fail.sh").write_text("exit 0\n")
    run = join(store, pipeline)
    run.run_step("a", attempt=2)
    assert run.finish() is RunStatus.FINISHED
    assert "headgate.statusMessage" not in store.runs.get(run.parent.run_id).tags


def test_a_promotion_that_was_not_made_fails_the_run_unless_somebody_said_no(
    store: Store, write_files: WriteFiles
) -> None:
    train = Step("train", entry_point="both", parameters={"quality": 0.95})
    pipeline = Pipeline(
        "p",
        steps=[train],
        promote=PromotionBlock(candidate=train.model, **PROMOTE),  # type: ignore[arg-type]
        folder=write_files(FILES),
    )
    join(store, pipeline).run_step("train")
    assert join(store, pipeline).finish() is RunStatus.FAILED
    run = join(store, pipeline)
    assert run.verdict() is None
    verdict = run.decide()
    assert run.finish() is RunStatus.FAILED
    message = store.runs.get(run.parent.run_id).tags["headgate.statusMessage"]
    assert message == f"The candidate of the passing verdict {verdict.verdict_id} was not promoted."
    store.approvals.record(
        verdict.verdict_id, ApprovalDecision.REJECT, actor="ada", authenticated=True, source="test", now=now_ms()
    )
    assert join(store, pipeline).finish() is RunStatus.FINISHED


def test_a_verdict_that_says_no_promotes_nothing(store: Store, write_files: WriteFiles) -> None:
    pipeline = screening(write_files(FILES))
    parent = in_pieces(store, pipeline, {"quality": 0.5})
    assert parent.info.status is RunStatus.FINISHED
    run = join(store, pipeline)
    (verdict,) = store.verdicts.search(run_id=parent.info.run_id).items
    with pytest.raises(GateRejected):
        run.promote(verdict.verdict_id)


def test_every_step_takes_the_commit_that_the_first_piece_found(
    store: Store, write_files: WriteFiles, tmp_path: Path
) -> None:
    import subprocess

    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    folder = write_files({"a.sh": "echo first\n"})
    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "first")
    pipeline = Pipeline("p", steps=[Step("a", entry_point="a.sh")], project=folder, version="main", folder=tmp_path)
    opened = join(store, pipeline)
    commit = store.runs.get(opened.parent.run_id).tags["headgate.commit.a"]
    (folder / "a.sh").write_text("echo second\n")
    git("commit", "-am", "second")
    made = join(store, pipeline).run_step("a")
    assert store.runs.get(made.run_id).tags["mlflow.source.git.commit"] == commit
    output = store.artifacts(made.artifact_uri).local_path("logs/output.txt")
    assert output is not None
    assert output.read_text() == "first\n"
