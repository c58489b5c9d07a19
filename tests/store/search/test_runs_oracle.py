"""Searches of runs find what plain Python finds: with NaN, ties and missing values, in pages, on every database."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.store.search import run_walk
from headgate.store.store import Store
from tests.store.search.oracle import Made, Question, make, questions, worlds

_numbers = itertools.count()


# With 2000 the few runs of a test are always sorted; with less, indexes are walked.
@pytest.mark.parametrize("few", [0, 2, 2000])
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    world=worlds, asked=st.lists(questions, min_size=6, max_size=6), size=st.integers(1, 5), split=st.integers(0, 12)
)
def test_every_page_is_what_the_oracle_says(
    store: Store, few: int, world: list[Made], asked: list[Question], size: int, split: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_walk, "FEW", few)
        patch.setattr(run_walk, "FEW_PER_RESULT", 0)
        patch.setattr(run_walk, "MANY", 2 * few)
        experiments = [store.experiments.create(f"world {next(_numbers)}").experiment_id for _ in range(2)]
        for number, made in enumerate(world):
            make(store, experiments[number >= split], made)
        runs = [
            run
            for experiment in experiments
            for run in store.runs.search([experiment], view_type=None, max_results=100).items
        ]
        assert len(runs) == len(world)

        for question in asked:
            assert question.search(store, experiments, size) == question.expected(runs)
