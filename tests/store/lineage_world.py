"""A small world for the tests of lineage: a pipeline run that prepares, trains, evaluates, decides and promotes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from headgate.store.canonical import digest_of
from headgate.store.entities import (
    CheckResult,
    Dataset,
    DatasetInput,
    LoggedModel,
    LoggedModelStatus,
    Metric,
    ModelInput,
    Outcome,
    Promotion,
    Run,
    RunContext,
    RunStatus,
    Verdict,
)
from headgate.store.store import Store

NOW = 1_700_000_000_000
MODEL = "tumor"
CHAMPION = "@champion"
HOLDOUT = Dataset("holdout", "feed1234", "local", "/data/holdout.parquet")
GATE = {"name": "screening", "expires_after": "1d", "checks": {"all_of": [{"metric": "recall", "at_least": 0.9}]}}


@dataclass
class Pipeline:
    """What one pipeline run left behind."""

    parent: Run
    prepare: Run
    train: Run
    evaluate: Run
    train_set: Dataset
    model: LoggedModel
    others: list[LoggedModel] = field(default_factory=list)
    verdict: Verdict | None = None
    promotion: Promotion | None = None


def run_pipeline(store: Store, number: int = 1, *, sweep: int = 1, promote: bool = True) -> Pipeline:
    """Record one pipeline run. ``sweep`` counts the trainings, of which the first one's model goes on."""
    at = NOW + number * 100_000
    parent = open_run(store, number, None, None, at)
    prepare = open_run(store, number, "prepare", parent, at + 1)
    source = f"{prepare.info.artifact_uri}/train.parquet"
    train_set = Dataset("train", f"abc{number}", "local", source)
    trains = [train(store, number, parent, train_set, at + 2 + index, index) for index in range(sweep)]
    (train_run, model), *others = trains
    evaluate = open_run(
        store, number, "evaluate", parent, at + 1000, params={"model": model.model_uri, "data": HOLDOUT.source}
    )
    run_id = evaluate.info.run_id
    store.datasets.log_inputs(run_id, [DatasetInput(HOLDOUT)], [ModelInput(model.model_id)])
    recall = Metric("recall", 0.97, at + 1001, run_id=run_id, dataset_name="holdout", dataset_digest="feed1234")
    store.logged_models.log_metrics(model.model_id, [recall])
    pipeline = Pipeline(parent, prepare, train_run, evaluate, train_set, model, [made for _, made in others])
    if promote:
        pipeline.verdict = decide(store, model, evaluate, at + 1002)
        pipeline.promotion = store.promotions.promote(
            pipeline.verdict.verdict_id, actor="alice", reason="better", now=at + 1003
        )
    for run in (prepare, evaluate, parent):
        store.runs.finish(run.info.run_id, RunStatus.FINISHED, end_time=at + 2000)
    return pipeline


def open_run(store: Store, number: int, task: str | None, parent: Run | None, at: int, **options: Any) -> Run:
    context = RunContext("local", "tumor-screening", f"pr-{number}", task, options.pop("map_index", -1))
    parent_run_id = parent.info.run_id if parent else None
    return store.runs.open(
        "0", context=context, name=task or "tumor-screening", parent_run_id=parent_run_id, now=at, **options
    )


def train(
    store: Store, number: int, parent: Run, train_set: Dataset, at: int, map_index: int
) -> tuple[Run, LoggedModel]:
    params = {"data": train_set.source, "n_estimators": str(50 * (map_index + 1))}
    tags = {"mlflow.source.git.commit": "c0ffee" * 6}
    run = open_run(store, number, "train", parent, at, params=params, tags=tags, map_index=map_index)
    run_id = run.info.run_id
    store.datasets.log_inputs(run_id, [DatasetInput(train_set)])
    model = store.logged_models.create("0", name="forest", source_run_id=run_id, now=at)
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=at)
    # A training curve: no dataset, so it is no evaluation.
    curve = [Metric("loss", 1.0 / (step + 1), at + step, step, run_id=run_id) for step in range(5)]
    store.logged_models.log_metrics(model.model_id, curve)
    store.runs.finish(run_id, RunStatus.FINISHED, end_time=at + 10)
    return run, store.logged_models.get(model.model_id)


def decide(store: Store, model: LoggedModel, evaluate: Run, at: int) -> Verdict:
    holder = store.promotions.holder(MODEL, CHAMPION)
    check = CheckResult(
        path="all_of[0]",
        kind="threshold",
        rule="recall >= 0.9",
        outcome=Outcome.PASS,
        metric="recall",
        threshold=0.9,
        actual=0.97,
        dataset_name="holdout",
        dataset_digest="feed1234",
        run_id=evaluate.info.run_id,
        measured_at=at,
    )
    verdict = Verdict(
        verdict_id=f"v-{uuid.uuid4().hex}",
        gate_name="screening",
        gate_digest=digest_of(GATE),
        gate_definition=GATE,
        outcome=Outcome.PASS,
        model_name=MODEL,
        target=CHAMPION,
        candidate_model_id=model.model_id,
        candidate_digest=model.artifact_digest,
        decided_at=at,
        expires_at=at + 86_400_000,
        checks=(check,),
        champion_version=holder.version if holder else None,
        champion_model_id=holder.model_id if holder else None,
        decided_by="alice",
    )
    return store.verdicts.record(verdict)


@contextmanager
def counted_queries(store: Store) -> Iterator[list[str]]:
    """Collect the statements that the store executes meanwhile."""
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(store.database.engine, "before_cursor_execute", note)
