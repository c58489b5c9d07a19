"""A store that has something for every page: two trainings, a rejection, a rollback, an alias set by hand."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field, replace

from headgate.server.pages.rendering import Page
from headgate.server.pages.site import answer, find
from headgate.server.pages.visit import Everything, Reader, Visit
from headgate.store.canonical import digest_of
from headgate.store.entities import (
    ApprovalDecision,
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
    Severity,
    Verdict,
)
from headgate.store.store import Store

NOW = 1_795_250_000_000
MODEL = "tumor-screening"
CHAMPION = "@champion"
DAG = "retrain_tumor_screening"
HOLDOUT = Dataset("holdout", "feed1234", "local", "/data/holdout.parquet")
GATE = {
    "name": "screening",
    "expires_after": "7d",
    "checks": {"all_of": [{"metric": "recall", "at_least": 0.9}, {"metric": "auc", "better_than_champion": 0.0}]},
}
_MINUTE = 60_000


@dataclass
class Training:
    """What one DAG run left behind."""

    run_id: str
    parent: Run
    fits: list[Run]
    evaluate: Run
    models: list[LoggedModel]
    verdict: Verdict
    promotion: Promotion | None = None
    names: dict[str, str] = field(default_factory=dict)


def train(
    store: Store,
    number: int = 1,
    *,
    recall: float = 0.97,
    sweep: int = 3,
    dag: str = DAG,
    model_name: str = MODEL,
    run_id: str | None = None,
) -> Training:
    """Record a DAG run that prepares, fits a sweep, evaluates, decides and promotes if it may."""
    run_id = run_id or f"scheduled__2026-11-{number:02d}T03:00:00+00:00"
    at = NOW - (30 - number) * 24 * 60 * _MINUTE
    experiment = store.experiments.get_or_create(dag).experiment_id

    def opened(task: str | None, start: int, parent: Run | None = None, map_index: int = -1) -> Run:
        context = RunContext("airflow", dag, run_id, task, map_index, logical_date=at)
        parent_run_id = parent.info.run_id if parent else None
        user = f"airflow:{dag}"
        return store.runs.open(
            experiment, context=context, name=task or dag, parent_run_id=parent_run_id, now=start, user_id=user
        )

    parent = opened(None, at)
    prepare = opened("prepare", at + 1000, parent)
    store.runs.finish(prepare.info.run_id, RunStatus.FINISHED, end_time=at + 3 * _MINUTE)
    data = Dataset("train", f"abc{number}", "local", f"{prepare.info.artifact_uri}/train.parquet")
    fits, models = [], []
    for index in range(sweep):
        start = at + (3 + index) * _MINUTE
        fit = opened("train", start, parent, index)
        model = _fitted(store, fit, data, start, index)
        fits.append(fit)
        models.append(model)
    evaluate = opened("evaluate", at + 9 * _MINUTE, parent)
    _measured(store, evaluate, models[0], recall, at + 10 * _MINUTE)
    verdict = store.verdicts.record(_decided(store, models[0], evaluate, recall, at + 10 * _MINUTE, model_name))
    training = Training(run_id, parent, fits, evaluate, models, verdict)
    if verdict.outcome is Outcome.PASS:
        store.approvals.record(
            verdict.verdict_id,
            ApprovalDecision.APPROVE,
            actor="ines@example.org",
            authenticated=True,
            source="airflow-hitl",
            reason="Recall holds on the new scanner.",
            now=at + 11 * _MINUTE,
        )
        training.promotion = store.promotions.promote(
            verdict.verdict_id, actor=f"airflow:{dag}", reason="weekly retraining", now=at + 12 * _MINUTE
        )
    for run in (evaluate, parent):
        store.runs.finish(run.info.run_id, RunStatus.FINISHED, end_time=at + 12 * _MINUTE)
    return training


def whole_world(store: Store) -> tuple[Training, ...]:
    """Record trainings that pass, one that is rejected, a rollback and an alias that was set by hand."""
    first, second = train(store, 4), train(store, 11, recall=0.98)
    rejected = train(store, 18, recall=0.86)
    store.promotions.roll_back(MODEL, CHAMPION, actor="ines@example.org", reason="recall fell in clinic B", now=NOW)
    store.registry.set_alias(MODEL, "shadow", 2)
    store.registry.create_model("churn", now=NOW - 9 * _MINUTE)
    return first, second, rejected


def page_at(store: Store, address: str, reader: Reader | None = None) -> Page:
    """Return the page that a door would send for an address below the mount, such as ``/runs/…``."""
    path, _, query = address.partition("?")
    found = find(path)
    assert found is not None, address
    from urllib.parse import parse_qsl

    visit = Visit(path, NOW, reader or Everything())
    return answer(found[0], store, visit, found[1], dict(parse_qsl(query)))


def _fitted(store: Store, fit: Run, data: Dataset, start: int, index: int) -> LoggedModel:
    run_id = fit.info.run_id
    store.params.log(run_id, {"n_estimators": str(50 * (index + 1)), "max_depth": "6", "data": data.source})
    store.tags.set(run_id, {"team": "radiology", "mlflow.source.git.commit": "c0ffee" * 6})
    store.datasets.log_inputs(run_id, [DatasetInput(data)])
    curve = [Metric("loss", math.exp(-step / 12) + 0.02 * (step % 3), start + step, step) for step in range(60)]
    curve += [Metric("val_f1", 1 - math.exp(-step / 9) - 0.05, start + step, step) for step in range(60)]
    store.metrics.log(run_id, [*curve, Metric("train_rows", 18_342, start), Metric("gap", math.nan, start)])
    model = store.logged_models.create(
        fit.info.experiment_id, name="forest", source_run_id=run_id, model_type="sklearn", now=start
    )
    store.artifacts(fit.info.artifact_uri).put_bytes(b"x" * 4096, "report.html")
    store.logged_models.log_params(model.model_id, {"n_estimators": str(50 * (index + 1))})
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=start)
    status = RunStatus.FAILED if index == 2 else RunStatus.FINISHED
    message = "The entry point ended with code 1." if status is RunStatus.FAILED else None
    store.runs.finish(run_id, status, end_time=start + (index + 1) * _MINUTE, message=message)
    return store.logged_models.get(model.model_id)


def _measured(store: Store, evaluate: Run, model: LoggedModel, recall: float, at: int) -> None:
    run_id = evaluate.info.run_id
    store.datasets.log_inputs(run_id, [DatasetInput(HOLDOUT)], [ModelInput(model.model_id)])
    on = {"run_id": run_id, "dataset_name": HOLDOUT.name, "dataset_digest": HOLDOUT.digest}
    measured = [Metric("recall", recall, at, **on), Metric("auc", recall - 0.02, at, **on)]  # type: ignore[arg-type]
    store.logged_models.log_metrics(model.model_id, measured)
    store.metrics.log(run_id, [replace(each, dataset_name=None, dataset_digest=None) for each in measured])


def _decided(store: Store, model: LoggedModel, evaluate: Run, recall: float, at: int, model_name: str) -> Verdict:
    holder = store.promotions.holder(model_name, CHAMPION)
    passed = recall >= 0.9
    common = {
        "dataset_name": "holdout",
        "dataset_digest": "feed1234",
        "run_id": evaluate.info.run_id,
        "measured_at": at,
    }
    checks = (
        CheckResult(
            path="all_of[0]",
            kind="threshold",
            rule="recall >= 0.9",
            outcome=Outcome.PASS if passed else Outcome.REJECT,
            metric="recall",
            threshold=0.9,
            actual=recall,
            margin=recall - 0.9,
            message=f"recall is {recall}, {'at least' if passed else 'below'} 0.9",
            **common,  # type: ignore[arg-type]
        ),
        CheckResult(
            path="all_of[1]",
            kind="improvement",
            rule="auc > champion",
            outcome=Outcome.PASS if passed else Outcome.REJECT,
            severity=Severity.WARN if holder is None else Severity.BLOCK,
            metric="auc",
            threshold=0.94,
            actual=recall - 0.02,
            champion_value=0.94,
            margin=recall - 0.02 - 0.94,
            message="measured on the same data as the champion",
            **common,  # type: ignore[arg-type]
        ),
    )
    return Verdict(
        verdict_id=f"v-{uuid.uuid4().hex}",
        gate_name="screening",
        gate_digest=digest_of(GATE),
        gate_definition=GATE,
        outcome=Outcome.PASS if passed else Outcome.REJECT,
        model_name=model_name,
        target=CHAMPION,
        candidate_model_id=model.model_id,
        candidate_digest=model.artifact_digest,
        decided_at=at,
        expires_at=at + 7 * 24 * 60 * _MINUTE,
        checks=checks,
        champion_version=holder.version if holder else None,
        champion_model_id=holder.model_id if holder else None,
        decided_by=f"airflow:{evaluate.info.context.pipeline}",
        run_id=evaluate.info.run_id,
    )
