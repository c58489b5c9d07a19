"""Searches of experiments."""

from __future__ import annotations

import pytest

from headgate.store.entities import LifecycleStage
from headgate.store.errors import InvalidFilter, InvalidInput
from headgate.store.experiments import Experiments
from headgate.store.store import Store

NOW = 1_800_000_000_000


@pytest.fixture
def experiments(store: Store) -> Experiments:
    """Default, and four more; the last one is deleted."""
    for number, (name, tags) in enumerate(
        [("beta", {"team": "red"}), ("Alpha", {"team": "blue", "x": ""}), ("alpha ", {}), ("gone", {"team": "red"})]
    ):
        store.experiments.create(name, tags=tags, now=NOW + number // 2)
    gone = store.experiments.get_by_name("gone")
    assert gone is not None
    store.experiments.delete(gone.experiment_id, NOW + 9)
    default = store.experiments.get_by_name("Default")
    assert default is not None
    store.experiments.delete(default.experiment_id, NOW + 9)
    return store.experiments


def names(experiments: Experiments, filter: str = "", *order_by: str, **more: object) -> list[str]:  # noqa: A002
    return [item.name for item in experiments.search(filter, order_by=order_by, **more).items]  # type: ignore[arg-type]


def test_an_experiment_comes_with_its_tags(experiments: Experiments) -> None:
    (found,) = experiments.search("name = 'Alpha'").items

    assert found == experiments.get_by_name("Alpha")
    assert found.tags == {"team": "blue", "x": ""}


def test_names_tags_times_and_ids_are_compared(experiments: Experiments) -> None:
    ids = {item.name: item.experiment_id for item in experiments.search().items}

    for text, expected in {
        "name LIKE 'A%'": ["Alpha"],
        "name ILIKE 'alpha%'": ["Alpha", "alpha "],
        "name = 'alpha '": ["alpha "],
        "attribute.name != 'beta' AND tags.team IS NULL": ["alpha "],
        "tags.team = 'red'": ["beta"],
        "tags.team != 'red'": ["Alpha"],
        "tag.x IS NOT NULL": ["Alpha"],
        f"creation_time > {NOW}": ["alpha "],
        f"creation_time <= {NOW}": ["Alpha", "beta"],
        f"experiment_id = '{ids['beta']}'": ["beta"],
        f"experiment_id != '{ids['beta']}'": ["Alpha", "alpha "],
        f"experiment_id IN ('{ids['beta']}', '{ids['Alpha']}', '99')": ["Alpha", "beta"],
        f"experiment_id NOT IN ('{ids['beta']}')": ["Alpha", "alpha "],
    }.items():
        assert names(experiments, text, "name") == expected, text


def test_deleted_ones_are_seen_when_asked_for(experiments: Experiments) -> None:
    assert names(experiments, "tags.team = 'red'", view_type=LifecycleStage.DELETED) == ["gone"]
    assert names(experiments, "", "name", view_type=None) == ["Alpha", "Default", "alpha ", "beta", "gone"]


def test_the_newest_come_first(experiments: Experiments) -> None:
    assert names(experiments) == ["alpha ", "beta", "Alpha"]
    assert names(experiments, "", "creation_time") == ["Alpha", "beta", "alpha "]
    assert names(experiments, "", "name DESC") == ["beta", "alpha ", "Alpha"]
    assert names(experiments, "", "last_update_time", "experiment_id ASC") == ["beta", "Alpha", "alpha "]


@pytest.mark.parametrize("order", [(), ("name",), ("name DESC",), ("creation_time",), ("last_update_time DESC",)])
def test_pages_put_together_are_the_whole(experiments: Experiments, order: tuple[str, ...]) -> None:
    whole = names(experiments, "", *order, view_type=None)
    found: list[str] = []
    token = None
    for number in range(9):
        page = experiments.search(order_by=order, view_type=None, max_results=2, page_token=token)
        found += [item.name for item in page.items]
        token = page.next_page_token
        if token is None:
            break
        # Comes before everything that is still to be read, or after the page that is read now; never twice.
        experiments.create(f"\t{number}", now=NOW + 100)

    assert [name for name in found if not name.startswith("\t")] == whole
    assert len(found) == len(set(found))


def test_an_id_must_be_a_number(experiments: Experiments) -> None:
    with pytest.raises(InvalidFilter) as mistake:
        experiments.search("name = 'x' AND experiment_id IN ('1', 'x')")
    assert mistake.value.position == 15
    with pytest.raises(InvalidInput):
        experiments.search(max_results=0)
