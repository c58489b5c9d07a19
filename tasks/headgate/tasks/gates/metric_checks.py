"""Checks on metrics: a bound, or a comparison with the champion; on one figure, or in every slice of the data."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from headgate.store.errors import InvalidGate
from headgate.tasks.gates.bounds import Bound, settle_bound
from headgate.tasks.gates.demand import Demand, demand_definition, put, settle_age, settle_demand, settle_texts
from headgate.tasks.gates.values import (
    EXACT,
    duration_ms,
    exactly,
    json_number,
    margin_value,
    member_value,
    number_value,
    plain,
    text_value,
)
from headgate.tasks.slices import slice_prefix

DEFAULT_CONFIDENCE = 0.95


class PairedTest(StrEnum):
    """How rows of two evaluations on the same data are compared, so that noise is no improvement.

    ``mcnemar`` asks who is right more often where the two differ (exact, one-sided); ``wilcoxon`` whether the errors of
    the rows shrank (signed ranks, one-sided); ``bootstrap`` what the improvement of the metric is at least, over
    resampled rows, with the check's confidence.
    """

    MCNEMAR = "mcnemar"
    WILCOXON = "wilcoxon"
    BOOTSTRAP = "bootstrap"


@dataclass(frozen=True, slots=True)
class Threshold(Demand):
    """A bound on one of the candidate's metrics. Exactly one of the four bounds is given.

    Args:
        metric: the metric's key.
        at_least: the metric must be >= this.
        above: the metric must be > this.
        at_most: the metric must be <= this.
        below: the metric must be < this.
        dataset: name of the dataset that the metric must be measured on; None takes whichever it was measured on, as
            long as that is one.
        dataset_digest: digest of that dataset, where a gate pins it.
        slices: a column of the data: the bound holds for the worst of its slices, and so for each.
        max_age: how old the measurement may be; None asks the gate.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.

    Raises:
        InvalidGate: no bound or several, or a value of the wrong kind.
    """

    metric: str
    _: KW_ONLY
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    dataset: str | None = None
    dataset_digest: str | None = None
    slices: str | None = None
    max_age: str | timedelta | None = None
    bound: Bound = field(init=False, repr=False, compare=False, default=Bound.AT_LEAST)
    demanded: float = field(init=False, repr=False, compare=False, default=0.0)
    """The number beside the bound."""

    def __post_init__(self) -> None:
        _settle_metric_check(self)
        bound = settle_bound(
            self, f"A threshold on {self.metric!r}", "Give one bound per check; two bounds are two checks of an all_of."
        )
        put(self, "bound", bound)
        put(self, "demanded", getattr(self, bound.value))
        put(self, "rule", f"{self.metric} {self.bound.symbol} {plain(self.demanded)}{_where(self)}")

    @property
    def kind(self) -> str:
        return "threshold" if self.slices is None else "worst_slice"

    def holds(self, actual: float) -> bool:
        """Say whether a finite number satisfies the bound.

        Floats are in the order of the decimals that they are written as, so nothing has to be converted.
        """
        if self.at_least is not None:
            return actual >= self.at_least
        if self.at_most is not None:
            return actual <= self.at_most
        return actual > self.demanded if self.above is not None else actual < self.demanded

    def definition(self) -> dict[str, Any]:
        return {"metric": self.metric, self.bound.value: json_number(self.demanded), **_definition(self)}


@dataclass(frozen=True, slots=True)
class Improvement(Demand):
    """The candidate's metric must improve on the champion's, measured on the same data.

    Args:
        metric: the metric's key.
        by: the margin. A number is absolute, a text such as ``1%`` relative to the champion's magnitude. With a margin
            the candidate must be at least that much better: ``0`` asks for as good as, a negative one for not worse by
            more than it. Without one it must be strictly better.
        higher_is_better: False for errors and losses.
        dataset: name of the dataset that the metric must be measured on.
        dataset_digest: digest of that dataset, where a gate pins it.
        slices: a column of the data: the candidate must keep to the margin in every slice of it.
        max_age: how old the candidate's measurement may be; None asks the gate.
        test: a paired test on the rows of both evaluations, which must have been kept.
        confidence: of the test, between 0.5 and 1; 0.95 unless said.
        severity, owner, reason, on_error: see :class:`~headgate.tasks.gates.demand.Demand`.

    Raises:
        InvalidGate: a value of the wrong kind, a margin that is neither a number nor a percentage, or a test that the
            rest of the check leaves without a meaning.
    """

    metric: str
    _: KW_ONLY
    by: float | str | None = None
    higher_is_better: bool = True
    dataset: str | None = None
    dataset_digest: str | None = None
    slices: str | None = None
    max_age: str | timedelta | None = None
    test: PairedTest | None = None
    confidence: float | None = None
    margin: Decimal = field(init=False, repr=False, compare=False, default=Decimal(0))
    """The margin, exactly; a relative one as a fraction of the champion's magnitude (``"1%"`` is 1/100)."""
    bound: Bound = field(init=False, repr=False, compare=False, default=Bound.ABOVE)

    def __post_init__(self) -> None:
        _settle_metric_check(self)
        if not isinstance(self.higher_is_better, bool):
            raise InvalidGate(
                f"higher_is_better must be true or false, not {self.higher_is_better!r}.",
                remedy="Write false for errors and losses, where less is better.",
                key="higher_is_better",
            )
        if self.by is not None:
            put(self, "by", margin_value(self.by))
        put(self, "margin", self._exact_margin())
        strict, at_least = (Bound.ABOVE, Bound.AT_LEAST) if self.higher_is_better else (Bound.BELOW, Bound.AT_MOST)
        put(self, "bound", strict if self.by is None else at_least)
        self._settle_test()
        at = "" if self.test is None else f", by {self.test} at {plain(100 * (self.confidence or 0))}% confidence"
        put(self, "rule", f"{self.metric} {self.bound.symbol} champion{self._margin_words()}{_where(self)}{at}")

    def _settle_test(self) -> None:
        if self.test is None:
            if self.confidence is not None:
                raise InvalidGate(
                    f"The comparison of {self.metric!r} has a confidence and no test.",
                    remedy="Add test: bootstrap, mcnemar or wilcoxon.",
                    key="confidence",
                )
            return
        put(self, "test", member_value(PairedTest, self.test, "test"))
        put(self, "confidence", _confidence(self.confidence))
        if self.slices is not None:
            raise InvalidGate(
                f"The comparison of {self.metric!r} has both slices and a test.",
                remedy="Make two checks of it: the test compares all rows.",
                key="test",
            )
        if self.test is not PairedTest.BOOTSTRAP and self.margin < 0:
            raise InvalidGate(
                f"{self.test} asks whether the candidate is better; the margin {self.by!r} allows it to be worse.",
                remedy="Use test: bootstrap, whose bound can be held to a negative margin, or leave the test out.",
                key="test",
            )

    @property
    def kind(self) -> str:
        return "improvement" if self.slices is None else "slices"

    @property
    def compares(self) -> bool:
        return True

    @property
    def relative(self) -> bool:
        return isinstance(self.by, str)

    def _exact_margin(self) -> Decimal:
        if isinstance(self.by, str):
            return EXACT.scaleb(Decimal(self.by[:-1]), -2)
        return exactly(self.by or 0.0)

    def demanded(self, champion_value: float) -> Decimal:
        """Return what the candidate must reach against a champion with this finite value, exactly."""
        champion = exactly(champion_value)
        if self.by is None:
            return champion
        margin = EXACT.multiply(self.margin, EXACT.abs(champion)) if self.relative else self.margin
        return EXACT.add(champion, margin) if self.higher_is_better else EXACT.subtract(champion, margin)

    def _margin_words(self) -> str:
        if not self.margin:
            return ""
        sign = "+" if (self.margin > 0) is self.higher_is_better else "-"
        size = self.by.lstrip("-") if isinstance(self.by, str) else plain(abs(self.by or 0.0))
        return f" {sign} {size}"

    def definition(self) -> dict[str, Any]:
        margin = {} if self.by is None else {"by": self.by if isinstance(self.by, str) else json_number(self.by)}
        test = {} if self.test is None else {"test": self.test.value, "confidence": self.confidence}
        return {
            "metric": self.metric,
            "improves_on": "champion",
            **margin,
            **test,
            "higher_is_better": self.higher_is_better,
            **_definition(self),
        }


MetricCheck = Threshold | Improvement


def max_age_of(check: MetricCheck, otherwise: int | None) -> int | None:
    """Return how old a check's measurement may be, in ms: what it says itself, or else what the gate says."""
    return otherwise if check.max_age is None else duration_ms(check.max_age, "max_age")


def prefix_of(check: MetricCheck) -> str:
    """Return what the keys of a check's slices start with."""
    return slice_prefix(check.metric, str(check.slices))


def rows_prefix_of(check: MetricCheck) -> str:
    """Return what the keys start with that say how many rows each of a check's slices has."""
    return slice_prefix("rows", str(check.slices))


def _settle_metric_check(check: MetricCheck) -> None:
    settle_demand(check)
    put(check, "metric", text_value(check.metric, "metric"))
    settle_texts(check, "dataset", "dataset_digest", "slices")
    settle_age(check)


def _confidence(value: object) -> float:
    number = number_value(DEFAULT_CONFIDENCE if value is None else value, "confidence")
    if not 0.5 <= number < 1:
        raise InvalidGate(
            f"confidence must lie between 0.5 and 1, not at {number!r}.", remedy="Write 0.95.", key="confidence"
        )
    return number


def _definition(check: MetricCheck) -> dict[str, Any]:
    return demand_definition(check, "dataset", "dataset_digest", "slices", "max_age")


def _where(check: MetricCheck) -> str:
    sliced = f" in every slice of {check.slices}" if check.slices else ""
    name = f"{sliced} on {check.dataset}" if check.dataset else sliced
    return f"{name} (digest {check.dataset_digest})" if check.dataset_digest else name
