"""The registry: registered models, versions, tags, stages and aliases, as MLflow has them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.store.entities import ModelVersionStatus
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound
from headgate.store.registry import Registry
from headgate.store.store import Store

NOW = 1_800_000_000_000
THREADS = 6
VERSIONS_EACH = 4


@pytest.fixture
def registry(store: Store) -> Registry:
    return store.registry


def test_a_registered_model_is_created_once(registry: Registry) -> None:
    created = registry.create_model("screening", description="finds tumors", tags={"team": "red"}, now=NOW)

    assert (created.name, created.description, created.tags, created.aliases) == (
        "screening",
        "finds tumors",
        {"team": "red"},
        {},
    )
    assert (created.creation_timestamp, created.last_updated_timestamp) == (NOW, NOW)
    assert registry.get_model("screening") == created
    with pytest.raises(AlreadyExists, match="already exists") as exists:
        registry.create_model("screening", tags={"team": "blue"}, now=NOW + 1)
    assert (exists.value.kind, exists.value.key) == ("registered model", "screening")
    assert registry.get_or_create_model("screening", now=NOW + 2) == created
    assert registry.get_or_create_model("other", now=NOW + 2).creation_timestamp == NOW + 2


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", "..", "x" * 257, "\0"])
def test_mlflows_forbidden_names_are_refused(sqlite_store: Store, name: str) -> None:
    for act in (sqlite_store.registry.create_model, sqlite_store.registry.get_or_create_model):
        with pytest.raises(InvalidInput):
            act(name, now=NOW)
    sqlite_store.registry.create_model("fine", now=NOW)
    with pytest.raises(InvalidInput):
        sqlite_store.registry.rename_model("fine", name, now=NOW)


def test_names_differ_by_case(registry: Registry) -> None:
    registry.create_model("Model", now=NOW)
    registry.create_model("model", now=NOW)

    assert [model.name for model in registry.search_models().items] == ["Model", "model"]


def test_what_does_not_exist_is_named(registry: Registry) -> None:
    registry.create_model("known", now=NOW)
    of_model = (
        lambda: registry.get_model("none"),
        lambda: registry.update_model("none", description="", now=NOW),
        lambda: registry.rename_model("none", "other", now=NOW),
        lambda: registry.delete_model("none"),
        lambda: registry.set_model_tag("none", "a", "b"),
        lambda: registry.delete_model_tag("none", "a"),
        lambda: registry.create_version("none", "s3://x", now=NOW),
        lambda: registry.get_latest_versions("none"),
        lambda: registry.get_version_by_alias("none", "champion"),
        lambda: registry.delete_alias("none", "champion"),
    )
    of_version = (
        lambda: registry.get_version("known", 1),
        lambda: registry.get_version("known", 0),
        lambda: registry.get_version("known", 10**30),
        lambda: registry.update_version("known", 1, description="", now=NOW),
        lambda: registry.delete_version("known", 1, now=NOW),
        lambda: registry.set_version_tag("known", 1, "a", "b"),
        lambda: registry.delete_version_tag("known", 1, "a"),
        lambda: registry.transition_stage("known", 1, "Production", now=NOW),
        lambda: registry.set_alias("known", "champion", 1),
        lambda: registry.download_uri("known", 1),
    )
    for act in of_model:
        with pytest.raises(NotFound) as missing:
            act()
        assert (missing.value.kind, missing.value.key) == ("registered model", "none")
    for act in of_version:
        with pytest.raises(NotFound) as missing:
            act()
        assert missing.value.kind == "model version"


def test_a_model_is_described_tagged_and_renamed_with_all_that_is_its(registry: Registry) -> None:
    registry.create_model("old", tags={"a": "1"}, now=NOW)
    registry.create_version("old", "s3://one", tags={"b": "2"}, now=NOW)
    registry.set_alias("old", "champion", 1)
    registry.update_model("old", description="text", now=NOW + 1)
    registry.update_model("old", description=None, now=NOW + 2)
    registry.set_model_tag("old", "a", "3")
    registry.set_model_tag("old", "gone", "")
    for _ in range(2):
        registry.delete_model_tag("old", "gone")

    renamed = registry.rename_model("old", "new", now=NOW + 3)

    assert (renamed.name, renamed.description, renamed.tags, renamed.aliases) == (
        "new",
        "text",
        {"a": "3"},
        {"champion": 1},
    )
    assert (renamed.creation_timestamp, renamed.last_updated_timestamp) == (NOW, NOW + 3)
    version = registry.get_version("new", 1)
    assert (version.tags, version.aliases, version.last_updated_timestamp) == ({"b": "2"}, ("champion",), NOW + 3)
    with pytest.raises(NotFound):
        registry.get_model("old")
    assert registry.rename_model("new", "new", now=NOW + 4).name == "new"


def test_a_model_does_not_take_the_name_of_another(registry: Registry) -> None:
    registry.create_model("one", now=NOW)
    registry.create_model("two", now=NOW)

    with pytest.raises(AlreadyExists):
        registry.rename_model("one", "two", now=NOW)

    assert {model.name for model in registry.search_models().items} == {"one", "two"}


def test_a_deleted_model_takes_everything_along(registry: Registry) -> None:
    registry.create_model("gone", tags={"a": "1"}, now=NOW)
    registry.create_version("gone", "s3://one", tags={"b": "2"}, now=NOW)
    registry.set_alias("gone", "champion", 1)

    registry.delete_model("gone")
    again = registry.create_model("gone", now=NOW + 1)

    assert (again.tags, again.aliases) == ({}, {})
    assert registry.search_versions("name = 'gone'").items == ()


def test_versions_count_from_one_and_never_reuse_a_number(registry: Registry) -> None:
    registry.create_model("m", now=NOW)

    first = registry.create_version(
        "m",
        "s3://one",
        run_id="a" * 32,
        tags={"b": "2"},
        description="text",
        user_id="ann",
        run_link="https://x",
        now=NOW + 1,
    )
    assert registry.get_version("m", 1) == first
    assert (first.version, first.current_stage, first.status) == (1, "None", ModelVersionStatus.READY)
    assert (first.run_id, first.tags, first.description, first.user_id, first.run_link) == (
        "a" * 32,
        {"b": "2"},
        "text",
        "ann",
        "https://x",
    )
    assert registry.get_model("m").last_updated_timestamp == NOW + 1
    assert [registry.create_version("m", "s3://n", now=NOW).version for _ in range(3)] == [2, 3, 4]
    registry.delete_version("m", 2, now=NOW)
    registry.delete_version("m", 4, now=NOW)
    assert registry.create_version("m", "s3://n", now=NOW).version == 5
    assert [version.version for version in registry.search_versions("name = 'm'").items] == [5, 3, 1]


def test_no_number_is_lost_or_given_twice(store: Store) -> None:
    store.registry.create_model("m", now=NOW)
    start = threading.Barrier(THREADS)

    def create(worker: int) -> list[int]:
        start.wait()
        return [store.registry.create_version("m", f"s3://{worker}/{n}", now=NOW).version for n in range(VERSIONS_EACH)]

    with ThreadPoolExecutor(THREADS) as pool:
        numbers = [number for given in pool.map(create, range(THREADS)) for number in given]

    assert sorted(numbers) == list(range(1, THREADS * VERSIONS_EACH + 1))
    found = store.registry.search_versions("name = 'm'").items
    assert len({version.source for version in found}) == len(found) == len(numbers)


def test_many_that_create_one_model_at_once_share_it(store: Store) -> None:
    start = threading.Barrier(THREADS)

    def create(worker: int) -> int:
        start.wait()
        return store.registry.get_or_create_model("m", now=NOW + worker).creation_timestamp

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(create, range(THREADS)))) == 1


def test_a_version_knows_its_logged_model(store: Store) -> None:
    run_id = "b" * 32
    model = store.logged_models.create("0", source_run_id=run_id, now=NOW)
    store.registry.create_model("m", now=NOW)
    store.registry.create_model("copy", now=NOW)

    by_id = store.registry.create_version("m", model_id=model.model_id, now=NOW)
    by_uri = store.registry.create_version("m", model.model_uri, now=NOW)
    copied = store.registry.create_version("copy", "models:/m/1", now=NOW)
    elsewhere = store.registry.create_version("m", "s3://files", model_id=model.model_id, run_id="c" * 32, now=NOW)

    assert by_id.source == model.model_uri
    for version in (by_id, by_uri, copied):
        assert version.model_id == model.model_id
        assert store.registry.download_uri(version.name, version.version) == model.artifact_location
    assert (by_id.run_id, elsewhere.run_id) == (run_id, "c" * 32)
    assert store.registry.download_uri("m", elsewhere.version) == "s3://files"
    assert [(v.name, v.version) for v in store.registry.versions_of_logged_model(model.model_id)] == [
        ("copy", 1),
        ("m", 1),
        ("m", 2),
        ("m", 3),
    ]
    assert store.registry.versions_of_logged_model("m-unknown") == ()


def test_the_files_of_a_version_outlive_the_deletion_of_its_logged_model(store: Store) -> None:
    model = store.logged_models.create("0", now=NOW)
    store.registry.create_model("m", now=NOW)
    store.registry.create_version("m", model_id=model.model_id, now=NOW)
    store.logged_models.delete(model.model_id, now=NOW)

    assert store.registry.download_uri("m", 1) == model.artifact_location
    with pytest.raises(NotFound):
        store.registry.create_version("m", model_id=model.model_id, now=NOW)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("", InvalidInput),
        ("x" * 5001, InvalidInput),
        ("models:/m/latest", InvalidInput),
        ("models:/m@champion", InvalidInput),
        ("models:/a/b/c", InvalidInput),
        ("models:/m/7", NotFound),
        ("models:/m-unknown", NotFound),
    ],
)
def test_a_source_must_name_one_thing_that_is_there(
    sqlite_store: Store, source: str, error: type[InvalidInput]
) -> None:
    sqlite_store.registry.create_model("m", now=NOW)

    with pytest.raises(error):
        sqlite_store.registry.create_version("m", source, now=NOW)

    assert sqlite_store.registry.search_versions().items == ()


def test_versions_are_described_and_tagged(registry: Registry) -> None:
    registry.create_model("m", now=NOW)
    registry.create_version("m", "s3://one", description="text", now=NOW)

    registry.update_version("m", 1, description=None, now=NOW + 1)
    registry.set_version_tag("m", 1, "a", "1")
    registry.set_version_tag("m", 1, "a", "x" * 100_000)
    registry.set_version_tag("m", 1, "gone", "1")
    for _ in range(2):
        registry.delete_version_tag("m", 1, "gone")

    found = registry.get_version("m", 1)
    assert (found.description, found.tags, found.last_updated_timestamp) == ("text", {"a": "x" * 100_000}, NOW + 1)
    assert registry.update_version("m", 1, description="new", now=NOW).description == "new"
    with pytest.raises(InvalidInput):
        registry.set_version_tag("m", 1, "a", "x" * 100_001)
    with pytest.raises(InvalidInput):
        registry.set_model_tag("m", "bad//key", "x")
    with pytest.raises(InvalidInput):
        registry.update_version("m", 1, description="x" * 5001, now=NOW)


def test_stages_move_in_any_case_and_archive_the_others(registry: Registry) -> None:
    registry.create_model("m", now=NOW)
    for _ in range(4):
        registry.create_version("m", "s3://x", now=NOW)

    assert registry.transition_stage("m", 1, "production", now=NOW + 1).current_stage == "Production"
    registry.transition_stage("m", 2, "PRODUCTION", now=NOW + 1)
    registry.transition_stage("m", 3, "Staging", now=NOW + 1)
    registry.transition_stage("m", 4, "Production", archive_existing_versions=True, now=NOW + 2)
    again = registry.transition_stage("m", 4, "Production", archive_existing_versions=True, now=NOW + 3)

    stages = {version.version: version.current_stage for version in registry.search_versions("name = 'm'").items}
    assert stages == {1: "Archived", 2: "Archived", 3: "Staging", 4: "Production"}
    assert again.last_updated_timestamp == NOW + 3
    assert registry.get_version("m", 1).last_updated_timestamp == NOW + 2
    assert [(v.version, v.current_stage) for v in registry.get_latest_versions("m")] == [
        (2, "Archived"),
        (3, "Staging"),
        (4, "Production"),
    ]
    assert [v.version for v in registry.get_latest_versions("m", ["staging", "PRODUCTION", "None"])] == [3, 4]
    assert [v.version for v in registry.get_latest_versions("m", [])] == [2, 3, 4]


def test_a_stage_must_be_one_and_archives_only_when_active(registry: Registry) -> None:
    registry.create_model("m", now=NOW)
    registry.create_version("m", "s3://x", now=NOW)

    with pytest.raises(InvalidInput, match="Invalid Model Version stage: Live"):
        registry.transition_stage("m", 1, "Live", now=NOW)
    with pytest.raises(InvalidInput, match="not an Active stage"):
        registry.transition_stage("m", 1, "Archived", archive_existing_versions=True, now=NOW)
    with pytest.raises(InvalidInput):
        registry.get_latest_versions("m", ["Live"])
    assert registry.get_version("m", 1).current_stage == "None"


def test_latest_versions_of_many_models_at_once(registry: Registry) -> None:
    for name in ("a", "b", "empty"):
        registry.create_model(name, now=NOW)
    for name in ("a", "a", "b"):
        registry.create_version(name, "s3://x", now=NOW)
    registry.transition_stage("a", 1, "Production", now=NOW)

    found = registry.latest_versions_of(["a", "b", "empty", "none"])

    assert {name: [v.version for v in versions] for name, versions in found.items()} == {"a": [1, 2], "b": [1]}


def test_aliases_move_and_go(registry: Registry) -> None:
    registry.create_model("m", now=NOW)
    for _ in range(2):
        registry.create_version("m", "s3://x", now=NOW)

    registry.set_alias("m", "champion", 1)
    for _ in range(2):
        registry.set_alias("m", "champion", 2)
    registry.set_alias("m", "Champion", 1)
    registry.set_alias("m", "other", 2)

    assert registry.get_model("m").aliases == {"Champion": 1, "champion": 2, "other": 2}
    assert registry.get_version("m", 2).aliases == ("champion", "other")
    assert registry.get_version_by_alias("m", "champion").version == 2
    assert registry.get_version_by_alias("m", "LATEST").version == 2
    for _ in range(2):
        registry.delete_alias("m", "champion")
    with pytest.raises(NotFound, match="Registered model alias champion not found") as missing:
        registry.get_version_by_alias("m", "champion")
    assert (missing.value.kind, missing.value.key, missing.value.name) == ("alias", "champion", "m")
    registry.delete_version("m", 2, now=NOW)
    assert registry.get_model("m").aliases == {"Champion": 1}


@pytest.mark.parametrize("alias", ["", "a b", "a@b", "a/b", "latest", "Latest", "v1", "V12", "x" * 256])
def test_mlflows_forbidden_aliases_are_refused(sqlite_store: Store, alias: str) -> None:
    sqlite_store.registry.create_model("m", now=NOW)
    sqlite_store.registry.create_version("m", "s3://x", now=NOW)

    with pytest.raises(InvalidInput) as refused:
        sqlite_store.registry.set_alias("m", alias, 1)

    assert refused.value.kind == "alias" if len(alias) < 256 else True
    assert sqlite_store.registry.get_model("m").aliases == {}


@pytest.mark.parametrize("alias", ["v", "v1a", "1", "late", "a-b_C9", "é"])
def test_other_aliases_are_taken(sqlite_store: Store, alias: str) -> None:
    sqlite_store.registry.create_model("m", now=NOW)
    sqlite_store.registry.create_version("m", "s3://x", now=NOW)
    sqlite_store.registry.set_alias("m", alias, 1)

    assert sqlite_store.registry.get_model("m").aliases == {alias: 1}


def test_workspaces_do_not_see_each_other(store: Store) -> None:
    mine, theirs = store.registry, Registry(store.database, "theirs")
    mine.create_model("m", now=NOW)
    theirs.create_model("m", now=NOW + 1)
    mine.create_version("m", "s3://mine", now=NOW)

    assert theirs.get_model("m").creation_timestamp == NOW + 1
    assert theirs.search_versions().items == ()
    assert [model.workspace for model in theirs.search_models().items] == ["theirs"]
    theirs.delete_model("m")
    assert mine.get_version("m", 1).source == "s3://mine"
