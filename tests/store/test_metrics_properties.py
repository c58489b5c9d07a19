"""Whatever is logged, in whatever pieces and however often: history and latest value agree with a simple oracle."""

from __future__ import annotations

import math
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.store.entities import Metric
from headgate.store.metric_values import decode_value, encode_value
from headgate.store.store import Store

values = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]))
logged = st.lists(
    st.builds(
        Metric,
        key=st.sampled_from(["a", "A", "b/c"]),
        value=values,
        timestamp=st.integers(0, 3) | st.integers(0, 2**63 - 1) | st.just(2**63 - 1),
        step=st.integers(-1, 2) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1]),
    ),
    max_size=30,
)
per_database = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def stored(point: Metric) -> tuple[int, int, float, bool]:
    value, is_nan = encode_value(point.value)
    return point.step, point.timestamp, value, is_nan


@per_database
@given(metrics=logged, pieces=st.integers(1, 5), page=st.integers(1, 7))
def test_history_and_latest_agree_with_the_oracle(store: Store, metrics: list[Metric], pieces: int, page: int) -> None:
    run_id = store.runs.open("0", run_id=uuid.uuid4().hex).info.run_id
    for piece in range(pieces):
        store.metrics.log(run_id, metrics[piece::pieces])
    store.metrics.log(run_id, metrics[::2])  # a retry

    latest = store.metrics.latest(run_id)

    assert sorted(latest) == sorted({point.key for point in metrics})
    for key, last in latest.items():
        expected = {stored(point) for point in metrics if point.key == key}
        assert stored(last) == max(expected)
        assert [stored(p) for p in read_pages(store, run_id, key, page)] == sorted(
            expected, key=lambda p: (p[1], p[0], p[2], p[3])
        )


def read_pages(store: Store, run_id: str, key: str, size: int) -> list[Metric]:
    found: list[Metric] = []
    token = None
    while True:
        page = store.metrics.history(run_id, key, max_results=size, page_token=token)
        found += page.items
        token = page.next_page_token
        if token is None:
            return found


@given(value=values)
def test_values_survive_their_encoding(value: float) -> None:
    number, is_nan = encode_value(value)
    decoded = decode_value(number, is_nan)

    assert math.isfinite(number)
    largest = abs(value) == 1.7976931348623157e308  # stands for infinity, as in MLflow
    assert decoded == value or (math.isnan(decoded) and math.isnan(value)) or largest
