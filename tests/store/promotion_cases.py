"""Candidates and verdicts that the tests of verdicts and promotions share."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from typing import Any

from headgate.store.canonical import digest_of
from headgate.store.entities import CheckResult, LoggedModel, LoggedModelStatus, Outcome, RunContext, Verdict
from headgate.store.store import Store

NOW = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
MODEL = "tumor-screening"
CHAMPION = "@champion"
DEFINITION = {
    "name": "screening-gate",
    "expires_after": "1d",
    "checks": {"all_of": [{"metric": "recall", "at_least": 0.95, "severity": "block"}]},
}
PASSED = CheckResult(
    path="all_of[0]",
    kind="threshold",
    rule="recall >= 0.95",
    outcome=Outcome.PASS,
    metric="recall",
    threshold=0.95,
    actual=0.97,
    dataset_name="holdout",
    dataset_digest="feed1234",
    run_id="a" * 32,
    measured_at=NOW - HOUR,
    message="recall is 0.97, which meets the rule.",
)

_counter = itertools.count()


def candidate(store: Store, *, logical_date: int | None = None, digest: str | None = "ab" * 32) -> LoggedModel:
    """A READY LoggedModel that a run of this logical date made."""
    context = RunContext(logical_date=logical_date)
    run = store.runs.open("0", context=context, now=NOW)
    model = store.logged_models.create("0", name="forest", source_run_id=run.info.run_id, now=NOW)
    return store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest=digest, now=NOW)


def verdict_on(store: Store, model: LoggedModel, **changes: Any) -> Verdict:
    """A recorded verdict on a model, against whoever holds the target now."""
    return store.verdicts.record(draft(store, model, **changes))


def draft(store: Store, model: LoggedModel, **changes: Any) -> Verdict:
    """What a gate would have decided on a model, against whoever holds the target now; it passes unless changed."""
    name, target = changes.get("model_name", MODEL), changes.get("target", CHAMPION)
    definition = changes.pop("gate_definition", DEFINITION)
    holder = store.promotions.holder(name, target)
    verdict = Verdict(
        verdict_id=f"v-{uuid.uuid4().hex}",
        gate_name=definition["name"],
        gate_digest=digest_of(definition),
        gate_definition=definition,
        outcome=Outcome.PASS,
        model_name=name,
        target=target,
        candidate_model_id=model.model_id,
        decided_at=NOW,
        expires_at=NOW + DAY,
        checks=(PASSED,),
        candidate_digest=model.artifact_digest,
        champion_version=holder.version if holder else None,
        champion_model_id=holder.model_id if holder else None,
        decided_by="alice",
    )
    return replace(verdict, **changes)


def promote(store: Store, model: LoggedModel, *, now: int | None = None, **changes: Any) -> Any:
    """Decide and promote, each promotion a little later than the one before."""
    verdict = verdict_on(store, model, **changes)
    when = NOW + next(_counter) if now is None else now
    return store.promotions.promote(verdict.verdict_id, actor="alice", reason="better", now=when)
