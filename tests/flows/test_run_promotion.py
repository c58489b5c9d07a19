"""The end of a pipeline: the best of a sweep meets the gate and the champion, and is promoted or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headgate.flows import Pipeline, PromotionBlock, Step, run_pipeline
from headgate.flows.events import Decided, Event, PipelineEnded, Promoted, PromotionFailed, StepStarted
from headgate.store.entities import Metric, Outcome, RunContext, RunStatus
from headgate.store.errors import (
    EntryPointFailed,
    GateErrored,
    GateRejected,
    InvalidPipeline,
    OlderThanChampion,
)
from headgate.store.store import Store
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import promote_if_passing
from tests.flows.conftest import WriteFiles

GATE = {
    "name": "screening",
    "when_no_champion": "pass",
    "checks": {
        "all_of": [
            {"metric": "recall", "dataset": "holdout", "at_least": 0.9},
            {"metric": "recall", "improves_on": "champion", "by": 0.01},
        ]
    },
}
FILES = {
    "MLproject": """\
        name: screening
        entry_points:
          train: {parameters: {quality: float, depth: int}, command: "python train.py {quality} {depth}"}
          evaluate: {parameters: {model: string, digest: string}, command: "python evaluate.py {model} {digest}"}
          both: {parameters: {quality: float}, command: "python train.py {quality} 0 both"}
          two: {command: "python train.py 1 0 && python train.py 1 1"}
        """,
    "train.py": """\
        import sys
        from headgate.tasks import tracking

        recall = float(sys.argv[1]) + float(sys.argv[2]) / 100
        model = tracking.create_external_model("clf", params={"recall": str(recall)})
        tracking.log_metrics({"val": float(sys.argv[2])})
        if sys.argv[3:] == ["both"]:
            data = tracking.dataset("holdout", digest="d1")
            tracking.log_metrics({"recall": recall}, model_id=model.model_id, dataset=data)
        """,
    "evaluate.py": """\
        import sys
        from headgate.tasks import tracking

        model = tracking.get_logged_model(sys.argv[1])
        data = tracking.dataset("holdout", digest=sys.argv[2])
        tracking.log_metrics({"recall": float(model.params["recall"])}, model_id=model.model_id, dataset=data)
        """,
    "fail.sh": "exit 1\n",
}
TRAIN = Step("train", entry_point="both", parameters={"quality": "{{ params.quality }}"})
PROMOTE = {"model": "screening", "to": "@champion", "gate": GATE}


def one_step(folder: Path, *more: Step, **block: object) -> Pipeline:
    promote = PromotionBlock(**{**PROMOTE, "candidate": TRAIN.model, **block})  # type: ignore[arg-type]
    return Pipeline("p", steps=[TRAIN, *more], promote=promote, parameters={"quality": 0.95}, folder=folder)


def make_champion(store: Store, *, digest: str = "d1", logical_date: int = 1_000, recall: str | None = "0.92") -> str:
    """Promote a model with a recall of 0.92, as a run of that logical date would have made it."""
    run = store.runs.open("0", context=RunContext(logical_date=logical_date), now=1_000)
    params = {} if recall is None else {"recall": recall}
    model = store.logged_models.create_external_model(
        "0", name="clf", source_run_id=run.info.run_id, params=params, now=1_000
    )
    measured = Metric("recall", 0.92, 1_000, dataset_name="holdout", dataset_digest=digest)
    store.logged_models.log_metrics(model.model_id, [replace(measured, run_id=run.info.run_id)])
    gate = gate_from_definition(GATE)
    promote_if_passing(store, gate, "screening", "@champion", model.model_id, actor="eve", now=2_000)
    return model.model_id


def champion(store: Store) -> int | None:
    holder = store.promotions.holder("screening", "@champion")
    return None if holder is None else holder.version


def test_a_champion_is_made_beaten_and_kept(store: Store, write_files: WriteFiles) -> None:
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
    pipeline = Pipeline(
        "screening",
        steps=[train, evaluate],
        promote=PromotionBlock(candidate=train.model, evaluate=evaluate, **PROMOTE),  # type: ignore[arg-type]
        parameters={"quality": 0.9, "digest": "d1"},
        folder=write_files(FILES),
    )

    first = run_pipeline(pipeline, store=store, actor="ada").raise_for_status()
    assert first.verdict is not None
    assert first.promotion is not None
    chosen = first.steps["train"].chosen
    assert chosen is not None
    assert (chosen.map_index, chosen.params["depth"]) == (1, "2")
    assert store.runs.get(first.run_id).tags["headgate.chosen.train"] == chosen.run_id
    assert store.runs.get(first.run_id).tags["headgate.gate"] == "screening"
    assert first.verdict.candidate_model_id == chosen.model_ids[0]
    assert first.verdict.run_id == first.run_id
    assert first.verdict == store.verdicts.get(first.verdict.verdict_id)
    assert (first.promotion.to_version, first.promotion.from_version) == (1, None)
    assert (first.promotion.actor, first.promotion.reason) == ("ada", f"pipeline run {first.pipeline_run_id}")

    # Other data: the champion is measured on it before the gate compares.
    events: list[Event] = []
    better = {"quality": 0.93, "digest": "d2"}
    second = run_pipeline(
        pipeline, store=store, parameters=better, pipeline_run_id="second", on_event=events.append
    ).raise_for_status()
    assert second.promotion is not None
    assert second.verdict is not None
    assert (second.promotion.to_version, second.promotion.from_version) == (2, 1)
    assert second.verdict.checks[1].champion_value == pytest.approx(0.92)
    measuring = store.runs.find_by_context(
        RunContext(pipeline="screening", pipeline_run_id="second", task="evaluate.champion")
    )
    assert measuring is not None
    assert measuring.params["model"] == f"models:/{first.verdict.candidate_model_id}"
    assert measuring.info.parent_run_id == second.run_id
    assert [event.step for event in events if isinstance(event, StepStarted)][-1] == "evaluate.champion"
    assert [type(event) for event in events[-3:]] == [Decided, Promoted, PipelineEnded]

    # The same run once more does nothing again, promotion included.
    again = run_pipeline(pipeline, store=store, parameters=better, pipeline_run_id="second", on_event=events.append)
    assert all(step.reused for step in again.steps.values())
    assert (again.verdict, again.promotion) == (second.verdict, second.promotion)
    assert isinstance(events[-2], Promoted)
    assert events[-2].reused

    third = run_pipeline(pipeline, store=store, parameters={"quality": 0.8, "digest": "d2"})
    assert (third.status, third.error, third.promotion) == (RunStatus.FINISHED, None, None)
    assert third.verdict is not None
    assert third.verdict.outcome is Outcome.REJECT
    with pytest.raises(GateRejected) as caught:
        third.raise_for_status()
    assert caught.value.verdict_id == third.verdict.verdict_id
    assert store.runs.get_info(third.run_id).status is RunStatus.FINISHED
    assert champion(store) == 2
    assert len(store.promotions.history("screening")) == 2


@pytest.mark.parametrize("on_reject", ["skip", "succeed"])
def test_a_no_that_the_pipeline_lives_with_raises_nothing(
    store: Store, write_files: WriteFiles, on_reject: str
) -> None:
    make_champion(store, logical_date=9_000)
    pipeline = one_step(write_files(FILES), on_reject=on_reject)
    rejected = run_pipeline(pipeline, store=store, parameters={"quality": 0.5}).raise_for_status()
    assert rejected.verdict is not None
    assert (rejected.verdict.outcome, rejected.status) == (Outcome.REJECT, RunStatus.FINISHED)
    older = run_pipeline(pipeline, store=store, logical_date=8_000).raise_for_status()
    assert isinstance(older.promotion_error, OlderThanChampion)
    assert champion(store) == 1
    broken = one_step(pipeline.path("."), Step("broken", entry_point="fail.sh"), on_reject=on_reject, needs=[TRAIN])
    with pytest.raises(EntryPointFailed):
        run_pipeline(broken, store=store, parameters={"quality": 0.5}).raise_for_status()


def test_no_evidence_is_no_answer_to_live_with(store: Store, write_files: WriteFiles) -> None:
    make_champion(store, digest="other")
    result = run_pipeline(one_step(write_files(FILES), on_reject="succeed"), store=store)
    with pytest.raises(GateErrored):
        result.raise_for_status()


def test_a_champion_measured_on_other_data_is_no_yardstick(store: Store, write_files: WriteFiles) -> None:
    make_champion(store, digest="other")
    result = run_pipeline(one_step(write_files(FILES)), store=store)
    assert (result.status, result.promotion) == (RunStatus.FINISHED, None)
    with pytest.raises(GateErrored):
        result.raise_for_status()
    assert champion(store) == 1


def test_a_backfill_does_not_displace_a_newer_champion_unless_told_to(store: Store, write_files: WriteFiles) -> None:
    make_champion(store, logical_date=9_000)
    folder = write_files(FILES)
    events: list[Event] = []
    refused = run_pipeline(one_step(folder), store=store, logical_date=8_000, on_event=events.append)
    assert refused.status is RunStatus.FAILED
    assert refused.verdict is not None
    assert refused.verdict.outcome is Outcome.PASS
    assert refused.promotion is None
    with pytest.raises(OlderThanChampion):
        refused.raise_for_status()
    assert isinstance(events[-2], PromotionFailed)
    assert champion(store) == 1
    allowed = run_pipeline(one_step(folder, allow_older=True), store=store, logical_date=8_000)
    assert allowed.raise_for_status().promotion is not None
    assert champion(store) == 2


def test_nothing_is_decided_before_everything_it_waits_for_has_finished(store: Store, write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    broken = Step("broken", entry_point="fail.sh")
    result = run_pipeline(one_step(folder, broken), store=store)
    assert (result.status, result.verdict, result.promotion) == (RunStatus.FAILED, None, None)
    assert champion(store) is None
    result = run_pipeline(one_step(folder, broken, needs=[TRAIN]), store=store)
    assert result.status is RunStatus.FAILED
    assert result.promotion is not None
    assert champion(store) == 1


def test_a_candidate_must_be_one_model(store: Store, write_files: WriteFiles) -> None:
    train = Step("train", entry_point="two")
    promote = PromotionBlock(candidate=train.model, **PROMOTE)  # type: ignore[arg-type]
    result = run_pipeline(Pipeline("p", steps=[train], promote=promote, folder=write_files(FILES)), store=store)
    assert (result.status, result.verdict) == (RunStatus.FAILED, None)
    with pytest.raises(InvalidPipeline, match="logged 2 models"):
        result.raise_for_status()


def test_a_champion_that_cannot_be_measured_is_an_error_of_the_run(store: Store, write_files: WriteFiles) -> None:
    make_champion(store, digest="other", recall=None)
    evaluate = Step("evaluate", entry_point="evaluate", parameters={"model": TRAIN.model, "digest": "d1"})
    result = run_pipeline(one_step(write_files(FILES), evaluate, evaluate="evaluate"), store=store)
    assert (result.status, result.verdict) == (RunStatus.FAILED, None)
    with pytest.raises(EntryPointFailed, match="KeyError"):
        result.raise_for_status()
    assert champion(store) == 1
