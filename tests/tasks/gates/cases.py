"""Gates and evidence that the tests of gates share: plain builders and Hypothesis strategies."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from headgate.store.entities import Metric, Severity, Verdict
from headgate.tasks.gates.decide import decide
from headgate.tasks.gates.evidence import Evidence
from headgate.tasks.gates.model import AllOf, AnyOf, Bound, Check, Gate, Improvement, NoChampion, Threshold

NOW = 1_800_000_000_000
MINUTE = 60_000
CANDIDATE = "m-" + "c" * 32
CHAMPION = "m-" + "d" * 32
RUN = "a" * 32

METRICS = ("recall", "f1", "loss")
DATASETS = ("holdout", "recent")


def point(key: str, value: float, **changes: Any) -> Metric:
    """One measurement on the holdout set, a minute old."""
    facts: dict[str, Any] = {
        "timestamp": NOW - MINUTE,
        "run_id": RUN,
        "dataset_name": "holdout",
        "dataset_digest": "feed1234",
    }
    return Metric(key, value, **{**facts, **changes})


def candidate(*points: Metric, **changes: Any) -> Evidence:
    return Evidence(**{"model_id": CANDIDATE, "artifact_digest": "ab" * 32, "measurements": points, **changes})


def champion(*points: Metric, **changes: Any) -> Evidence:
    return Evidence(**{"model_id": CHAMPION, "version": 3, "measurements": points, **changes})


def judge(gate: Gate, evidence: Evidence, against: Evidence | None = None, now: int = NOW) -> Verdict:
    return decide(gate, evidence, against, now, model_name="tumor-screening", target="@champion")


def gate_of(*checks: Check, **settings: Any) -> Gate:
    """A gate that demands all of some checks."""
    return Gate("tumor-screening", AllOf(checks), **{"when_no_champion": "pass", **settings})


finite = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) < 1.7e308)
moderate = st.floats(-1e6, 1e6)
hundredths = st.integers(-200, 200).map(lambda n: n / 100)  # so that equal values and exact margins come up
severities = st.sampled_from(list(Severity))
percentages = st.integers(-50, 50).map(lambda n: f"{n / 2}%")
datasets = st.sampled_from([None, *DATASETS])


@st.composite
def thresholds(draw: st.DrawFn, severity: st.SearchStrategy[Severity] = severities) -> Threshold:
    bound = draw(st.sampled_from(list(Bound)))
    numbers: dict[str, Any] = {bound.value: draw(hundredths | moderate)}
    return Threshold(draw(st.sampled_from(METRICS)), dataset=draw(datasets), severity=draw(severity), **numbers)


@st.composite
def improvements(draw: st.DrawFn, severity: st.SearchStrategy[Severity] = severities) -> Improvement:
    return Improvement(
        draw(st.sampled_from(METRICS)),
        by=draw(st.none() | hundredths | moderate | percentages),
        higher_is_better=draw(st.booleans()),
        dataset=draw(datasets),
        severity=draw(severity),
    )


def _groups(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    blocking = thresholds(st.just(Severity.BLOCK)) | improvements(st.just(Severity.BLOCK))
    members = st.builds(lambda first, others: [first, *others], blocking, st.lists(children, max_size=3))
    shuffled = members.flatmap(st.permutations)
    return shuffled.map(AllOf) | shuffled.map(AnyOf)


groups = _groups(st.recursive(thresholds() | improvements(), _groups, max_leaves=5))
gates = st.builds(
    Gate,
    st.sampled_from(["tumor-screening", "größer & besser", "g"]),
    groups,
    expires_after=st.sampled_from(["24h", "90s", "36h", "7d"]),
    when_no_champion=st.sampled_from(list(NoChampion)),
    max_age=st.none() | st.sampled_from(["1h", "30d"]),
)

DAY = 24 * 60 * MINUTE
times = st.sampled_from([NOW - MINUTE, NOW - 2 * MINUTE, NOW - 2 * DAY, NOW - 40 * DAY, NOW + MINUTE, NOW + 40 * DAY])
values = hundredths | moderate | st.sampled_from([float("nan"), float("inf"), -float("inf"), 1.7976931348623157e308])


@st.composite
def points(draw: st.DrawFn) -> Metric:
    return Metric(
        draw(st.sampled_from(METRICS)),
        draw(values),
        timestamp=draw(times),
        step=draw(st.integers(0, 1)),
        run_id=draw(st.sampled_from([RUN, "b" * 32])),
        dataset_name=draw(st.sampled_from([None, *DATASETS])),
        dataset_digest=draw(st.sampled_from([None, "feed1234", "feed1234", "feed1234", "beef5678"])),
    )


candidates = st.lists(points(), max_size=6).map(lambda found: candidate(*found))
champions = st.none() | st.lists(points(), max_size=6).map(lambda found: champion(*found))
