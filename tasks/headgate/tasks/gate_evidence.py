"""Gathering what a gate decides on: from the store, from artifacts, from the gate's functions and from people.

Only what the gate's checks ask for is gathered. What is not there is left out, and the check that misses it says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headgate.store.entities import Approval as ApprovalWord
from headgate.store.entities import Metric, Outcome, RunStatus
from headgate.store.errors import HeadgateError, InvalidModel, NotFound
from headgate.store.validation import EVALUATION_KEY_TAG, VALIDATION_TAG
from headgate.tasks.gates.callables import ask
from headgate.tasks.gates.evidence import (
    Evidence,
    Measurements,
    PairedFound,
    ValidationFound,
    candidate_measurement,
    champion_measurement,
)
from headgate.tasks.gates.metric_checks import max_age_of
from headgate.tasks.gates.model import (
    Approval,
    Budget,
    Demand,
    Expectations,
    Function,
    Gate,
    Improvement,
    Signature,
    leaves,
)

if TYPE_CHECKING:
    from headgate.store.promotion_evidence import Contender, Contest
    from headgate.store.store import Store
    from headgate.tasks.model_format.signature import ModelSignature

_MOST_VALIDATIONS = 50
_VALIDATION_JSON = "validation/validation.json"


@dataclass(frozen=True, slots=True)
class Gathered:
    """The evidence on both sides of a decision; ``champion`` is None when nobody holds the target."""

    candidate: Evidence
    champion: Evidence | None


def read_contest(
    store: Store, gate: Gate, model_name: str, target: str, model_id: str, run_ids: Collection[str] | None
) -> Contest:
    """Return the candidate and the holder of the target, with the measurements that a gate reads."""
    prefixes = gate.metric_prefixes
    return store.promotions.contest(model_name, target, model_id, gate.metrics, run_ids=run_ids, prefixes=prefixes)


def gather(
    store: Store,
    gate: Gate,
    contest: Contest,
    model_name: str,
    target: str,
    *,
    run_ids: Collection[str] | None,
    now: int,
) -> Gathered:
    """Return all evidence that a gate asks for.

    Args:
        contest: from :func:`read_contest`.
        run_ids: validations among these runs count too, whatever data they were of.
        now: UTC epoch ms, which the gate's functions are told.

    Raises:
        ArtifactStoreUnavailable, StoreUnavailable: no answer; a retry may help.
    """
    checks = tuple(leaves(gate.checks))
    candidate = _with_files(store, evidence_of(contest.candidate), checks)
    champion = None
    if contest.champion is not None:
        champion = evidence_of(contest.champion)
        if any(isinstance(check, Signature) for check in checks):
            champion = replace(champion, signature=_signature(store, champion.model_id))
    if any(isinstance(check, Expectations) for check in checks):
        candidate = replace(candidate, validations=_validations(store, candidate, run_ids))
    if any(isinstance(check, Approval) for check in checks):
        candidate = replace(candidate, approvals=_approvals(store, gate, contest, model_name, target))
    tested = [check for check in checks if isinstance(check, Improvement) and check.test is not None]
    if tested and champion is not None:
        candidate = replace(candidate, paired=tuple(_paired(store, gate, tested, candidate, champion, now)))
    functions = {check.key: check for check in checks if isinstance(check, Function)}
    answers = (
        ask(check, candidate, champion, model_name=model_name, target=target, now=now) for check in functions.values()
    )
    return Gathered(replace(candidate, answers=tuple(answers)), champion)


def evidence_of(contender: Contender) -> Evidence:
    """Return what the store knows of one side, measurements and all."""
    return Evidence(
        model_id=contender.model_id,
        artifact_digest=contender.artifact_digest,
        logical_date=contender.logical_date,
        measurements=contender.measurements,
        version=contender.version,
    )


def evaluation_keys(store: Store, measured: Iterable[Metric]) -> dict[str, str]:
    """Return what the figures of the runs that measured are known by, by run id; runs without such a key are left out.

    A run that the script of an evaluation nested in its own has the evaluation's key.
    """
    runs = store.runs.get_many(sorted({metric.run_id for metric in measured if metric.run_id}))
    inner = {
        run.info.run_id: parent
        for run in runs
        if EVALUATION_KEY_TAG not in run.tags and (parent := run.info.parent_run_id) is not None
    }
    outer = store.runs.get_many(sorted(set(inner.values()))) if inner else ()
    keys = {run.info.run_id: run.tags[EVALUATION_KEY_TAG] for run in (*runs, *outer) if EVALUATION_KEY_TAG in run.tags}
    return keys | {run_id: keys[parent] for run_id, parent in inner.items() if parent in keys}


def _with_files(store: Store, candidate: Evidence, checks: Iterable[Demand]) -> Evidence:
    for check in checks:
        if isinstance(check, Budget) and check.is_size and candidate.size is None:
            candidate = replace(candidate, size=model_size(store, str(candidate.model_id)))
        if isinstance(check, Signature) and candidate.signature is None:
            candidate = replace(candidate, signature=_signature(store, candidate.model_id))
    return candidate


def model_size(store: Store, model_id: str) -> int | None:
    """Return the bytes of a LoggedModel's files; None for one whose files are kept elsewhere."""
    files = store.artifacts(store.logged_models.get(model_id).artifact_location).list(recursive=True)
    sizes = [file.file_size or 0 for file in files if not file.is_dir]
    return sum(sizes) if sizes else None


def _signature(store: Store, model_id: str | None) -> ModelSignature | None:
    from headgate.tasks.model_format.mlmodel import MLMODEL_FILE, parse_mlmodel

    if model_id is None:
        return None
    artifacts = store.artifacts(store.logged_models.get(model_id).artifact_location)
    try:
        with artifacts.open(MLMODEL_FILE) as file:
            return parse_mlmodel(file.read(), f"the MLmodel file of {model_id}").signature
    except (NotFound, InvalidModel):
        return None


def _validations(store: Store, candidate: Evidence, run_ids: Collection[str] | None) -> tuple[ValidationFound, ...]:
    """Return the validations of data that the candidate was measured on or trained with, and those that were named."""
    digests = {metric.dataset_digest for metric in candidate.measurements if metric.dataset_digest}
    source = store.logged_models.get(str(candidate.model_id)).source_run_id
    if source is not None:
        digests |= {item.dataset.digest for item in store.runs.get(source).dataset_inputs}
    found = list(store.datasets.runs_with(digests, tag=VALIDATION_TAG, max_results=_MOST_VALIDATIONS))
    named = [run_id for run_id in run_ids or () if run_id not in found]
    kept = (_validation(store, run_id) for run_id in [*found, *named])
    return tuple(validation for validation in kept if validation is not None)


def _validation(store: Store, run_id: str) -> ValidationFound | None:
    from headgate.tasks.expectations.results import validation_from_json

    run = store.runs.get(run_id)
    if VALIDATION_TAG not in run.tags or run.info.status is not RunStatus.FINISHED:
        return None
    try:
        with store.artifacts(run.info.artifact_uri).open(_VALIDATION_JSON) as file:
            said = validation_from_json(file.read())
    except NotFound:
        return None
    return ValidationFound(
        suite=said.suite,
        suite_digest=said.suite_digest,
        dataset_name=said.dataset.name,
        dataset_digest=said.dataset.digest,
        results=tuple((result.rule, result.severity, Outcome(result.outcome)) for result in said.results),
        run_id=run_id,
        validated_at=said.validated_at,
    )


def _approvals(store: Store, gate: Gate, contest: Contest, model_name: str, target: str) -> tuple[ApprovalWord, ...]:
    """Return what people said of this candidate's verdicts by this gate, against this champion."""
    return store.approvals.of_held(
        model_name,
        target,
        candidate_model_id=str(contest.candidate.model_id),
        candidate_digest=contest.candidate.artifact_digest,
        gate_digest=gate.digest,
        champion_version=contest.champion.version if contest.champion is not None else None,
    )


def _paired(
    store: Store, gate: Gate, checks: Iterable[Improvement], candidate: Evidence, champion: Evidence, now: int
) -> Iterable[PairedFound]:
    from headgate.tasks.evaluators.paired import compare_rows
    from headgate.tasks.evaluators.rows import read_rows

    mine, theirs = Measurements(candidate), Measurements(champion)
    for check in checks:
        left = candidate_measurement(check, mine, now, max_age_of(check, gate.max_age_ms)).metric
        right = None if left is None else champion_measurement(check.metric, champion, theirs, left).metric
        if left is None or right is None or left.run_id is None or right.run_id is None:
            continue
        about = PairedFound(
            metric=check.metric,
            test=str(check.test),
            higher_is_better=check.higher_is_better,
            confidence=float(check.confidence or 0.0),
            dataset_digest=str(left.dataset_digest),
            candidate_run_id=left.run_id,
            champion_run_id=right.run_id,
        )
        try:
            yield compare_rows(about, read_rows(store, left.run_id), read_rows(store, right.run_id))
        except HeadgateError as error:
            if error.retryable:
                raise
            yield replace(about, problem=error.message.rstrip("."))
