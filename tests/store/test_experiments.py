"""Experiments: names, numbers, lifecycle and tags, on every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.store.entities import LifecycleStage, Tag
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound
from headgate.store.experiments import Experiments
from headgate.store.store import Store


def test_default_experiment_is_number_0(store: Store) -> None:
    default = store.experiments.get("0")

    assert default.name == "Default"
    assert default.artifact_location == f"{store.artifact_root}/0"
    assert default.lifecycle_stage is LifecycleStage.ACTIVE


def test_ensuring_the_default_twice_changes_nothing(store: Store) -> None:
    before = store.experiments.get("0")

    store.experiments.ensure_default()

    assert store.experiments.get("0") == before


def test_default_may_be_renamed(store: Store) -> None:
    store.experiments.rename("0", "everything else")

    store.experiments.ensure_default()

    assert store.experiments.get("0").name == "everything else"
    assert store.experiments.get_by_name("Default") is None


def test_create_numbers_experiments_and_gives_each_a_folder(store: Store) -> None:
    first = store.experiments.create("first", now=1000)
    second = store.experiments.create("second", tags={"team": "water"})

    assert (first.experiment_id, second.experiment_id) == ("1", "2")
    assert first.artifact_location == f"{store.artifact_root}/1"
    assert (first.creation_time, first.last_update_time) == (1000, 1000)
    assert store.experiments.get("1") == first
    assert store.experiments.get("2") == second
    assert second.tags == {"team": "water"}


def test_create_takes_an_artifact_location_and_tag_entities(store: Store) -> None:
    made = store.experiments.create("away", artifact_location="s3://bucket/prefix/", tags=[Tag("a", "1")])

    assert made.artifact_location == "s3://bucket/prefix"
    assert made.tags == {"a": "1"}


def test_artifact_location_is_absolute_and_one_that_can_be_kept(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert sqlite_store.experiments.create("a", artifact_location="here").artifact_location == f"{tmp_path}/here"
    for location in ("gs://bucket", "s3://", "x" * 3000):
        with pytest.raises(InvalidInput):
            sqlite_store.experiments.create("b", artifact_location=location)
    assert sqlite_store.experiments.get_by_name("b") is None


def test_name_is_taken_until_renamed(store: Store) -> None:
    store.experiments.create("taken")

    with pytest.raises(AlreadyExists, match=r"'taken'.* already exists") as raised:
        store.experiments.create("taken")

    assert raised.value.kind == "experiment"
    assert raised.value.key == "taken"


def test_names_differ_by_case_and_trailing_spaces(store: Store) -> None:
    names = ["acc", "ACC", "acc ", "acc  "]

    made = [store.experiments.create(name) for name in names]

    assert [store.experiments.get_by_name(name) for name in names] == made


def test_name_of_a_deleted_experiment_is_taken_and_the_remedy_says_restore(store: Store) -> None:
    made = store.experiments.create("gone")
    store.experiments.delete(made.experiment_id)

    with pytest.raises(AlreadyExists, match="in deleted state") as raised:
        store.experiments.create("gone")
    with pytest.raises(AlreadyExists):
        store.experiments.get_or_create("gone")

    assert "Restore it" in raised.value.remedy


def test_get_or_create_runs_twice(store: Store) -> None:
    first = store.experiments.get_or_create("tumor-screening")

    assert store.experiments.get_or_create("tumor-screening") == first
    assert store.experiments.get_by_name("tumor-screening") == first


@pytest.mark.parametrize("name", ["", "x" * 501, "nul\0", "half \ud800"])
def test_impossible_names_are_refused(sqlite_store: Store, name: str) -> None:
    with pytest.raises(InvalidInput):
        sqlite_store.experiments.create(name)

    assert len(sqlite_store.experiments.list().items) == 1


def test_longest_name_fits(store: Store) -> None:
    name = "ü" * 500

    assert store.experiments.get(store.experiments.create(name).experiment_id).name == name


@pytest.mark.parametrize("experiment_id", ["abc", "", "-1", "1.5", None, str(2**63)])
def test_experiment_ids_are_numbers(sqlite_store: Store, experiment_id: str) -> None:
    with pytest.raises(InvalidInput, match="is not an experiment id"):
        sqlite_store.experiments.get(experiment_id)


def test_unknown_experiments_are_not_found(store: Store) -> None:
    assert store.experiments.get_by_name("nothing") is None
    for call in (store.experiments.get, store.experiments.delete, store.experiments.restore):
        with pytest.raises(NotFound) as raised:
            call("42")
        assert raised.value.kind == "experiment"


def test_rename(store: Store) -> None:
    made = store.experiments.create("before", now=1)

    renamed = store.experiments.rename(made.experiment_id, "after", now=2)
    again = store.experiments.rename(made.experiment_id, "after", now=2)

    assert renamed == again == store.experiments.get(made.experiment_id)
    assert (renamed.name, renamed.creation_time, renamed.last_update_time) == ("after", 1, 2)
    with pytest.raises(AlreadyExists):
        store.experiments.rename(made.experiment_id, "Default")


def test_delete_and_restore_take_the_runs_along(store: Store) -> None:
    made = store.experiments.create("short-lived")
    run = store.runs.open(made.experiment_id)

    store.experiments.delete(made.experiment_id, now=50)

    assert store.experiments.get(made.experiment_id).lifecycle_stage is LifecycleStage.DELETED
    assert store.runs.get_info(run.info.run_id).lifecycle_stage is LifecycleStage.DELETED
    with pytest.raises(NotFound):
        store.experiments.delete(made.experiment_id)

    store.experiments.restore(made.experiment_id)

    assert store.experiments.get(made.experiment_id).lifecycle_stage is LifecycleStage.ACTIVE
    assert store.runs.get_info(run.info.run_id).lifecycle_stage is LifecycleStage.ACTIVE
    with pytest.raises(NotFound):
        store.experiments.restore(made.experiment_id)


def test_deleted_experiment_takes_no_writes(store: Store) -> None:
    number = store.experiments.create("closed").experiment_id
    store.experiments.delete(number)

    for write in (
        lambda: store.runs.open(number),
        lambda: store.experiments.rename(number, "open"),
        lambda: store.experiments.set_tag(number, "a", "b"),
        lambda: store.experiments.delete_tag(number, "a"),
    ):
        with pytest.raises(InvalidInput, match="'active' state") as raised:
            write()
        assert "Restore" in raised.value.remedy


def test_tags_are_set_over_and_deleted_once(store: Store) -> None:
    store.experiments.set_tag("0", "owner", "ann")
    store.experiments.set_tag("0", "owner", "bob")
    assert store.experiments.get("0").tags == {"owner": "bob"}

    store.experiments.delete_tag("0", "owner")

    assert store.experiments.get("0").tags == {}
    with pytest.raises(NotFound, match="no tag 'owner'"):
        store.experiments.delete_tag("0", "owner")


def test_tag_values_have_a_limit(store: Store) -> None:
    store.experiments.set_tag("0", "note", "😀" * 20_000)

    with pytest.raises(InvalidInput, match="20000 is the most"):
        store.experiments.set_tag("0", "note", "x" * 20_001)


def test_list_pages_from_the_newest(store: Store) -> None:
    for number in range(1, 6):
        store.experiments.create(f"experiment {number}")
    store.experiments.delete("2")

    first = store.experiments.list(max_results=3)
    second = store.experiments.list(max_results=3, page_token=first.next_page_token)
    deleted = store.experiments.list(lifecycle_stage=LifecycleStage.DELETED)

    assert [e.experiment_id for e in first.items] == ["5", "4", "3"]
    assert [e.experiment_id for e in second.items] == ["1", "0"]
    assert second.next_page_token is None
    assert [e.experiment_id for e in deleted.items] == ["2"]
    assert len(store.experiments.list(lifecycle_stage=None).items) == 6


@pytest.mark.parametrize("arguments", [{"max_results": 0}, {"page_token": "nonsense"}])
def test_impossible_pages_are_refused(sqlite_store: Store, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        sqlite_store.experiments.list(**arguments)  # type: ignore[arg-type]


def test_workspaces_are_kept_apart(store: Store) -> None:
    store.experiments.create("shared name")
    others = Experiments(store.database, store.artifact_root, "team-b")
    others.ensure_default()
    others.ensure_default()

    theirs = others.create("shared name")

    assert {e.name for e in others.list().items} == {"Default", "shared name"}
    assert others.get(theirs.experiment_id).workspace == "team-b"
    assert {e.experiment_id for e in others.list().items}.isdisjoint({"0", "1"})
    with pytest.raises(NotFound):
        others.get("0")
    with pytest.raises(NotFound):
        store.experiments.get(theirs.experiment_id)
