"""Whether one model is better than another on the same rows, or was only lucky: three paired tests.

* ``mcnemar``: of the rows on which one is right and the other wrong, how many the candidate got right; the exact
  binomial test, one-sided (McNemar 1947).
* ``wilcoxon``: the signed ranks of the differences of the rows' errors, one-sided (Wilcoxon 1945), by scipy.
* ``bootstrap``: the metric of both on rows drawn with replacement, the same for both, 2,000 times, from a fixed seed;
  the improvement is at least the quantile that the confidence leaves below (Efron 1979). The same rows give the same
  answer.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from headgate.tasks.evaluators.libraries import library
from headgate.tasks.gates.evidence import PairedFound

_RESAMPLES = 2000
_SEED = 20_260_101
_ERRORS = {"mae": "absolute_error", "mse": "squared_error", "rmse": "squared_error"}
_MEANS = {"accuracy": "correct", "mae": "absolute_error", "mse": "squared_error"}


def compare_rows(about: PairedFound, mine: Any, theirs: Any) -> PairedFound:
    """Return the result of a paired test.

    Args:
        about: what is compared, by which test.
        mine: the candidate's rows, as :func:`headgate.tasks.evaluators.rows.read_rows` gives them.
        theirs: the champion's.
    """
    problem = _problem(about, mine, theirs)
    if problem is not None:
        return replace(about, problem=problem)
    about = replace(about, rows=len(mine))
    if about.test == "bootstrap":
        return replace(about, low=_bootstrap(about, mine, theirs))
    if about.test == "mcnemar":
        return replace(about, p_value=_mcnemar(mine["correct"] > 0.5, theirs["correct"] > 0.5))
    return replace(about, p_value=_wilcoxon(mine[_ERRORS[about.metric]], theirs[_ERRORS[about.metric]]))


def _problem(about: PairedFound, mine: Any, theirs: Any) -> str | None:
    for whose, rows in (("candidate", mine), ("champion", theirs)):
        if rows is None:
            return f"the evaluation of the {whose} kept no rows: measure it with rows"
    if len(mine) != len(theirs) or not (mine["target"].to_numpy() == theirs["target"].to_numpy()).all():
        return "the rows of the two evaluations are not the same"
    if not _positives(mine).equals(_positives(theirs)):
        return "the two evaluations are about different positive labels"
    if about.test == "mcnemar" and "correct" not in mine:
        return "mcnemar compares what is right and wrong: it needs a classification"
    if about.test == "wilcoxon" and _ERRORS.get(about.metric) not in mine:
        return f"wilcoxon compares the errors of rows, and {about.metric} is no mean of them: use mae, mse or rmse"
    if about.test == "bootstrap" and _metric(about.metric, mine) is None:
        return f"{about.metric} can't be computed again from rows: use {', '.join(sorted(_known(mine)))}"
    return None


def _mcnemar(mine: Any, theirs: Any) -> float:
    better, worse = int((mine & ~theirs).sum()), int((~mine & theirs).sum())
    if better + worse == 0:
        return 1.0
    return float(library("scipy.stats").binomtest(better, better + worse, 0.5, alternative="greater").pvalue)


def _wilcoxon(mine: Any, theirs: Any) -> float:
    gained = (theirs - mine).to_numpy()
    if not gained.any():
        return 1.0
    return float(library("scipy.stats").wilcoxon(gained, alternative="greater").pvalue)


def _bootstrap(about: PairedFound, mine: Any, theirs: Any) -> float | None:
    numpy = library("numpy")
    random = numpy.random.default_rng(_SEED)
    sign = 1.0 if about.higher_is_better else -1.0
    left, right = _metric(about.metric, mine), _metric(about.metric, theirs)
    assert left is not None, "_problem saw to it"
    assert right is not None, "both have the same columns"
    gained = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(0, len(mine), len(mine))
        gained.append(sign * (left(drawn) - right(drawn)))
    found = float(numpy.quantile(gained, 1 - about.confidence))
    return found if math.isfinite(found) else None


def _positives(rows: Any) -> Any:
    return rows["positive"] if "positive" in rows else library("pandas").Series(dtype=float)


def _known(rows: Any) -> set[str]:
    binary = {"precision", "recall", "f1"} if "positive" in rows else set()
    roots = {"rmse"} if "squared_error" in rows else set()
    return {name for name, column in _MEANS.items() if column in rows} | roots | binary


def _metric(name: str, rows: Any) -> Any:
    """Return the function that computes a metric of drawn rows; None where it can't be."""
    if name in _MEANS and _MEANS[name] in rows:
        values = rows[_MEANS[name]].to_numpy()
        return lambda drawn: values[drawn].mean()
    if name == "rmse" and "squared_error" in rows:
        squares = rows["squared_error"].to_numpy()
        return lambda drawn: math.sqrt(squares[drawn].mean())
    if name in ("precision", "recall", "f1") and "positive" in rows:
        truth, said = rows["positive"].to_numpy() > 0.5, rows["called_positive"].to_numpy() > 0.5
        return lambda drawn: _of_two(name, truth[drawn], said[drawn])
    return None


def _of_two(name: str, truth: Any, said: Any) -> float:
    hits = (truth & said).sum()
    below = {"precision": said.sum(), "recall": truth.sum(), "f1": (truth.sum() + said.sum()) / 2}[name]
    return float(hits / below) if below else math.nan
