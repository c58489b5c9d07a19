"""What a pipeline run decided, promoted and rolled back is found again by it, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store import RunContext, open_store
from headgate.store.entities import LoggedModelStatus, Metric, Promotion
from headgate.store.errors import ChampionChanged, InvalidInput, PromotionRefused
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import AllOf, Gate, Threshold
from headgate.tasks.once import decide_once, promote_once, require_about, roll_back_once

NOW = 1_800_000_000_000
GATE = Gate("screening", AllOf([Threshold("f1", above=0.5)]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


def candidate(store: Store) -> str:
    run = store.runs.open("0", now=NOW)
    model = store.logged_models.create("0", source_run_id=run.info.run_id, now=NOW)
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=NOW)
    point = Metric("f1", 0.9, NOW, run_id=run.info.run_id, dataset_name="holdout", dataset_digest="feed1234")
    store.logged_models.log_metrics(model.model_id, [point])
    return model.model_id


def pipeline_run(store: Store, name: str) -> str:
    return store.runs.open("0", context=RunContext("prefect", "retraining", name)).info.run_id


def promoted(store: Store, model_id: str, run_id: str | None) -> Promotion:
    verdict = decide_once(store, GATE, "churn", "@champion", model_id, run_id=run_id, decided_by="a flow")
    return promote_once(store, verdict, run_id=run_id, actor="a flow", reason="monday")


def test_a_pipeline_run_promotes_once_whoever_came_since(store: Store) -> None:
    ours, theirs = candidate(store), candidate(store)
    monday, tuesday = pipeline_run(store, "monday"), pipeline_run(store, "tuesday")
    first = promoted(store, ours, monday)
    promoted(store, theirs, tuesday)
    assert promoted(store, ours, monday) == first
    holder = store.promotions.holder("churn", "@champion")
    assert holder is not None
    assert holder.model_id == theirs


def test_a_verdict_that_another_pipeline_run_has_used_is_refused(store: Store) -> None:
    run_id = pipeline_run(store, "monday")
    verdict = decide_once(store, GATE, "churn", "@champion", candidate(store), run_id=run_id, decided_by="a flow")
    promote_once(store, verdict, run_id=run_id, actor="a flow", reason="")
    promoted(store, candidate(store), None)
    used = store.verdicts.get(verdict.verdict_id)
    for other in (None, pipeline_run(store, "tuesday")):
        with pytest.raises(PromotionRefused):
            promote_once(store, used, run_id=other, actor="a flow", reason="")


def test_a_pipeline_run_rolls_back_once(store: Store) -> None:
    for _ in range(3):
        promoted(store, candidate(store), None)
    run_id = pipeline_run(store, "monday")
    told = {"run_id": run_id, "task": "undo", "actor": "a flow", "reason": "it was wrong"}
    first = roll_back_once(store, "churn", "@champion", **told)
    assert (first.to_version, roll_back_once(store, "churn", "@champion", **told)) == (2, first)
    assert roll_back_once(store, "churn", "@champion", **{**told, "task": "undo again"}).to_version == 1


def test_a_rollback_that_comes_too_late_is_refused(store: Store) -> None:
    promoted(store, candidate(store), None)
    promoted(store, candidate(store), None)
    told = {"run_id": pipeline_run(store, "monday"), "task": "undo", "actor": "a flow", "reason": "it was wrong"}
    roll_back_once(store, "churn", "@champion", **told)
    promoted(store, candidate(store), None)
    with pytest.raises(ChampionChanged):
        roll_back_once(store, "churn", "@champion", **told)


def test_a_rollback_from_nobody_goes_back_once(store: Store) -> None:
    for _ in range(2):
        promoted(store, candidate(store), None)
    store.gates.remove("churn", "@champion", actor="alice", now=NOW)
    store.registry.delete_alias("churn", "champion")
    told = {"run_id": pipeline_run(store, "monday"), "task": "undo", "actor": "a flow", "reason": "nobody serves"}
    first = roll_back_once(store, "churn", "@champion", **told)
    assert (first.from_version, first.to_version) == (None, 2)
    assert roll_back_once(store, "churn", "@champion", **told) == first
    promoted(store, candidate(store), None)
    with pytest.raises(ChampionChanged, match="Version 3 holds @champion of model 'churn' now, not nobody"):
        roll_back_once(store, "churn", "@champion", **told)


def test_a_verdict_on_something_else_is_refused(store: Store) -> None:
    model_id = candidate(store)
    verdict = decide_once(store, GATE, "churn", "@champion", model_id, run_id=None, decided_by="a flow")
    assert require_about(store, verdict, model_name="churn", target="@champion", candidate=model_id) is verdict
    assert require_about(store, verdict, model_name=None, target="@other", candidate=None) is verdict
    assert require_about(store, verdict, model_name="churn", target=None, candidate=None) is verdict
    wrong: list[dict[str, str | None]] = [
        {"model_name": "other", "target": "@champion", "candidate": None},
        {"model_name": "churn", "target": "@challenger", "candidate": None},
        {"model_name": None, "target": "@champion", "candidate": candidate(store)},
    ]
    for said in wrong:
        with pytest.raises(InvalidInput, match="The verdict"):
            require_about(store, verdict, **said)  # type: ignore[arg-type]
