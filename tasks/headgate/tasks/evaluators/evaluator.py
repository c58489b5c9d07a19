"""What a built-in evaluation measures: plain data, with a digest that stands for everything that shapes its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from enum import StrEnum
from typing import Any

from headgate.store.canonical import digest_of
from headgate.store.errors import InvalidInput

EVALUATOR_VERSION = 2
"""Counts up when the same model on the same data would get other figures, or other rows."""


class EvaluatorKind(StrEnum):
    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    FORECASTING = "forecasting"
    RANKING = "ranking"


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A built-in evaluation.

    Args:
        kind: ``classification``, ``regression``, ``forecasting`` or ``ranking``.
        target: the column with the truth; for a ranking, how relevant a row is (0 is not).
        prediction: a column with predictions made before; None asks the model. For a ranking, the score.
        score: a column with the probability of ``positive``, for a classification; None asks the model for it, if it
            has ``predict_proba``.
        features: the columns that the model gets; None takes those of its signature, or else all that are not named
            here.
        positive: the label that precision, recall and f1 of two classes are about; None takes 1, or True.
        slices: columns; each of their values gets figures of its own, such as ``recall/site:north``.
        min_rows: slices with fewer rows get none.
        group: the column that says which rows are ranked together, for a ranking.
        order: the column that rows are ordered by in time, for a forecasting; None takes them as they stand.
        season: how many steps a season has; the errors are put in relation to those of the value a season before.
        k: how many of a ranking's first rows count.
        rows: keep each row's result as an artifact, which tests of significance need.
        latency_calls: how many calls with one row are timed; 0 times none.

    Raises:
        InvalidInput: a value that can't be.
    """

    kind: EvaluatorKind
    target: str
    _: KW_ONLY
    prediction: str | None = None
    score: str | None = None
    features: tuple[str, ...] | None = None
    positive: str | int | bool | None = None
    slices: tuple[str, ...] = ()
    min_rows: int = 10
    group: str | None = None
    order: str | None = None
    season: int = 1
    k: int = 10
    rows: bool = False
    latency_calls: int = 30

    def __post_init__(self) -> None:
        if self.kind not in list(EvaluatorKind):
            raise InvalidInput(
                f"There is no evaluator {self.kind!r}.", remedy=f"Choose one of {', '.join(EvaluatorKind)}."
            )
        object.__setattr__(self, "kind", EvaluatorKind(self.kind))
        for name in ("slices", "features"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        for name, least in (("min_rows", 1), ("season", 1), ("k", 1), ("latency_calls", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidInput(
                    f"{name} of the evaluator is {value!r}.", remedy=f"Give a whole number of at least {least}."
                )
        if self.kind is EvaluatorKind.RANKING and self.group is None:
            raise InvalidInput(
                "A ranking needs to know which rows are ranked together.",
                remedy="Say group: the column of the query, the user, …",
            )

    @property
    def key(self) -> str:
        """What figures are known by: all that shapes them, and the version of the code that computes them."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return digest_of({**said, "version": EVALUATOR_VERSION})

    @classmethod
    def of(cls, said: Evaluator | Mapping[str, Any]) -> Evaluator:
        """Return an evaluator as it is, or made of a mapping as it stands in a file.

        Raises:
            InvalidInput: an unknown or missing key, or a value that can't be.
        """
        if isinstance(said, Evaluator):
            return said
        known = [field.name for field in fields(cls)]
        unknown = [str(name) for name in said if name not in known]
        missing = [name for name in ("kind", "target") if name not in said]
        if unknown or missing:
            what = f"has no {unknown[0]}" if unknown else f"needs a {missing[0]}"
            raise InvalidInput(f"An evaluator {what}.", remedy=f"It has {', '.join(known)}.")
        return cls(**said)
