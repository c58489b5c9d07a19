"""The figures of a model on some rows, by scikit-learn. A figure that is not defined on the rows is left out.

What is left out is missing, and a gate that reads it says so: there is no NaN or invented zero to compare.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.store.errors import InvalidInput
from headgate.tasks.evaluators.evaluator import Evaluator, EvaluatorKind
from headgate.tasks.evaluators.libraries import library
from headgate.tasks.evaluators.ranking import ranking_figures


@dataclass(frozen=True, slots=True)
class Predicted:
    """Rows with what is true and what was predicted: numpy arrays of one length.

    Args:
        score: the probability of the positive class, or None.
        group: which rows are ranked together, or None.
        season_before: the true value a season before each row, NaN where there is none; or None.
        positive: the positive class; None when there are not two.
    """

    target: Any
    prediction: Any
    score: Any = None
    group: Any = None
    season_before: Any = None
    positive: Any = None

    def __len__(self) -> int:
        return len(self.target)

    def at(self, rows: Any) -> Predicted:
        """Return some of the rows, by a mask or by positions."""
        parts = (self.target, self.prediction, self.score, self.group, self.season_before)
        target, prediction, score, group, before = (None if part is None else part[rows] for part in parts)
        return Predicted(target, prediction, score, group, before, self.positive)


def figures(evaluator: Evaluator, predicted: Predicted) -> dict[str, float]:
    """Return all figures that are defined on the rows, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is not defined is left out below
        found = _KINDS[evaluator.kind](evaluator, predicted)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def row_figures(evaluator: Evaluator, predicted: Predicted) -> dict[str, Any]:
    """Return each row's own figures, by which two models can be compared row by row; arrays."""
    if evaluator.kind is EvaluatorKind.CLASSIFICATION:
        correct = {"correct": (predicted.target == predicted.prediction).astype(float)}
        if predicted.positive is None:
            return correct
        positive = {
            "positive": (predicted.target == predicted.positive).astype(float),
            "called_positive": (predicted.prediction == predicted.positive).astype(float),
        }
        return correct | positive
    if evaluator.kind is EvaluatorKind.RANKING:
        return {}
    error = abs(predicted.target - predicted.prediction)
    return {"absolute_error": error, "squared_error": error**2}


def _classification(evaluator: Evaluator, predicted: Predicted) -> dict[str, float]:
    metrics, truth, said = library("sklearn.metrics"), predicted.target, predicted.prediction
    numpy = library("numpy")
    two = predicted.positive is not None
    how: dict[str, Any] = {"pos_label": predicted.positive, "average": "binary"} if two else {"average": "macro"}
    found = {
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
    }
    if two:
        right, called = truth == predicted.positive, said == predicted.positive
        hits, called_sum, right_sum = (right & called).sum(), called.sum(), right.sum()
        found["precision"] = hits / called_sum if called_sum else math.nan
        found["recall"] = hits / right_sum if right_sum else math.nan
        found["specificity"] = (~right & ~called).sum() / (~right).sum() if (~right).any() else math.nan
        found["f1"] = 2 * hits / (called_sum + right_sum) if right_sum else math.nan
    else:
        for name in ("precision", "recall", "f1"):
            found[name] = getattr(metrics, f"{name}_score")(truth, said, zero_division=numpy.nan, **how)
    if len(set(truth.tolist())) > 1:
        found["matthews_corrcoef"] = metrics.matthews_corrcoef(truth, said)
    if predicted.score is not None and two:
        hit = (truth == predicted.positive).astype(int)
        found["brier"] = float(((predicted.score - hit) ** 2).mean())
        found["log_loss"] = metrics.log_loss(hit, predicted.score, labels=[0, 1])
        if 0 < hit.sum() < len(hit):
            found["roc_auc"] = metrics.roc_auc_score(hit, predicted.score)
            found["average_precision"] = metrics.average_precision_score(hit, predicted.score)
    return found


def _regression(evaluator: Evaluator, predicted: Predicted) -> dict[str, float]:
    metrics, truth, said = library("sklearn.metrics"), predicted.target, predicted.prediction
    found = {
        "mae": metrics.mean_absolute_error(truth, said),
        "mse": metrics.mean_squared_error(truth, said),
        "rmse": math.sqrt(metrics.mean_squared_error(truth, said)),
        "median_absolute_error": metrics.median_absolute_error(truth, said),
        "max_error": metrics.max_error(truth, said),
        "bias": float((said - truth).mean()),
    }
    if len(truth) > 1 and truth.min() != truth.max():
        found["r2"] = metrics.r2_score(truth, said)
    if (truth != 0).all():
        found["mape"] = metrics.mean_absolute_percentage_error(truth, said)
    return found


def _forecasting(evaluator: Evaluator, predicted: Predicted) -> dict[str, float]:
    """See Hyndman and Koehler, Another look at measures of forecast accuracy (2006), for the scaled errors."""
    truth, said = predicted.target, predicted.prediction
    numpy = library("numpy")
    found = _regression(evaluator, predicted)
    size = numpy.abs(truth) + numpy.abs(said)
    apart = numpy.abs(truth - said)
    found["smape"] = float(numpy.divide(2 * apart, size, out=numpy.zeros_like(size), where=size > 0).mean())
    if numpy.abs(truth).sum() > 0:
        found["wape"] = float(apart.sum() / numpy.abs(truth).sum())
    if predicted.season_before is not None:
        known = ~numpy.isnan(predicted.season_before)
        naive = numpy.abs(truth - predicted.season_before)[known]
        if len(naive) and naive.mean() > 0:
            found["mase"] = float(apart[known].mean() / naive.mean())
    return found


def _ranking(evaluator: Evaluator, predicted: Predicted) -> dict[str, float]:
    return ranking_figures(predicted.target, predicted.prediction, predicted.group, evaluator.k)


_KINDS: Mapping[EvaluatorKind, Callable[[Evaluator, Predicted], dict[str, float]]] = {
    EvaluatorKind.CLASSIFICATION: _classification,
    EvaluatorKind.REGRESSION: _regression,
    EvaluatorKind.FORECASTING: _forecasting,
    EvaluatorKind.RANKING: _ranking,
}


def positive_label(evaluator: Evaluator, labels: set[Any]) -> Any:
    """Return the positive of two classes; None where there are more, or none of the two is it by its nature.

    Raises:
        InvalidInput: the evaluator names one that is not among the labels.
    """
    if evaluator.positive is not None:
        if evaluator.positive not in labels:
            raise InvalidInput(
                f"No row of {evaluator.target!r} has the positive label {evaluator.positive!r}.",
                remedy=f"Its labels are {', '.join(sorted(map(repr, labels))[:10])}.",
            )
        return evaluator.positive
    return next((label for label in labels if label == 1), None) if labels <= {0, 1} else None
