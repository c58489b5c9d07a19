"""What was found out about data: plain frozen values, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from headgate.store.canonical import canonical_json, to_plain
from headgate.store.entities import Dataset, Outcome
from headgate.tasks.expectations.suite import SEVERITIES


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """What came of one expectation.

    Args:
        rule: the expectation in words.
        severity: one of :data:`headgate.tasks.expectations.suite.SEVERITIES`.
        outcome: ``pass``, ``reject`` (the data don't meet it) or ``error`` (it could not be judged).
        message: why, in one sentence, without values of the data.
        element_count: how many values were looked at; None where it does not look at values.
        unexpected_count: how many of them are not as expected.
        unexpected_percent: the same in percent of the values that are not missing.
        observed: what was measured instead, such as a mean or a row count.
        examples: the first unexpected values, at most 20.
    """

    type: str
    kwargs: Mapping[str, Any]
    rule: str
    severity: str
    outcome: Outcome
    message: str
    element_count: int | None = None
    unexpected_count: int | None = None
    unexpected_percent: float | None = None
    observed: Any = None
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class DataValidation:
    """What came of validating data against a suite.

    Args:
        run_id: the run that validated, which keeps the reports.
        dataset: what was validated, with its digest; an input of the run.
        rows: how many rows there are.
        fail_at: the mildest severity at which data that don't meet an expectation are rejected.
        outcome: ``error`` when an expectation could not be judged, ``reject`` when one of ``fail_at`` or worse is not
            met, else ``pass``.
        validated_at: epoch ms.
        artifact_uri: of the run.
        json_path, html_path: of the reports, among the run's artifacts.
    """

    run_id: str
    suite: str
    suite_digest: str
    dataset: Dataset
    rows: int
    fail_at: str
    outcome: Outcome
    results: tuple[ExpectationResult, ...]
    validated_at: int
    artifact_uri: str
    json_path: str
    html_path: str

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        """What decided that the data don't pass, errors first."""
        errors = [result for result in self.results if result.outcome is Outcome.ERROR]
        return (*errors, *(result for result in self.results if _rejects(result, self.fail_at)))


def outcome_of(results: tuple[ExpectationResult, ...], fail_at: str) -> Outcome:
    """Return what a suite's results come to; see :class:`DataValidation`."""
    if any(result.outcome is Outcome.ERROR for result in results):
        return Outcome.ERROR
    return Outcome.REJECT if any(_rejects(result, fail_at) for result in results) else Outcome.PASS


def validation_json(validation: DataValidation) -> str:
    """Return a validation as canonical JSON, which :func:`validation_from_json` reads."""
    return canonical_json(to_plain(validation))


def validation_from_json(text: str | bytes) -> DataValidation:
    """Return the validation that :func:`validation_json` wrote. Numbers that JSON doesn't have stay texts."""
    said = _known(DataValidation, json.loads(text))
    results = tuple(
        ExpectationResult(**{**found, "outcome": Outcome(found["outcome"]), "examples": tuple(found["examples"])})
        for found in (_known(ExpectationResult, result) for result in said["results"])
    )
    dataset = Dataset(**_known(Dataset, said["dataset"]))
    return DataValidation(**{**said, "dataset": dataset, "results": results, "outcome": Outcome(said["outcome"])})


def _rejects(result: ExpectationResult, fail_at: str) -> bool:
    return result.outcome is Outcome.REJECT and SEVERITIES.index(result.severity) >= SEVERITIES.index(fail_at)


def _known(of: type[Any], said: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(of)}
    return {name: value for name, value in said.items() if name in names}
