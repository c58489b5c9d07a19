"""Metrics: every point once, the whole history, pages that hold still, and the latest value."""

from __future__ import annotations

import math

import pytest
import sqlalchemy as sa

from headgate.store.entities import Metric
from headgate.store.errors import InvalidInput, NotFound, RunNotActive
from headgate.store.store import Store
from headgate.store.tables import metadata


@pytest.fixture
def run_id(store: Store) -> str:
    return store.runs.open("0").info.run_id


def points(store: Store, run_id: str, key: str = "loss") -> list[tuple[int, int, float]]:
    return [(point.timestamp, point.step, point.value) for point in store.metrics.history(run_id, key).items]


def test_history_is_ordered_by_timestamp_step_and_value(store: Store, run_id: str) -> None:
    store.metrics.log(
        run_id,
        [
            Metric("loss", 0.5, timestamp=20, step=1),
            Metric("loss", 0.4, timestamp=10, step=2),
            Metric("loss", 0.7, timestamp=10, step=1),
            Metric("loss", 0.6, timestamp=10, step=1),
            Metric("acc", 0.9, timestamp=1, step=1),
        ],
    )

    assert points(store, run_id) == [(10, 1, 0.6), (10, 1, 0.7), (10, 2, 0.4), (20, 1, 0.5)]
    assert store.metrics.history(run_id, "loss").items[0] == Metric("loss", 0.6, 10, 1, run_id=run_id)


def test_the_same_point_twice_is_stored_once(store: Store, run_id: str) -> None:
    batch = [Metric("loss", float(n), n, n) for n in range(5)] + [Metric("loss", math.nan, 9, 9)]

    store.metrics.log(run_id, [*batch, *batch])
    store.metrics.log(run_id, batch)

    assert len(store.metrics.history(run_id, "loss").items) == 6


def test_nan_and_infinities_come_back(store: Store, run_id: str) -> None:
    values = [math.nan, math.inf, -math.inf, 0.0, 5e-324, -1.5, 1.7e308]

    store.metrics.log(run_id, [Metric("loss", value, 1, step) for step, value in enumerate(values)])

    found = [point.value for point in store.metrics.history(run_id, "loss").items]
    assert math.isnan(found[0])
    assert found[1:] == values[1:]
    latest = {}
    for key, value in (("nan", math.nan), ("up", math.inf), ("down", -math.inf)):
        store.metrics.log(run_id, [Metric(key, value, 1)])
        latest[key] = store.metrics.latest(run_id)[key].value
    assert math.isnan(latest["nan"])
    assert (latest["up"], latest["down"]) == (math.inf, -math.inf)


def test_doubles_keep_every_bit(store: Store, run_id: str) -> None:
    values = [0.1 + 0.2, 1 / 3, math.pi * 1e-300, -123456789.123456789, 2**53 + 2.0]

    store.metrics.log(run_id, [Metric("loss", value, 0, step) for step, value in enumerate(values)])

    assert [value for _, _, value in points(store, run_id)] == values


def test_steps_and_timestamps_take_64_bits(store: Store, run_id: str) -> None:
    store.metrics.log(run_id, [Metric("loss", 1.0, 2**63 - 1, -(2**63)), Metric("loss", 2.0, 0, 2**63 - 1)])

    assert points(store, run_id) == [(0, 2**63 - 1, 2.0), (2**63 - 1, -(2**63), 1.0)]
    assert store.metrics.latest(run_id)["loss"].value == 2.0


def test_latest_is_the_greatest_by_step_timestamp_and_value(store: Store, run_id: str) -> None:
    latest = []
    for point in (
        Metric("loss", 1.0, timestamp=50, step=1),
        Metric("loss", 0.5, timestamp=60, step=0),
        Metric("loss", 0.4, timestamp=40, step=2),
        Metric("loss", 0.3, timestamp=41, step=2),
        Metric("loss", 0.2, timestamp=41, step=2),
        Metric("loss", 0.9, timestamp=41, step=2),
    ):
        store.metrics.log(run_id, [point])
        latest.append(store.metrics.latest(run_id)["loss"].value)

    assert latest == [1.0, 1.0, 0.4, 0.3, 0.3, 0.9]
    assert store.metrics.latest(run_id)["loss"] == Metric("loss", 0.9, 41, 2, run_id=run_id)


def test_metrics_without_points(store: Store, run_id: str) -> None:
    store.metrics.log(run_id, [])

    assert store.metrics.latest(run_id) == {}
    assert store.metrics.latest("nothing") == {}
    assert store.metrics.history(run_id, "loss").items == ()
    with pytest.raises(NotFound):
        store.metrics.history("nothing", "loss")


def test_numbers_of_other_kinds_are_floats(store: Store, run_id: str) -> None:
    import numpy

    store.metrics.log(
        run_id,
        [
            Metric("a", 3, 1),
            Metric("b", numpy.float32(0.5), numpy.int64(7), numpy.int32(2)),  # type: ignore[arg-type]
            Metric("c", 10**400, 1, 2.0),  # type: ignore[arg-type]
        ],
    )

    latest = store.metrics.latest(run_id)
    assert (latest["a"].value, latest["b"].value, latest["c"].value) == (3.0, 0.5, math.inf)
    assert (latest["b"].timestamp, latest["b"].step, latest["c"].step) == (7, 2, 2)


@pytest.mark.parametrize(
    ("point", "what"),
    [
        (Metric("a,b", 1.0, 1), "name of a metric"),
        (Metric("", 1.0, 1), "name of a metric"),
        (Metric("a//b", 1.0, 1), "name of a metric"),
        (Metric("a", "1", 1), "value of metric 'a'"),  # type: ignore[arg-type]
        (Metric("a", True, 1), "value of metric 'a'"),
        (Metric("a", None, 1), "value of metric 'a'"),  # type: ignore[arg-type]
        (Metric("a", [1.0], 1), "value of metric 'a'"),  # type: ignore[arg-type]
        (Metric("a", 1.0, -1), "timestamp of metric 'a'"),
        (Metric("a", 1.0, 2**63), "timestamp of metric 'a'"),
        (Metric("a", 1.0, None), "timestamp of metric 'a'"),  # type: ignore[arg-type]
        (Metric("a", 1.0, 1, 2**63), "step of metric 'a'"),
        (Metric("a", 1.0, 1, -(2**63) - 1), "step of metric 'a'"),
        (Metric("a", 1.0, 1, 0.5), "step of metric 'a'"),  # type: ignore[arg-type]
        (Metric("a", 1.0, 1, "x"), "step of metric 'a'"),  # type: ignore[arg-type]
        (Metric("a", 1.0, 1, False), "step of metric 'a'"),
    ],
)
def test_impossible_points_are_refused_and_nothing_is_written(sqlite_store: Store, point: Metric, what: str) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput, match=what):
        sqlite_store.metrics.log(run_id, [Metric("good", 1.0, 1), point])

    assert sqlite_store.metrics.latest(run_id) == {}


def test_pages_hold_still_while_points_arrive(store: Store, run_id: str) -> None:
    store.metrics.log(run_id, [Metric("loss", float(n), n // 3, n) for n in range(10)])

    first = store.metrics.history(run_id, "loss", max_results=4)
    store.metrics.log(run_id, [Metric("loss", -1.0, 0, -5), Metric("loss", 77.0, 99, 99)])
    second = store.metrics.history(run_id, "loss", max_results=4, page_token=first.next_page_token)
    third = store.metrics.history(run_id, "loss", max_results=4, page_token=second.next_page_token)

    assert [point.step for page in (first, second, third) for point in page.items] == [*range(10), 99]
    assert third.next_page_token is None


def test_page_of_exactly_what_is_left_is_the_last(store: Store, run_id: str) -> None:
    store.metrics.log(run_id, [Metric("loss", math.inf, 1, n) for n in range(4)])

    first = store.metrics.history(run_id, "loss", max_results=2)
    second = store.metrics.history(run_id, "loss", max_results=2, page_token=first.next_page_token)

    assert [point.step for point in second.items] == [2, 3]
    assert second.next_page_token is None


@pytest.mark.parametrize("token", ["?", "e30=", "WzFd", "bnVsbA==", "WyJhIiwxLDEsMV0=", "ü"])
def test_page_tokens_are_checked(sqlite_store: Store, token: str) -> None:
    run_id = sqlite_store.runs.open("0").info.run_id

    with pytest.raises(InvalidInput, match="page token"):
        sqlite_store.metrics.history(run_id, "loss", page_token=token)
    with pytest.raises(InvalidInput, match="max_results"):
        sqlite_store.metrics.history(run_id, "loss", max_results=0)


def test_keys_differ_by_case_and_trailing_spaces(store: Store, run_id: str) -> None:
    for step in range(2):
        store.metrics.log(run_id, [Metric(key, 1.0, 1, step) for key in ("acc", "Acc", "acc ")])
        store.metrics.log(run_id, [Metric("Acc ", 1.0, 1, step)])

    assert {key: point.step for key, point in store.metrics.latest(run_id).items()} == {
        "acc": 1,
        "Acc": 1,
        "acc ": 1,
        "Acc ": 1,
    }


def test_many_keys_and_many_points_at_once(store: Store, run_id: str) -> None:
    batch = [Metric(f"key {n % 700}", n / 7, n, n) for n in range(2500)]

    store.metrics.log(run_id, batch)
    store.metrics.log(run_id, batch[:1800])

    latest = store.metrics.latest(run_id)
    assert len(latest) == 700
    assert latest["key 3"].step == 2103
    assert _count(store, "headgate_metric_point") == 2500


def test_deleted_run_takes_no_points(store: Store, run_id: str) -> None:
    store.runs.delete(run_id)

    with pytest.raises(RunNotActive, match="is deleted"):
        store.metrics.log(run_id, [Metric("loss", 1.0, 1)])
    with pytest.raises(NotFound, match="no run 'nothing'"):
        store.metrics.log("nothing", [Metric("loss", 1.0, 1)])

    assert _count(store, "headgate_metric_series") == 0


def test_ended_run_still_takes_points(store: Store, run_id: str) -> None:
    from headgate.store.entities import RunStatus

    store.runs.finish(run_id, RunStatus.FINISHED)

    store.metrics.log(run_id, [Metric("late", 1.0, 1)])

    assert "late" in store.metrics.latest(run_id)


def _count(store: Store, table: str) -> int:
    with store.database.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables[table])) or 0)
