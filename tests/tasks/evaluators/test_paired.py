"""Paired tests compare the rows that two evaluations kept, about the class that the evaluator was about."""

from __future__ import annotations

import gzip
import io
from typing import Any

import numpy
import pandas
import pytest

from headgate.tasks.evaluators.evaluator import Evaluator
from headgate.tasks.evaluators.figures import figures
from headgate.tasks.evaluators.paired import compare_rows
from headgate.tasks.evaluators.predictions import ask_model
from headgate.tasks.evaluators.rows import rows_csv
from headgate.tasks.gates.evidence import PairedFound

ABOUT = PairedFound("recall", "bootstrap", True, 0.95, "d", "r1", "r2")
TRUTH = numpy.array([0, 1] * 200)
PART = (TRUTH == 1) & (numpy.arange(400) % 10 < 4)


def kept(said: Any, positive: Any = None, truth: Any = TRUTH) -> tuple[pandas.DataFrame, dict[str, float]]:
    evaluator = Evaluator("classification", "y", prediction="p", positive=positive, rows=True)
    asked = ask_model(evaluator, pandas.DataFrame({"y": truth, "p": said}), None)
    rows = rows_csv(evaluator, asked.table, asked.predicted)
    return pandas.read_csv(io.BytesIO(gzip.decompress(rows))), figures(evaluator, asked.predicted)


@pytest.mark.parametrize("names", [(0, 1), ("sick", "well"), ("7", "8"), (False, True)])
def test_a_bootstrap_is_about_the_positive_class_of_the_evaluator(names: tuple[Any, Any]) -> None:
    """The candidate is much better where the label is the second, and a little worse where it is the first."""
    labels = numpy.array(names, dtype=object if isinstance(names[0], str) else None)
    mine, theirs = TRUTH.copy(), numpy.where(PART, 0, TRUTH)
    mine[:20:2] = 1
    for positive, better in ((names[0], False), (names[1], True)):
        (left, my_figures), (right, their_figures) = (
            kept(labels[said], positive, labels[TRUTH]) for said in (mine, theirs)
        )
        found = compare_rows(ABOUT, left, right)
        assert (my_figures["recall"] > their_figures["recall"]) is better
        assert found.low is not None
        assert (found.low > 0) is better


def test_evaluations_about_different_classes_are_not_compared() -> None:
    mine, theirs = kept(TRUTH, 0)[0], kept(TRUTH, 1)[0]
    assert compare_rows(ABOUT, mine, theirs).problem == "the two evaluations are about different positive labels"


def test_classes_without_a_positive_one_have_no_recall_of_rows() -> None:
    rows = kept(TRUTH, truth=TRUTH + 1)[0]
    assert str(compare_rows(ABOUT, rows, rows).problem) == "recall can't be computed again from rows: use accuracy"
