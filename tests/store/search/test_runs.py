"""Searches of runs, case by case: what MLflow's clients rely on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from headgate.store.entities import Dataset, DatasetInput, LifecycleStage, Metric, ModelOutput, RunContext, RunStatus
from headgate.store.errors import InvalidFilter, InvalidInput
from headgate.store.search import run_walk
from headgate.store.store import Store

NOW = 1_800_000_000_000


@pytest.fixture(params=[0, 2000], ids=["walked", "sorted"], autouse=True)
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 2000 the few runs of a test are read and sorted; with 0 the indexes are walked."""
    monkeypatch.setattr(run_walk, "FEW", request.param)
    monkeypatch.setattr(run_walk, "FEW_PER_RESULT", 0)
    monkeypatch.setattr(run_walk, "MANY", request.param)


def log(store: Store, name: str, *, start: int = 0, experiment: str = "0", **metrics: float) -> str:
    run_id = store.runs.open(experiment, name=name, start_time=NOW + start).info.run_id
    store.runs.log_batch(run_id, metrics=[Metric(key, value, NOW) for key, value in metrics.items()])
    return run_id


def names(store: Store, filter: str = "", order_by: Sequence[str] = (), **more: object) -> list[str]:  # noqa: A002
    found = store.runs.search(["0"], filter, order_by=order_by, **more)  # type: ignore[arg-type]
    return [run.info.name for run in found.items]


def test_a_run_is_found_with_everything_it_has(store: Store) -> None:
    run_id = store.runs.open("0", name="all", params={"depth": "6"}, tags={"team": "red"}, start_time=NOW).info.run_id
    model = store.logged_models.create("0", source_run_id=run_id, now=NOW)
    store.runs.log_batch(run_id, metrics=[Metric("f1", 0.5, NOW, 1), Metric("f1", 0.7, NOW, 2)])
    store.datasets.log_inputs(run_id, [DatasetInput(Dataset("holdout", "d1"), {"mlflow.data.context": "eval"})])
    store.datasets.log_outputs(run_id, [ModelOutput(model.model_id, 2)])

    (found,) = store.runs.search(["0"]).items

    assert found == store.runs.get(run_id)
    assert found.metrics["f1"].value == 0.7
    assert (found.params["depth"], found.tags["team"]) == ("6", "red")
    assert found.dataset_inputs[0].dataset.digest == "d1"
    assert found.model_outputs == (ModelOutput(model.model_id, 2),)


def test_metrics_are_compared_by_their_latest_value(store: Store) -> None:
    run_id = log(store, "run", f1=0.9)
    store.metrics.log(run_id, [Metric("f1", 0.1, NOW, 5)])
    store.metrics.log(run_id, [Metric("f1", 0.8, NOW, 2)])

    assert names(store, "metrics.f1 < 0.2") == ["run"]
    assert names(store, "metrics.f1 > 0.2") == []


def test_nan_matches_nothing_but_not_equal(store: Store) -> None:
    log(store, "nan", f1=math.nan)
    log(store, "zero", f1=0.0)
    log(store, "none")

    for operator in ("=", "<", "<=", ">", ">="):
        assert "nan" not in names(store, f"metrics.f1 {operator} 0")
    assert names(store, "metrics.f1 != 0") == ["nan"]
    assert sorted(names(store, "metrics.f1 != 1")) == ["nan", "zero"]


def test_infinities_are_beyond_every_number(store: Store) -> None:
    log(store, "most", f1=math.inf)
    log(store, "much", f1=1e300)
    log(store, "least", f1=-math.inf)

    assert names(store, "metrics.f1 > 1e300") == ["most"]
    assert names(store, "metrics.f1 = 1e999") == ["most"]
    assert names(store, "metrics.f1 < -1e300") == ["least"]
    assert names(store, "", ["metrics.f1"]) == ["least", "much", "most"]


@pytest.mark.parametrize(
    ("order", "values"),
    [("metrics.f1 ASC", ["low", "high"]), ("metrics.f1 DESC", ["high", "low"])],
)
def test_values_come_first_then_nan_then_missing_in_both_directions(
    store: Store, order: str, values: list[str]
) -> None:
    log(store, "missing old", start=1)
    log(store, "missing new", start=2)
    log(store, "nan old", start=1, f1=math.nan)
    log(store, "nan new", start=2, f1=math.nan)
    log(store, "high", f1=0.9)
    log(store, "low", f1=0.1)

    expected = [*values, "nan new", "nan old", "missing new", "missing old"]
    assert names(store, "", [order]) == expected
    paged: list[str] = []
    token = None
    while True:
        page = store.runs.search(["0"], order_by=[order], max_results=1, page_token=token)
        paged += [run.info.name for run in page.items]
        token = page.next_page_token
        if token is None:
            break
    assert paged == expected


def test_ties_are_broken_by_start_time_and_id(store: Store) -> None:
    same = [store.runs.open("0", run_id=run_id, start_time=NOW).info.run_id for run_id in ("b", "C", "a", "a_", "a-")]
    late = log(store, "late", start=1)
    early = log(store, "early", start=-1)

    for order in ([], ["params.none"], ["status"]):
        found = store.runs.search(["0"], order_by=order).items
        assert [run.info.run_id for run in found] == [late, *sorted(same), early]
    found = store.runs.search(["0"], order_by=["start_time"]).items
    assert [run.info.run_id for run in found] == [early, *sorted(same), late]


def test_not_equal_leaves_out_runs_without_the_key(store: Store) -> None:
    for name, params in (("six", {"depth": "6"}), ("eight", {"depth": "8"}), ("none", {})):
        store.runs.open("0", name=name, params=params, tags=params)

    for kind in ("params", "tags"):
        assert names(store, f"{kind}.depth != '6'") == ["eight"]
        assert names(store, f"{kind}.depth IS NULL") == ["none"]
        assert sorted(names(store, f"{kind}.depth IS NOT NULL")) == ["eight", "six"]


def test_text_is_compared_byte_by_byte(store: Store) -> None:
    values = ["a", "A", "a ", " a", "ä", ""]
    for value in values:
        store.runs.open("0", name=value or "empty", params={"k": value})

    for value in values:
        assert names(store, f"params.k = '{value}'") == [value or "empty"]
        assert value not in names(store, f"params.k != '{value}'")
    assert names(store, "", ["params.k"]) == ["empty", " a", "A", "a", "a ", "ä"]
    assert names(store, "params.k LIKE 'A%'") == ["A"]
    assert sorted(names(store, "params.k ILIKE 'A%'")) == ["A", "a", "a "]


def test_long_values_that_begin_alike_are_told_apart(store: Store) -> None:
    head = "x" * 200
    for name, tail in (("none", ""), ("a", "a"), ("b", "b")):
        store.runs.open("0", name=name, params={"k": head + tail})

    assert names(store, f"params.k = '{head}'") == ["none"]
    assert names(store, f"params.k = '{head}a'") == ["a"]
    assert sorted(names(store, f"params.k != '{head}a'")) == ["b", "none"]
    assert names(store, f"params.k LIKE '{head}_' AND params.k LIKE '%b'") == ["b"]


def test_wildcards_are_percent_and_underscore_and_nothing_escapes(store: Store) -> None:
    for value in ("50%", "500", "a_c", "abc", "back\\slash"):
        store.runs.open("0", name=value, tags={"k": value})

    assert sorted(names(store, "tags.k LIKE '50%'")) == ["50%", "500"]
    assert sorted(names(store, "tags.k LIKE 'a_c'")) == ["a_c", "abc"]
    assert names(store, "tags.k LIKE 'a\\_c'") == []
    assert names(store, "tags.k LIKE 'back\\slash'") == ["back\\slash"]
    assert names(store, "tags.k LIKE '%'", max_results=1) != []


def test_attributes_are_compared(store: Store) -> None:
    run_id = store.runs.open("0", name="one", user_id="ann", start_time=NOW).info.run_id
    other = store.runs.open("0", name="two", user_id="bob", start_time=NOW + 1).info.run_id
    store.runs.update(other, status=RunStatus.FINISHED, end_time=NOW + 5)

    for text, expected in {
        f"run_id = '{run_id}'": ["one"],
        f"run_id IN ('{run_id}', 'none')": ["one"],
        f"run_id NOT IN ('{run_id}')": ["two"],
        "status = 'FINISHED'": ["two"],
        "status != 'FINISHED'": ["one"],
        "user_id LIKE 'a%'": ["one"],
        "attributes.`run name` = 'two'": ["two"],
        f"start_time > {NOW}": ["two"],
        f"created <= {NOW}": ["one"],
        f"end_time < {NOW + 5.5}": ["two"],
        "end_time > 0": ["two"],
        "end_time != 0": ["two"],
        f"start_time < {10**30} AND start_time > -{10**30}": ["two", "one"],
        "artifact_uri LIKE '%artifacts%'": ["two", "one"],
    }.items():
        assert names(store, text) == expected, text
    assert names(store, "", ["end_time DESC"]) == ["two", "one"]
    assert names(store, "", ["user_id"]) == ["one", "two"]


def test_datasets_are_compared_one_by_one(store: Store) -> None:
    run_id = log(store, "both")
    store.datasets.log_inputs(
        run_id,
        [
            DatasetInput(Dataset("train", "d1"), {"mlflow.data.context": "training"}),
            DatasetInput(Dataset("holdout", "d2"), {"mlflow.data.context": "eval", "other": "train"}),
        ],
    )
    log(store, "none")

    assert names(store, "dataset.name = 'holdout' AND dataset.digest = 'd1'") == ["both"]
    assert names(store, "dataset.name != 'train'") == ["both"]
    assert names(store, "datasets.context IN ('eval', 'x')") == ["both"]
    assert names(store, "dataset.context = 'train'") == []
    assert names(store, "dataset.name NOT IN ('train', 'holdout')") == []


def test_active_deleted_or_both(store: Store) -> None:
    log(store, "active", f1=1.0)
    store.runs.delete(log(store, "deleted", start=1, f1=2.0))

    for order in ([], ["metrics.f1 DESC"]):
        assert names(store, "", order) == ["active"]
        assert names(store, "", order, view_type=LifecycleStage.DELETED) == ["deleted"]
        assert names(store, "", order, view_type=None) == ["deleted", "active"]


def test_only_the_newest_attempts(store: Store) -> None:
    for attempt in (1, 2):
        context = RunContext(pipeline="p", pipeline_run_id="r", task="t", attempt=attempt)
        store.runs.open("0", context=context, name=f"attempt {attempt}", start_time=NOW + attempt)
    log(store, "anonymous")

    assert names(store) == ["attempt 2", "attempt 1", "anonymous"]
    assert names(store, newest_attempts_only=True) == ["attempt 2", "anonymous"]


def test_experiments_are_merged_in_order(store: Store) -> None:
    other = store.experiments.get_or_create("other").experiment_id
    log(store, "b", start=2, f1=0.2)
    log(store, "a", start=1, f1=0.3, experiment=other)
    log(store, "c", start=3, f1=0.1, experiment=other)

    def found(experiments: list[str], order_by: list[str]) -> list[str]:
        return [run.info.name for run in store.runs.search(experiments, order_by=order_by).items]

    assert found(["0", other, "0", "987"], []) == ["c", "b", "a"]
    assert found([other, "0"], ["metrics.f1"]) == ["c", "b", "a"]
    assert found([other, "0"], ["metrics.f1 DESC"]) == ["a", "b", "c"]
    assert found([other], []) == ["c", "a"]
    assert found([], []) == []
    with pytest.raises(InvalidInput):
        found(["x"], [])


@pytest.mark.parametrize("order", [[], ["start_time"], ["metrics.f1 DESC"], ["metrics.f1"], ["params.k"], ["user_id"]])
def test_pages_stay_right_while_runs_arrive(store: Store, order: list[str]) -> None:
    def arrive(number: int) -> str:
        run_id = store.runs.open("0", start_time=NOW + number % 5, params={"k": str(number % 3)}).info.run_id
        if number % 4:
            value = math.nan if number % 4 == 1 else number % 7 / 7
            store.metrics.log(run_id, [Metric("f1", value, NOW)])
        return run_id

    before = [arrive(number) for number in range(12)]
    expected = [run.info.run_id for run in store.runs.search(["0"], order_by=order).items]
    found: list[str] = []
    token = None
    for number in range(100, 200):
        page = store.runs.search(["0"], order_by=order, max_results=2, page_token=token)
        found += [run.info.run_id for run in page.items]
        token = page.next_page_token
        if token is None:
            break
        if number < 108:
            arrive(number)

    assert len(found) == len(set(found))
    assert [run_id for run_id in found if run_id in before] == expected


def test_a_token_belongs_to_its_search(store: Store) -> None:
    for number in range(3):
        log(store, str(number), f1=float(number))
    token = store.runs.search(["0"], "metrics.f1 >= 0", order_by=["metrics.f1"], max_results=1).next_page_token
    assert token is not None

    again = store.runs.search(["0"], "metrics.f1 >= 0", order_by=["metrics.f1"], max_results=2, page_token=token)
    assert [run.info.name for run in again.items] == ["1", "2"]
    flipped = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
    for other in (
        lambda: store.runs.search(["0"], "metrics.f1 >= 1", order_by=["metrics.f1"], page_token=token),
        lambda: store.runs.search(["0"], "metrics.f1 >= 0", order_by=["metrics.f1 DESC"], page_token=token),
        lambda: store.runs.search(["0"], "metrics.f1 >= 0", page_token=token),
        lambda: store.runs.search(["1"], "metrics.f1 >= 0", order_by=["metrics.f1"], page_token=token),
        lambda: store.runs.search(["0"], "metrics.f1 >= 0", order_by=["metrics.f1"], view_type=None, page_token=token),
        lambda: store.runs.search(["0"], "metrics.f1 >= 0", order_by=["metrics.f1"], page_token=flipped),
        lambda: store.experiments.search(page_token=token),
        *(lambda text=text: store.runs.search(["0"], page_token=text) for text in ("x", "é", "e30=", "A" * 200_000)),
    ):
        with pytest.raises(InvalidInput, match="does not belong to this search"):
            other()


@pytest.mark.parametrize("size", [0, -1, 50_001, True, 1.5])
def test_a_page_has_a_sensible_size(sqlite_store: Store, size: int) -> None:
    with pytest.raises(InvalidInput, match="max_results"):
        sqlite_store.runs.search(["0"], max_results=size)


def test_a_full_page_at_the_end_has_no_token(store: Store) -> None:
    for number in range(4):
        log(store, str(number))

    page = store.runs.search(["0"], max_results=4)

    assert (len(page.items), page.next_page_token) == (4, None)


def test_nothing_in_a_filter_is_ever_run(store: Store) -> None:
    evil = (
        "'; DROP TABLE headgate_run; --",
        '" OR ""="',
        "x' OR '1'='1",
        "%s %(x)s ? :x $1 \\",
        "/* */ -- #",
        "x'); DELETE FROM headgate_run; --",
    )
    for number, text in enumerate(evil):
        key = f"k{number}"
        store.runs.open("0", name=text[:200], params={key: text}, tags={key: text})
    for number, text in enumerate(evil):
        quote = '"' if "'" in text else "'"
        if text.count(quote) == 0:
            assert names(store, f"params.k{number} = {quote}{text}{quote}") == [text]
            assert names(store, f"tags.k{number} LIKE {quote}{text}{quote}") == [text]
            assert names(store, f"run_name = {quote}{text}{quote}") == [text]
        for hostile in (f"params.`{text}` = 'x'", f"metrics.`{text}` > 1", f"tags.`{text}` IS NOT NULL"):
            assert names(store, hostile) == []
        assert len(names(store, "", [f"metrics.`{text}` DESC", f"params.`{text}`"])) == len(evil)
        with pytest.raises(InvalidFilter):
            names(store, text)
    assert len(names(store)) == len(evil)
