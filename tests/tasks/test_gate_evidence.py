"""What a gate decides on comes out of the store: slices, validations, functions, people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.store import open_store
from headgate.store.clock import now_ms
from headgate.store.entities import DatasetInput, LoggedModelStatus, Metric, Outcome
from headgate.store.errors import ArtifactStoreUnavailable, GateHeld, NotApproved, VerdictUnusable
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import (
    AllOf,
    Approval,
    Expectations,
    Function,
    Gate,
    Signature,
    Threshold,
    approve,
    decide_promotion,
    promote,
    reject,
    validate_data,
)
from headgate.tasks.gates.callables import Answer, Question
from headgate.tasks.tracking import dataset

NAME, TARGET = "screening", "@champion"
SUITE = {
    "name": "scans",
    "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": 50}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "site"}, "severity": "warning"},
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings(home=tmp_path / "home")) as opened:
        yield opened


def model(store: Store, figures: dict[str, float], data: Any, *, trained_on: Any = None) -> str:
    run = store.runs.open("0")
    made = store.logged_models.create("0", source_run_id=run.info.run_id, now=now_ms())
    if trained_on is not None:
        store.datasets.log_inputs(run.info.run_id, [DatasetInput(trained_on)])
    store.logged_models.finalize(made.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=now_ms())
    about: dict[str, Any] = {"run_id": run.info.run_id, "dataset_name": data.name, "dataset_digest": data.digest}
    points = [Metric(key, value, now_ms(), **about) for key, value in figures.items()]
    store.logged_models.log_metrics(made.model_id, points)
    return made.model_id


def decided(store: Store, candidate: str, *checks: Any, **options: Any) -> Any:
    return decide_promotion(
        store, Gate("g", AllOf(checks), when_no_champion="pass"), NAME, TARGET, candidate, **options
    )


def test_slices_are_read_by_their_prefix_and_by_nothing_like_it(store: Store) -> None:
    figures = {"recall/site:a": 0.95, "recall/SITE:b": 0.1, "recall/site_x": 0.1, "recall": 0.2}
    candidate = model(store, figures, dataset("holdout", digest="d1"))
    (check,) = decided(store, candidate, Threshold("recall", at_least=0.9, slices="site")).checks
    assert (check.outcome, check.metric) == ("pass", "recall/site:a")


def test_a_slice_whose_figure_is_not_defined_is_not_passed_over(store: Store) -> None:
    figures = {"recall/site:a": 0.95, "rows/site:a": 40.0, "rows/site:b": 20.0}
    candidate = model(store, figures, dataset("holdout", digest="d1"))
    (check,) = decided(store, candidate, Threshold("recall", at_least=0.9, slices="site")).checks
    assert (check.outcome, check.metric) == ("error", "recall/site:b")


def test_only_validations_of_the_candidates_own_data_count(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "scans.csv"
    file.write_text("age,site\n40,a\n41,b\n")
    good = validate_data(file, SUITE, store=store)
    measured = model(store, {"f1": 0.9}, good.dataset)
    trained = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"), trained_on=good.dataset)
    stranger = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    f1, check = Threshold("f1", at_least=0.5), Expectations("scans", fail_at="warning")
    verdict = decided(store, measured, f1, check)
    assert verdict.outcome is Outcome.PASS
    assert (verdict.checks[1].run_id, verdict.checks[1].dataset_digest) == (good.run_id, good.dataset.digest)
    assert decided(store, trained, f1, check).outcome is Outcome.PASS
    assert decided(store, stranger, f1, check).outcome is Outcome.ERROR
    source = str(store.logged_models.get(stranger).source_run_id)
    assert decided(store, stranger, f1, check, evaluation_run_ids=[source, good.run_id]).outcome is Outcome.PASS

    file.write_text("age,site\n99,a\n")
    bad = validate_data(file, SUITE, store=store)
    (_, rejected) = decided(store, model(store, {"f1": 0.9}, bad.dataset), f1, check).checks
    assert (rejected.outcome, rejected.actual) == ("reject", 1)


def test_a_model_without_files_has_no_signature_and_an_unreadable_one_neither(store: Store) -> None:
    candidate = model(store, {}, dataset("holdout", digest="d1"))
    assert decided(store, candidate, Signature()).outcome is Outcome.ERROR
    store.artifacts(store.logged_models.get(candidate).artifact_location).put_bytes(b"- no model", "MLmodel")
    assert decided(store, candidate, Signature()).outcome is Outcome.ERROR


def at_least(question: Question) -> Answer:
    found = question.value("f1")
    assert (question.model_name, question.target, question.champion) == (NAME, TARGET, None)
    return Answer("pass" if found >= question.parameters["least"] else "reject", actual=found)


def unavailable(question: Question) -> Answer:
    raise ArtifactStoreUnavailable("No answer.", remedy="Try again.")


def test_a_function_decides_on_the_evidence_of_the_gate(store: Store) -> None:
    candidate = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    f1 = Threshold("f1", at_least=0)
    for least, outcome in ((0.8, "pass"), (0.95, "reject")):
        check = Function(f"{__name__}:at_least", parameters={"least": least})
        found = decided(store, candidate, f1, check).checks[1]
        assert (found.outcome, found.kind, found.actual) == (outcome, "callable", 0.9)
    with pytest.raises(ArtifactStoreUnavailable):
        decided(store, candidate, f1, Function(f"{__name__}:unavailable"))


def test_a_shadow_verdict_is_recorded_and_promotes_nothing(store: Store) -> None:
    candidate = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    shadow = decided(store, candidate, Threshold("f1", at_least=0.5), shadow=True)
    assert (shadow.outcome, store.verdicts.get(shadow.verdict_id).shadow) == (Outcome.PASS, True)
    with pytest.raises(VerdictUnusable, match="shadow"):
        promote(store, shadow.verdict_id, actor="ci")
    assert store.promotions.history(NAME) == ()
    real = decided(store, candidate, Threshold("f1", at_least=0.5))
    assert promote(store, real.verdict_id, actor="ci").to_version == 1


def test_a_held_gate_passes_once_people_have_agreed(store: Store) -> None:
    candidate = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    checks = (Threshold("f1", at_least=0.5), Approval(by=["alice"]))
    held = decided(store, candidate, *checks)
    assert held.outcome is Outcome.HOLD
    with pytest.raises(GateHeld):
        promote(store, held.verdict_id, actor="ci")
    for who in ("mallory", "alice"):
        assert decided(store, candidate, *checks).outcome is Outcome.HOLD
        approve(store, held.verdict_id, actor=who, source="cli")
    verdict = decided(store, candidate, *checks)
    assert (verdict.outcome, verdict.checks[1].message) == ("pass", "Approved by alice.")
    other = (Threshold("f1", at_least=0.6), checks[1])
    assert decided(store, candidate, *other).outcome is Outcome.HOLD
    reject(store, held.verdict_id, actor="bob", source="cli", reason="Not on a Friday.")
    assert decided(store, candidate, *checks).outcome is Outcome.REJECT


def test_an_old_rejection_is_not_forgotten_however_often_the_gate_decides(store: Store) -> None:
    candidate = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    checks = (Threshold("f1", at_least=0.5), Approval())
    first = decided(store, candidate, *checks, now=1)
    held = [decided(store, candidate, *checks, now=at) for at in range(2, 104)]
    assert {verdict.outcome for verdict in held} == {Outcome.HOLD}
    reject(store, first.verdict_id, actor="bob", source="cli", now=200)
    approve(store, held[-1].verdict_id, actor="alice", source="cli", now=201)
    assert decided(store, candidate, *checks, now=202).outcome is Outcome.REJECT


def test_a_rejection_after_the_gate_has_passed_stops_the_promotion(store: Store) -> None:
    candidate = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    checks = (Threshold("f1", at_least=0.5), Approval())
    held = decided(store, candidate, *checks)
    approve(store, held.verdict_id, actor="alice", source="cli")
    verdict = decided(store, candidate, *checks)
    reject(store, held.verdict_id, actor="bob", source="cli", reason="Not on a Friday.")
    with pytest.raises(NotApproved, match="bob rejected"):
        promote(store, verdict.verdict_id, actor="ci")
    approve(store, held.verdict_id, actor="bob", source="cli")
    assert promote(store, verdict.verdict_id, actor="ci").approved_by == "bob"


def test_nobody_approves_before_the_evidence_is_there(store: Store) -> None:
    candidate = model(store, {}, dataset("holdout", digest="d1"))
    held = decided(store, candidate, Threshold("f1", at_least=0.5, on_error="hold"), Approval())
    assert held.outcome is Outcome.HOLD
    with pytest.raises(GateHeld):
        approve(store, held.verdict_id, actor="alice", source="cli")


def test_a_verdict_that_is_held_for_something_else_can_not_be_approved(store: Store) -> None:
    candidate = model(store, {"f1": 0.9}, dataset("holdout", digest="d1"))
    held = decided(store, candidate, Threshold("f1", at_least=0), Threshold("no", at_least=0, on_error="hold"))
    with pytest.raises(GateHeld):
        approve(store, held.verdict_id, actor="alice", source="cli")
