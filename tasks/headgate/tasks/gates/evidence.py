"""What a gate decides on: the measurements of a model, and which of them a check may use.

Choosing a measurement fails closed: whatever is missing, ambiguous, unusable or too old is a problem in words, and a
check with a problem is an error.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headgate.store.entities import Approval, Metric, Outcome
from headgate.tasks.gates.metric_checks import Improvement, MetricCheck, max_age_of, prefix_of
from headgate.tasks.gates.model import Gate, leaves
from headgate.tasks.model_format.signature import ModelSignature


@dataclass(frozen=True, slots=True)
class ValidationFound:
    """A recorded validation of data by a suite of expectations.

    Args:
        results: of each expectation: its rule, severity and outcome, in the suite's order.
        run_id: the run that validated.
        validated_at: epoch ms.
    """

    suite: str
    suite_digest: str
    dataset_name: str
    dataset_digest: str
    results: tuple[tuple[str, str, Outcome], ...]
    run_id: str
    validated_at: int


@dataclass(frozen=True, slots=True)
class PairedFound:
    """What came of comparing two evaluations on the same data row by row.

    Args:
        metric, test, higher_is_better, confidence: what was compared, and how.
        dataset_digest: of the data that both measured.
        candidate_run_id, champion_run_id: the runs that measured, whose rows were compared.
        rows: how many were compared.
        p_value: how likely such rows are when the candidate is no better; None for a bootstrap.
        low: the improvement of the metric is at least this with the confidence asked for; None for the other tests.
        problem: why there is no result, in words.
    """

    metric: str
    test: str
    higher_is_better: bool
    confidence: float
    dataset_digest: str
    candidate_run_id: str
    champion_run_id: str
    rows: int = 0
    p_value: float | None = None
    low: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionAnswer:
    """What a function of the gate answered about the candidate.

    Args:
        key: which check it answers: :attr:`headgate.tasks.gates.outside_checks.Function.key`.
        outcome: what it says; it can't say ``error`` and nothing more.
        problem: why there is no answer, such as what it raised.
    """

    key: str
    outcome: Outcome
    message: str = ""
    actual: float | None = None
    threshold: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one model, the candidate or the champion, when a gate decides.

    Args:
        model_id: the LoggedModel; None for a champion that was registered without one, which has no measurements.
        artifact_digest: digest of the model's files; None for an external model.
        logical_date: what the model stands for in time, epoch ms; None when its run did not say.
        measurements: every point of the metrics that the gate reads, each with its dataset and its run.
        version: the registered version, for the champion.
        size: of the model's files, in bytes; None when nobody counted them, or there are none.
        signature: what the model takes and gives; None when it does not say.
        validations: of data that belong to the candidate.
        paired: comparisons of the candidate's rows with the champion's.
        answers: of the gate's functions.
        approvals: what people said of this candidate, by this gate, for this target, against this champion.
    """

    model_id: str | None
    artifact_digest: str | None = None
    logical_date: int | None = None
    measurements: tuple[Metric, ...] = ()
    version: int | None = None
    size: int | None = None
    signature: ModelSignature | None = None
    validations: tuple[ValidationFound, ...] = ()
    paired: tuple[PairedFound, ...] = ()
    answers: tuple[FunctionAnswer, ...] = ()
    approvals: tuple[Approval, ...] = ()


class Measurements:
    """The measurements of one model by the metric's key. A point that names another model was gathered by mistake."""

    __slots__ = ("_by_key", "_single")

    def __init__(self, evidence: Evidence) -> None:
        self._by_key: dict[str, list[Metric]] = {}
        self._single: dict[str, Finding | None] = {}
        mine = (None, evidence.model_id)
        for metric in evidence.measurements:
            if metric.model_id in mine:
                self._by_key.setdefault(metric.key, []).append(metric)

    def of(self, key: str) -> list[Metric]:
        return self._by_key.get(key, [])

    def single(self, key: str) -> Finding | None:
        """Return the candidate's only measurement of a metric, when it has one, on data with a digest."""
        if key not in self._single:
            found = self.of(key)
            sound = len(found) == 1 and found[0].dataset_digest
            self._single[key] = _usable(key, found, "candidate") if sound else None
        return self._single[key]

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that start with a prefix, sorted."""
        return sorted(key for key in self._by_key if key.startswith(prefix))


@dataclass(slots=True)
class Finding:
    """The measurement that a check uses, or why it has none. ``metric`` may be set beside a ``problem``, to show it."""

    metric: Metric | None
    problem: str | None = None


def candidate_measurement(
    check: MetricCheck, measured: Measurements, now: int, max_age_ms: int | None, key: str | None = None
) -> Finding:
    """Return the candidate's measurement that ``check`` is about; ``key`` is another metric's than the check's own.

    Measurements without a dataset digest are no evidence. Those that remain, after the dataset and the digest that the
    check names, must be of one digest; of several on that digest the newest counts (timestamp, then step). It is too
    old, or from a clock that can't be trusted, when it lies more than ``max_age_ms`` before or after ``now``.
    """
    return chosen_measurement(
        key or check.metric, measured, now, max_age_ms, dataset=check.dataset, digest=check.dataset_digest
    )


def chosen_measurement(
    key: str,
    measured: Measurements,
    now: int,
    max_age_ms: int | None,
    *,
    dataset: str | None = None,
    digest: str | None = None,
) -> Finding:
    """Return the measurement of a metric; see :func:`candidate_measurement`."""
    if dataset is None and digest is None and (single := measured.single(key)) is not None:
        return _fresh(single, now, max_age_ms)
    found = measured.of(key)
    if not found:
        return Finding(None, f"the candidate has no metric {key}")
    on_data = [m for m in found if m.dataset_digest]
    if not on_data:
        return Finding(_newest(found)[0], f"{key} was logged without the digest of a dataset")
    wanted = [m for m in on_data if dataset in (None, m.dataset_name) and digest in (None, m.dataset_digest)]
    if not wanted:
        return Finding(None, f"{key} was not measured{_wanted_words(dataset, digest)}, but on {_datasets(on_data)}")
    if len(wanted) > 1 and len({m.dataset_digest for m in wanted}) > 1:
        return Finding(None, f"{key} was measured on different data: {_datasets(wanted)}; the check must name one")
    return _fresh(_usable(key, _newest(wanted), "candidate"), now, max_age_ms)


def slices_of(check: MetricCheck, measured: Measurements) -> tuple[str | None, list[str]]:
    """Return the digest of the one dataset that the slices of a check were measured on, and their keys.

    Slices of other data are left out; what was measured without a digest is not, and no evidence. The digest is None
    where the data that the check names are not one dataset.
    """
    found = {key: [m for m in measured.of(key) if m.dataset_digest] for key in measured.keys(prefix_of(check))}
    wanted = {
        key: {
            m.dataset_digest
            for m in points
            if check.dataset in (None, m.dataset_name) and check.dataset_digest in (None, m.dataset_digest)
        }
        for key, points in found.items()
    }
    digests: set[str | None] = set().union(*wanted.values())
    if len(digests) != 1:
        return None, list(found)
    return digests.pop(), [key for key, points in found.items() if wanted[key] or not points]


def slices_on(digest: str, measured: Measurements, prefix: str) -> list[Metric]:
    """Return a measurement on a dataset for each key with a prefix, sorted by key; the newest."""
    on_data = ([m for m in measured.of(key) if m.dataset_digest == digest] for key in measured.keys(prefix))
    return [_newest(points)[0] for points in on_data if points]


def champion_measurement(key: str, champion: Evidence, measured: Measurements, candidate_metric: Metric) -> Finding:
    """Return the champion's measurement on the very data that the candidate was measured on.

    Its age does not matter: the same model on the same data is the same measurement.
    """
    found = measured.of(key)
    if not found:
        return Finding(None, f"the champion{_version(champion)} has no metric {key}")
    same = found
    if len(found) > 1 or not found[0].dataset_digest or found[0].dataset_digest != candidate_metric.dataset_digest:
        same = on_data_of(candidate_metric, measured, key)
    if not same:
        digested = [m for m in found if m.dataset_digest]
        elsewhere = _datasets(digested) if digested else "data without a digest"
        return Finding(
            None,
            f"the champion{_version(champion)} was measured on {elsewhere}, the candidate on "
            f"{_datasets([candidate_metric])}; evaluate the champion on the candidate's data",
        )
    return _usable(key, _newest(same), "champion")


def on_data_of(candidate_metric: Metric, measured: Measurements, key: str) -> list[Metric]:
    """Return the measurements of a metric on the data of another measurement."""
    digest = candidate_metric.dataset_digest
    return [m for m in measured.of(key) if m.dataset_digest and m.dataset_digest == digest]


def unmeasured(
    gate: Gate, evidence: Evidence, champion: Evidence | None, now: int, keys: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the metrics that the champion lacks: compared by the gate, measured on the candidate, not on the champion.

    Measuring the champion on the candidate's data, and deciding then, spares an error. Other problems it can't mend.

    Args:
        keys: what the figures of evaluating runs are known by, by run id. What the champion has by another key than the
            candidate's it lacks; a candidate that was measured by none takes what there is.
    """
    keys = keys or {}
    if champion is None or champion.model_id is None or champion.model_id == evidence.model_id:
        return ()
    mine, theirs = Measurements(evidence), Measurements(champion)
    lacking = set()
    for check in leaves(gate.checks):
        if isinstance(check, Improvement):
            max_age_ms = max_age_of(check, gate.max_age_ms)
            for key in [check.metric] if check.slices is None else mine.keys(prefix_of(check)):
                found = candidate_measurement(check, mine, now, max_age_ms, key)
                if found.metric is None or found.problem:
                    continue
                same = on_data_of(found.metric, theirs, key)
                wanted = keys.get(str(found.metric.run_id))
                if not same or (wanted is not None and keys.get(str(_newest(same)[0].run_id)) != wanted):
                    lacking.add(key)
    return tuple(sorted(lacking))


def usable_number(value: object) -> bool:
    """Say whether a value can be compared. MLflow writes an infinite metric as the largest double, so that is none."""
    if type(value) is float:
        return -sys.float_info.max < value < sys.float_info.max  # NaN is not
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < sys.float_info.max


def _newest(measured: Iterable[Metric]) -> list[Metric]:
    """Return the newest measurements: one, or several of the same instant and step."""
    measured = list(measured)
    if len(measured) == 1:
        return measured
    newest = max((m.timestamp, m.step) for m in measured)
    return [m for m in measured if (m.timestamp, m.step) == newest]


def _usable(key: str, newest: list[Metric], whose: str) -> Finding:
    metric = newest[0]
    if len(newest) == 1 and usable_number(metric.value):
        return Finding(metric)
    if any(not usable_number(m.value) for m in newest):
        unusable = next(m for m in newest if not usable_number(m.value))
        return Finding(unusable, f"the {whose}'s {key} is {_value_words(unusable.value)}")
    if len({m.value for m in newest}) > 1:
        return Finding(metric, f"the {whose}'s {key} has several values of the same time and step")
    return Finding(metric)


def _fresh(finding: Finding, now: int, max_age_ms: int | None) -> Finding:
    metric = finding.metric
    if finding.problem or metric is None or max_age_ms is None:
        return finding
    age = now - metric.timestamp
    if age > max_age_ms:
        return Finding(metric, f"{metric.key} was measured {age // 1000} s ago, more than the gate's max_age")
    if -age > max_age_ms:
        return Finding(metric, f"{metric.key} is dated {-age // 1000} s in the future, further than the gate's max_age")
    return finding


def _value_words(value: object) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return "infinite" if isinstance(value, int | float) and not isinstance(value, bool) else f"no number ({value!r})"


def _wanted_words(dataset: str | None, digest: str | None) -> str:
    return f" on {dataset or 'a dataset'}{f' with digest {digest}' if digest else ''}"


def _datasets(measured: Iterable[Metric]) -> str:
    named = sorted({f"{m.dataset_name or 'a dataset without a name'} (digest {m.dataset_digest})" for m in measured})
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")


def _version(champion: Evidence) -> str:
    return "" if champion.version is None else f" (version {champion.version})"
