"""Asking a model for its predictions on a table, and timing it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headgate.store.errors import HeadgateError, InvalidInput, InvalidModel
from headgate.tasks.evaluators.evaluator import Evaluator, EvaluatorKind
from headgate.tasks.evaluators.figures import Predicted, positive_label
from headgate.tasks.evaluators.libraries import library
from headgate.tasks.model_format.load import LoadedModel


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model predicted, and how long it took.

    Args:
        table: the rows, in the order of ``predicted``.
        latencies: of calls with one row each, in ms, the shortest first; empty when none was timed.
    """

    table: Any
    predicted: Predicted
    latencies: tuple[float, ...]


def ask_model(evaluator: Evaluator, table: Any, model: LoadedModel | None) -> Asked:
    """Return the predictions for a table.

    Args:
        table: a DataFrame with the evaluator's columns.
        model: None where the table has the predictions.

    Raises:
        InvalidInput: a column is missing, has missing values or is of the wrong kind.
        InvalidModel: the model can't predict these rows, or predicts something else than one value for each.
    """
    _require_columns(evaluator, table)
    if evaluator.order is not None:
        table = table.sort_values(evaluator.order, kind="stable").reset_index(drop=True)
    truth = _values(evaluator, table, evaluator.target)
    positive = None
    if evaluator.kind is EvaluatorKind.CLASSIFICATION:
        positive = positive_label(evaluator, set(truth.tolist()))
    said, score = None, None
    latencies: tuple[float, ...] = ()
    if evaluator.prediction is not None:
        said = _values(evaluator, table, evaluator.prediction)
    if evaluator.score is not None:
        score = _number_values(table, evaluator.score)
    if said is None:
        if model is None:
            raise InvalidInput(
                "There are neither a model nor predictions.", remedy="Give prediction: the column that holds them."
            )
        inputs = table[list(_features(evaluator, table, model))]
        said = _one_per_row(_predict(model, inputs), len(table), evaluator)
        if score is None and positive is not None:
            score = _probability(model, inputs, positive)
        latencies = _timed(model, inputs, evaluator.latency_calls)
    predicted = Predicted(
        truth,
        said,
        score,
        None if evaluator.group is None else table[evaluator.group].to_numpy(),
        _season_before(evaluator, truth),
        positive,
    )
    return Asked(table, predicted, latencies)


def _require_columns(evaluator: Evaluator, table: Any) -> None:
    named = (evaluator.target, evaluator.prediction, evaluator.score, evaluator.group, evaluator.order)
    for name in (*named, *evaluator.slices, *(evaluator.features or ())):
        if name is not None and name not in table.columns:
            raise InvalidInput(
                f"The data have no column {name!r}.",
                remedy=f"They have {', '.join(map(str, list(table.columns)[:20]))}.",
            )
    for name in named:
        if name is not None and table[name].isna().any():
            raise InvalidInput(
                f"{int(table[name].isna().sum())} rows have no {name!r}.", remedy="Leave such rows out of the data."
            )


def _values(evaluator: Evaluator, table: Any, column: str) -> Any:
    if evaluator.kind is EvaluatorKind.CLASSIFICATION:
        return table[column].to_numpy()
    return _number_values(table, column)


def _number_values(table: Any, column: str) -> Any:
    numpy = library("numpy")
    try:
        values = table[column].to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The column {column!r} does not hold numbers.", remedy="Convert it.") from error
    if not numpy.isfinite(values).all():
        raise InvalidInput(f"The column {column!r} holds infinite values.", remedy="Leave such rows out.")
    return values


def _features(evaluator: Evaluator, table: Any, model: LoadedModel) -> Sequence[str]:
    if evaluator.features is not None:
        return evaluator.features
    signature = model.signature
    names = [column.get("name") for column in (signature.inputs or ())] if signature is not None else []
    if names and all(name is not None for name in names):
        missing = [str(name) for name in names if name not in table.columns]
        if missing:
            raise InvalidInput(
                f"The data lack {', '.join(missing[:10])}, which the model takes.", remedy="Give data that have them."
            )
        return [str(name) for name in names]
    used = (evaluator.target, evaluator.prediction, evaluator.score, evaluator.group, evaluator.order)
    return [name for name in table.columns if name not in used]


def _predict(model: LoadedModel, inputs: Any) -> Any:
    try:
        return model.predict(inputs)
    except HeadgateError:
        raise
    except Exception as error:
        raise InvalidModel(
            f"The model can't predict these rows: {type(error).__name__}: {error}.",
            remedy="Say under features which columns it takes.",
        ) from error


def _one_per_row(said: Any, rows: int, evaluator: Evaluator) -> Any:
    numpy = library("numpy")
    values = numpy.asarray(said)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (rows,):
        raise InvalidModel(
            f"The model predicts an array of the shape {values.shape} for {rows} rows.",
            remedy="Evaluate it by an entry point that knows what it predicts.",
        )
    if evaluator.kind is EvaluatorKind.CLASSIFICATION:
        return values
    try:
        numbers = values.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidModel("The model predicts no numbers.", remedy="Evaluate it as a classification.") from error
    if not numpy.isfinite(numbers).all():
        unusable = int((~numpy.isfinite(numbers)).sum())
        raise InvalidModel(
            f"The model predicts NaN or infinity for {unusable} of {rows} rows.", remedy="Such figures mean nothing."
        )
    return numbers


def _probability(model: LoadedModel, inputs: Any, positive: Any) -> Any:
    estimator = model.get_raw_model()
    classes = list(getattr(estimator, "classes_", ()))
    if positive not in classes or not hasattr(estimator, "predict_proba"):
        return None
    return library("numpy").asarray(estimator.predict_proba(inputs))[:, classes.index(positive)]


def _timed(model: LoadedModel, inputs: Any, calls: int) -> tuple[float, ...]:
    taken = []
    for call in range(calls):
        row = inputs.iloc[[call % len(inputs)]]
        begun = time.perf_counter()
        _predict(model, row)
        taken.append((time.perf_counter() - begun) * 1000)
    return tuple(sorted(taken))


def _season_before(evaluator: Evaluator, truth: Any) -> Any:
    if evaluator.kind is not EvaluatorKind.FORECASTING:
        return None
    numpy = library("numpy")
    season = min(evaluator.season, len(truth))
    return numpy.concatenate([numpy.full(season, numpy.nan), truth[: len(truth) - season]])
