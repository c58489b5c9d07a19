"""Searches of LoggedModels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from headgate.store.entities import LoggedModelStatus, Metric
from headgate.store.errors import InvalidFilter, InvalidInput
from headgate.store.search import DatasetFilter, LoggedModelOrder
from headgate.store.store import Store

NOW = 1_800_000_000_000


def make(store: Store, name: str, *points: Metric, start: int = 0, **more: object) -> str:
    model = store.logged_models.create("0", name=name, now=NOW + start, **more)  # type: ignore[arg-type]
    store.logged_models.log_metrics(model.model_id, points)
    return model.model_id


def names(
    store: Store,
    filter: str = "",  # noqa: A002
    order_by: Sequence[LoggedModelOrder] = (),
    datasets: Sequence[DatasetFilter] = (),
) -> list[str]:
    found = store.logged_models.search(["0"], filter, order_by=order_by, datasets=datasets)
    return [model.name for model in found.items]


def on(dataset: str, value: float, timestamp: int = 1, digest: str = "1", step: int = 0) -> Metric:
    return Metric("f1", value, timestamp, step, dataset_name=dataset, dataset_digest=digest)


def test_a_model_comes_with_everything_it_has(store: Store) -> None:
    model_id = make(store, "forest", on("holdout", 0.5), params={"depth": "6"}, tags={"team": "red"})

    (found,) = store.logged_models.search(["0"]).items

    assert found == store.logged_models.get(model_id)
    assert found.metrics[0].dataset_name == "holdout"


def test_attributes_params_and_tags_are_compared(store: Store) -> None:
    one = make(store, "one", params={"k": "x"}, tags={"k": "x "}, model_type="agent", source_run_id="a" * 32)
    two = make(store, "two", start=1, params={"k": "y"})
    store.logged_models.finalize(two, LoggedModelStatus.READY, now=NOW + 7)
    store.logged_models.delete(make(store, "deleted"), now=NOW)

    for text, expected in {
        "": ["two", "one"],
        f"model_id = '{one}'": ["one"],
        f"model_id IN ('{one}', 'm-none')": ["one"],
        "name LIKE 't%'": ["two"],
        "attributes.name != 'two'": ["one"],
        "status = 'READY'": ["two"],
        "status NOT IN ('READY')": ["one"],
        "model_type = 'agent'": ["one"],
        "model_type != 'other'": ["one"],
        f"source_run_id = '{'a' * 32}'": ["one"],
        f"creation_timestamp > {NOW}": ["two"],
        f"creation_time <= {NOW}": ["one"],
        f"last_updated_timestamp_ms = {NOW + 7}": ["two"],
        "params.k = 'x'": ["one"],
        "params.k IN ('x', 'y')": ["two", "one"],
        "params.k NOT IN ('x')": ["two"],
        "params.k ILIKE 'Y'": ["two"],
        "tags.k = 'x'": [],
        "tags.k != 'x'": ["one"],
    }.items():
        assert names(store, text) == expected, text


def test_a_metric_matches_when_any_of_its_points_does(store: Store) -> None:
    make(store, "both", on("train", 0.9), on("holdout", 0.5, 2))
    make(store, "nan", on("train", math.nan), start=-1)
    make(store, "none", start=-2)

    assert names(store, "metrics.f1 > 0.8") == ["both"]
    assert names(store, "metrics.f1 < 0.6") == ["both"]
    assert names(store, "metrics.f1 > 0.8 AND metrics.f1 < 0.6") == ["both"]
    assert names(store, "metrics.f1 = 0") == []
    assert names(store, "metrics.f1 != 0.9") == ["both", "nan"]


def test_metrics_count_on_the_datasets_asked_for(store: Store) -> None:
    make(store, "train only", on("train", 0.9))
    make(store, "both", on("train", 0.9), on("holdout", 0.5, digest="2"), start=1)
    make(store, "none", start=2)

    assert names(store, "metrics.f1 > 0.1", datasets=[DatasetFilter("holdout")]) == ["both"]
    assert names(store, "metrics.f1 > 0.6", datasets=[DatasetFilter("holdout")]) == []
    assert names(store, "metrics.f1 > 0.6", datasets=[DatasetFilter("holdout"), DatasetFilter("train")]) == [
        "both",
        "train only",
    ]
    assert names(store, datasets=[DatasetFilter("train")]) == ["both", "train only"]
    assert names(store, "name != 'both'", datasets=[DatasetFilter("train", "1")]) == ["train only"]
    assert names(store, datasets=[DatasetFilter("holdout", "1")]) == []
    with pytest.raises(InvalidInput, match="dataset_name"):
        names(store, datasets=[DatasetFilter("")])


def test_the_order_by_a_metric_looks_at_its_latest_point(store: Store) -> None:
    make(store, "falling", on("train", 0.9, 1), on("train", 0.1, 2))
    make(store, "rising", on("train", 0.2, 1), on("train", 0.8, 1, step=5), start=1)
    make(store, "nan", on("train", 0.5, 1), on("train", math.nan, 2), start=2)
    make(store, "elsewhere", on("holdout", 0.5), start=3)
    make(store, "none", start=4)

    assert names(store, "", [LoggedModelOrder("metrics.f1")]) == ["falling", "elsewhere", "rising", "nan", "none"]
    assert names(store, "", [LoggedModelOrder("metrics.f1", ascending=False)]) == [
        "rising",
        "elsewhere",
        "falling",
        "nan",
        "none",
    ]
    assert names(store, "", [LoggedModelOrder("metrics.f1", dataset_name="holdout")])[0] == "elsewhere"
    assert names(store, "", [LoggedModelOrder("metrics.f1", False, "train", "1")])[:2] == ["rising", "falling"]
    assert names(store, "", [LoggedModelOrder("metrics.f1", False, "train", "none")]) == names(store)


def test_models_are_ordered_newest_first_or_as_said(store: Store) -> None:
    make(store, "old", model_type="b")
    make(store, "new", start=5)
    make(store, "same", start=5, model_type="a")
    by_id = sorted(store.logged_models.search(["0"]).items[:2], key=lambda model: model.model_id)

    assert names(store) == [*(model.name for model in by_id), "old"]
    assert names(store, "", [LoggedModelOrder("name")]) == ["new", "old", "same"]
    assert names(store, "", [LoggedModelOrder("creation_timestamp_ms")])[0] == "old"
    for ascending, expected in ((True, ["same", "old", "new"]), (False, ["old", "same", "new"])):
        assert names(store, "", [LoggedModelOrder("attributes.model_type", ascending)]) == expected


@pytest.mark.parametrize(
    "order",
    [
        [],
        [LoggedModelOrder("name", ascending=False)],
        [LoggedModelOrder("metrics.f1")],
        [LoggedModelOrder("metrics.f1", ascending=False, dataset_name="d")],
        [LoggedModelOrder("model_type"), LoggedModelOrder("metrics.f1", ascending=False)],
        [LoggedModelOrder("model_id", ascending=False)],
    ],
)
def test_pages_stay_right_while_models_arrive(store: Store, order: list[LoggedModelOrder]) -> None:
    def arrive(number: int) -> str:
        value = (0.5, math.nan, math.inf, 0.5)[number % 4]
        points = [on("d", value)] if number % 5 else []
        kind = None if number % 3 else str(number % 2)
        return make(store, f"n{number % 3}", *points, start=number % 2, model_type=kind)

    before = [arrive(number) for number in range(9)]
    whole = [model.model_id for model in store.logged_models.search(["0"], order_by=order).items]
    found: list[str] = []
    token = None
    for number in range(9, 99):
        page = store.logged_models.search(["0"], order_by=order, max_results=2, page_token=token)
        found += [model.model_id for model in page.items]
        token = page.next_page_token
        if token is None:
            break
        if number < 15:
            arrive(number)

    assert len(found) == len(set(found))
    assert [model_id for model_id in found if model_id in before] == whole


def test_models_of_several_experiments(store: Store) -> None:
    other = store.experiments.get_or_create("other").experiment_id
    make(store, "here")
    store.logged_models.create(other, name="there", now=NOW + 1)

    assert [m.name for m in store.logged_models.search([other, "0", "99"]).items] == ["there", "here"]
    assert store.logged_models.search([]).items == ()


@pytest.mark.parametrize(
    "order",
    [
        [LoggedModelOrder("params.a")],
        [LoggedModelOrder("tags.a")],
        [LoggedModelOrder("nothing")],
        [LoggedModelOrder("")],
        [LoggedModelOrder("metrics.a"), LoggedModelOrder("metrics.a", ascending=False)],
        [LoggedModelOrder("creation_time"), LoggedModelOrder("creation_timestamp")],
    ],
)
def test_a_wrong_order_is_refused(sqlite_store: Store, order: list[LoggedModelOrder]) -> None:
    with pytest.raises(InvalidFilter):
        sqlite_store.logged_models.search(["0"], order_by=order)


def test_a_bad_number_is_a_mistake_not_a_fault(sqlite_store: Store) -> None:
    for text in ("metrics.f1 > x", "creation_time > 'x'", "nothing = 'x'", "status = READY"):
        with pytest.raises(InvalidFilter):
            sqlite_store.logged_models.search(["0"], text)
