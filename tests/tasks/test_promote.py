"""From measurements in the store to a promotion: evidence, verdict, errors, retries."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.store.entities import LoggedModelStatus, Metric, Outcome, RunContext
from headgate.store.errors import (
    ChampionChanged,
    GateErrored,
    GateHeld,
    GateRejected,
    HeadgateError,
    InvalidGate,
    InvalidInput,
    InvalidModel,
    NotFound,
    OlderThanChampion,
    VerdictUnusable,
)
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.validation import EVALUATION_KEY_TAG
from headgate.tasks import (
    AllOf,
    AnyOf,
    Gate,
    Improvement,
    Threshold,
    champion_to_evaluate,
    decide_promotion,
    gate_error,
    promote,
    promote_if_passing,
    promoted_before,
    roll_back,
    verdict_json,
)

NOW = 1_800_000_000_000
DAY = 86_400_000
MODEL, CHAMPION = "tumor-screening", "@champion"
GATE = Gate(
    "screening-gate",
    AllOf([Threshold("recall", at_least=0.95, dataset="holdout"), Improvement("f1", by=0.002)]),
    when_no_champion="pass",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


def measured(store: Store, recall: float, f1: float, *, digest: str = "feed1234", date: int | None = None) -> str:
    """A READY model that its run trained, evaluated on the holdout set."""
    run = store.runs.open("0", context=RunContext(logical_date=date), now=NOW)
    model = store.logged_models.create("0", source_run_id=run.info.run_id, now=NOW)
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=NOW)
    measure(store, model.model_id, {"recall": recall, "f1": f1}, digest=digest, run_id=run.info.run_id)
    return model.model_id


def measure(
    store: Store,
    model_id: str,
    values: dict[str, float],
    *,
    digest: str = "feed1234",
    run_id: str = "a" * 32,
    **more: Any,
) -> None:
    facts = {"timestamp": NOW, "dataset_name": "holdout", "dataset_digest": digest, "run_id": run_id, **more}
    store.logged_models.log_metrics(model_id, [Metric(key, value, **facts) for key, value in values.items()])


def promoted(store: Store, candidate: str, gate: Gate = GATE, **changes: Any) -> Any:
    return promote_if_passing(store, gate, MODEL, CHAMPION, candidate, **{"actor": "alice", "now": NOW, **changes})


def test_the_second_candidate_meets_the_first_as_champion(store: Store) -> None:
    first = promoted(store, measured(store, 0.96, 0.93, date=NOW - DAY), reason="first")
    assert (first.to_version, first.from_version, first.reason) == (1, None, "first")
    candidate = measured(store, 0.97, 0.94, date=NOW)
    verdict = decide_promotion(store, GATE, MODEL, CHAMPION, candidate, decided_by="bob", run_id="c" * 32, now=NOW)
    assert verdict == store.verdicts.get(verdict.verdict_id)
    assert (verdict.outcome, verdict.champion_version, verdict.candidate_logical_date) == ("pass", 1, NOW)
    assert (verdict.decided_by, verdict.run_id) == ("bob", "c" * 32)
    assert [(c.actual, c.champion_value) for c in verdict.checks] == [(0.97, None), (0.94, 0.93)]
    second = promote(store, verdict.verdict_id, actor="bob", now=NOW)
    assert (second.to_version, second.from_version, second.logical_date) == (2, 1, NOW)


def test_a_gate_file_does_as_well_as_a_gate(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("name: g\nchecks: {all_of: [{metric: recall, at_least: 0.95}]}")
    candidate = measured(store, 0.96, 0.93)
    from_file = decide_promotion(store, str(file), MODEL, CHAMPION, candidate, now=NOW)
    gate = Gate("g", AllOf([Threshold("recall", at_least=0.95)]))
    assert verdict_json(decide_promotion(store, gate, MODEL, CHAMPION, candidate, now=NOW)) == verdict_json(from_file)
    with pytest.raises(InvalidGate, match=r"none\.yaml"):
        decide_promotion(store, tmp_path / "none.yaml", MODEL, CHAMPION, candidate)


@pytest.mark.parametrize(
    ("values", "gate", "error", "says"),
    [
        ((0.5, 0.93), GATE, GateRejected, r"\[recall >= 0.95 on holdout\] recall is 0.5, which does not meet"),
        ((math.nan, 0.93), GATE, GateErrored, "recall is NaN"),
        ((0.96, math.inf), GATE, GateErrored, "f1 is infinite"),
        ((0.96, 0.93), replace(GATE, when_no_champion="hold"), GateHeld, "There is no champion"),
        ((0.96, 0.93), Gate("g", AnyOf([Threshold("auc", above=0.5)])), GateErrored, "no metric auc"),
    ],
)
def test_a_verdict_that_does_not_pass_is_recorded_and_raised(
    store: Store, values: tuple[float, float], gate: Gate, error: type[HeadgateError], says: str
) -> None:
    candidate = measured(store, *values)
    with pytest.raises(error, match=says) as caught:
        promoted(store, candidate, gate)
    verdict = store.verdicts.get(caught.value.verdict_id)
    assert (verdict.candidate_model_id, verdict.outcome) == (candidate, gate_error_outcome(caught.value))
    assert not caught.value.retryable
    assert pickle.loads(pickle.dumps(caught.value)).verdict_id == verdict.verdict_id
    assert store.promotions.history(MODEL) == ()
    assert store.gates.list() == ()
    with pytest.raises(error):
        promote(store, verdict.verdict_id, actor="alice", now=NOW)
    with pytest.raises(VerdictUnusable):
        store.promotions.promote(verdict.verdict_id, actor="alice", now=NOW)


def gate_error_outcome(error: HeadgateError) -> Outcome:
    return {GateRejected: Outcome.REJECT, GateHeld: Outcome.HOLD, GateErrored: Outcome.ERROR}[type(error)]


def test_the_message_names_the_first_failures_and_counts_the_others(store: Store) -> None:
    gate = Gate("g", AllOf([Threshold(f"m{n}", above=0) for n in range(5)]))
    verdict = decide_promotion(store, gate, MODEL, CHAMPION, measured(store, 1, 1), now=NOW)
    error = gate_error(verdict)
    assert error is not None
    assert str(error).count("has no metric") == 3
    assert "And 2 more checks." in str(error)
    assert error.exit_code == 3


def test_a_retry_after_the_promotion_finds_it_done(store: Store) -> None:
    promoted(store, measured(store, 0.96, 0.93))
    candidate = measured(store, 0.97, 0.94)
    promotion = promoted(store, candidate)
    assert promoted(store, candidate, now=NOW + 9 * DAY) == promotion
    assert len(store.promotions.history(MODEL)) == 2
    assert len(store.verdicts.search(MODEL).items) == 2


def test_another_gate_decides_anew_on_the_champion(store: Store) -> None:
    candidate = measured(store, 0.96, 0.93)
    promoted(store, candidate)
    stricter = replace(GATE, checks=AllOf([*GATE.checks.checks, Threshold("f1", above=0.9)]))
    with pytest.raises(GateErrored, match="The candidate is the champion"):
        promoted(store, candidate, stricter, now=NOW + 1)


def test_a_champion_that_was_rolled_back_has_to_pass_again(store: Store) -> None:
    promoted(store, measured(store, 0.96, 0.93))
    candidate = measured(store, 0.97, 0.94)
    first = promoted(store, candidate)
    assert roll_back(store, MODEL, CHAMPION, actor="bob", reason="wrong", from_version=2, now=NOW).to_version == 1
    again = promoted(store, candidate, now=NOW + 1)
    assert (again.to_version, again.sequence) == (2, 4)
    assert again.verdict_id != first.verdict_id


def test_a_champion_measured_on_other_data_is_to_be_evaluated_first(store: Store) -> None:
    champion = measured(store, 0.96, 0.93, digest="01d")
    assert champion_to_evaluate(store, GATE, MODEL, CHAMPION, champion, now=NOW) is None
    promoted(store, champion)
    candidate = measured(store, 0.97, 0.94)
    assert champion_to_evaluate(store, GATE, MODEL, CHAMPION, champion, now=NOW) is None
    assert champion_to_evaluate(store, GATE, MODEL, CHAMPION, candidate, now=NOW) == champion
    with pytest.raises(GateErrored, match="evaluate the champion on the candidate's data"):
        promoted(store, candidate)
    measure(store, champion, {"f1": 0.92})
    assert champion_to_evaluate(store, GATE, MODEL, CHAMPION, candidate, now=NOW) is None
    assert promoted(store, candidate, now=NOW + 1).to_version == 2


@pytest.mark.parametrize("mine", [math.nan, 0.94])
def test_a_broken_measurement_is_not_mended_by_evaluating_the_champion(store: Store, mine: float) -> None:
    champion = measured(store, 0.96, 0.93)
    promoted(store, champion)
    measure(store, champion, {"f1": math.nan}, timestamp=NOW + 1)
    candidate = measured(store, 0.97, mine)
    assert champion_to_evaluate(store, GATE, MODEL, CHAMPION, candidate, now=NOW) is None
    with pytest.raises(GateErrored, match="NaN"):
        promoted(store, candidate)


def test_only_what_the_evaluation_measured_counts_when_it_is_named(store: Store) -> None:
    candidate = measured(store, 0.5, 0.5)
    measure(store, candidate, {"recall": 0.97, "f1": 0.94}, digest="beef5678", run_id="e" * 32)
    with pytest.raises(GateErrored, match="different data"):
        promoted(store, candidate)
    assert promoted(store, candidate, evaluation_run_ids=["e" * 32], now=NOW + 1).to_version == 1


def test_what_anybody_says_of_the_champion_helps_no_candidate_when_the_evaluation_is_named(store: Store) -> None:
    champion = measured(store, 0.99, 0.99)
    promoted(store, champion)
    candidate = measured(store, 0.97, 0.94)
    rigged = store.runs.open("0", now=NOW).info.run_id
    measure(store, champion, {"f1": 0.1}, run_id=rigged, timestamp=NOW + 1)
    mine = store.logged_models.get(candidate).source_run_id
    assert decide_promotion(store, GATE, MODEL, CHAMPION, candidate, now=NOW).outcome is Outcome.PASS
    named = {"evaluation_run_ids": [mine], "now": NOW}
    verdict = decide_promotion(store, GATE, MODEL, CHAMPION, candidate, **named)
    assert (verdict.outcome, verdict.checks[1].champion_value) == (Outcome.REJECT, 0.99), "as its own gate found"

    evaluation = store.runs.open("0", tags={EVALUATION_KEY_TAG: "k"}, now=NOW).info.run_id
    measure(store, champion, {"f1": 0.93}, run_id=evaluation, timestamp=NOW + 2)
    verdict = decide_promotion(store, GATE, MODEL, CHAMPION, candidate, **named)
    assert (verdict.outcome, verdict.checks[1].champion_value) == (Outcome.PASS, 0.93)
    measure(store, champion, {"f1": 0.95}, run_id=rigged, timestamp=NOW + 3)
    both = decide_promotion(store, GATE, MODEL, CHAMPION, candidate, evaluation_run_ids=[mine, rigged], now=NOW)
    assert both.checks[1].champion_value == 0.95


def test_the_newest_of_many_points_decides_and_contradictions_are_an_error(store: Store) -> None:
    candidate = measured(store, 0.5, 0.94)
    for step in range(50):
        measure(store, candidate, {"recall": 0.5 + step / 100}, step=step, timestamp=NOW + step)
    assert promoted(store, candidate).to_version == 1
    stepped = measured(store, 0.97, 0.95)
    for step in (1, 3, 2):
        measure(store, stepped, {"recall": {1: 0.97, 2: 0.98, 3: 0.5}[step]}, step=step)
    with pytest.raises(GateRejected, match=r"recall is 0\.5"):
        promoted(store, stepped)
    twofold = measured(store, 0.97, 0.95)
    measure(store, twofold, {"recall": 0.98}, run_id="e" * 32)
    with pytest.raises(GateErrored, match="several values of the same time and step"):
        promoted(store, twofold)


def test_candidates_are_named_by_id_or_by_uri(store: Store) -> None:
    candidate = measured(store, 0.96, 0.93)
    promoted(store, candidate)
    for uri in (candidate, f"models:/{candidate}", f"models:/{MODEL}/1", f"models:/{MODEL}@champion"):
        assert decide_promotion(store, GATE, MODEL, CHAMPION, uri, now=NOW).candidate_model_id == candidate


def test_what_is_no_candidate_is_refused(store: Store) -> None:
    pending = store.logged_models.create("0", now=NOW)
    store.registry.create_model(MODEL, now=NOW)
    store.registry.create_version(MODEL, "s3://bucket/model", now=NOW)
    refusals: list[tuple[str, str, type[HeadgateError], str]] = [
        (CHAMPION, pending.model_id, InvalidModel, "PENDING, not READY"),
        (CHAMPION, f"models:/{MODEL}/1", InvalidModel, "without a LoggedModel"),
        (CHAMPION, "m-" + "0" * 32, NotFound, "No logged model"),
        (CHAMPION, f"models:/{MODEL}/9", NotFound, "version=9"),
        ("champion", measured(store, 1, 1), InvalidInput, "not the target"),
    ]
    for target, candidate, error, says in refusals:
        with pytest.raises(error, match=says):
            decide_promotion(store, GATE, MODEL, target, candidate, now=NOW)
    with pytest.raises(NotFound, match="v-none"):
        promote(store, "v-none", actor="alice")
    assert store.verdicts.search(MODEL).items == ()


def test_a_champion_without_a_logged_model_can_not_be_compared_with(store: Store) -> None:
    store.registry.create_model(MODEL, now=NOW)
    store.registry.create_version(MODEL, "s3://bucket/model", now=NOW)
    store.registry.set_alias(MODEL, "champion", 1)
    candidate = measured(store, 0.97, 0.94)
    assert champion_to_evaluate(store, GATE, MODEL, CHAMPION, candidate, now=NOW) is None
    with pytest.raises(GateErrored, match=r"champion \(version 1\) has no metric f1"):
        promoted(store, candidate)
    threshold_only = Gate("g", AllOf([Threshold("recall", above=0.9)]))
    assert promoted(store, candidate, threshold_only).from_version == 1


def test_a_backfill_does_not_displace_the_champion_unless_it_is_meant(store: Store) -> None:
    promoted(store, measured(store, 0.96, 0.93, date=NOW))
    backfilled = measured(store, 0.97, 0.94, date=NOW - DAY)
    with pytest.raises(OlderThanChampion):
        promoted(store, backfilled)
    assert promoted(store, backfilled, allow_older=True).to_version == 2


def test_a_champion_that_changes_between_verdict_and_promotion_is_noticed(store: Store) -> None:
    early = decide_promotion(store, GATE, MODEL, CHAMPION, measured(store, 0.97, 0.94), now=NOW)
    promoted(store, measured(store, 0.96, 0.93))
    with pytest.raises(ChampionChanged):
        promote(store, early.verdict_id, actor="alice", now=NOW)


def test_without_a_time_the_clock_is_read(store: Store) -> None:
    candidate = measured(store, 0.96, 0.93)
    verdict = decide_promotion(store, GATE, MODEL, CHAMPION, candidate)
    promotion = promote(store, verdict.verdict_id, actor="alice")
    assert verdict.decided_at <= promotion.created_at < verdict.expires_at
    assert roll_back(store, MODEL, CHAMPION, actor="alice").to_version is None


def test_work_that_runs_again_finds_what_it_promoted_under_whoever_came_since(store: Store) -> None:
    work = {"run_id": "d" * 32}
    first = measured(store, 0.96, 0.93)
    assert promoted_before(store, MODEL, CHAMPION, first, **work) is None
    promotion = promoted(store, first, **work)
    later = promoted(store, measured(store, 0.97, 0.94))
    found = promoted_before(store, MODEL, CHAMPION, f"models:/{MODEL}/1", **work)
    assert found is not None
    assert found[1] == promotion
    assert (found[0].used_by, found[0].run_id) == (promotion.promotion_id, "d" * 32)
    assert promoted_before(store, MODEL, CHAMPION, first, run_id="e" * 32) is None
    assert store.promotions.current(MODEL, CHAMPION) == later
