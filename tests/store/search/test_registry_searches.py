"""Searches of registered models and of their versions."""

from __future__ import annotations

import pytest

from headgate.store.errors import InvalidFilter, InvalidInput
from headgate.store.registry import Registry
from headgate.store.store import Store

NOW = 1_800_000_000_000
PROMPT = "mlflow.prompt.is_prompt"


@pytest.fixture
def registry(store: Store) -> Registry:
    """Three models with versions, and one prompt."""
    registry = store.registry
    for number, (name, team) in enumerate([("forest", "red"), ("Forest", "blue"), ("linear", "red")]):
        registry.create_model(name, tags={"team": team}, now=NOW + number)
        for version in range(1, 12 if name == "forest" else 2):
            registry.create_version(
                name, f"s3://{name}/{version}", run_id=f"{version:032}", tags={"odd": str(version % 2)}, now=NOW
            )
    registry.create_model("greeting", tags={PROMPT: "true", "team": "red"}, now=NOW)
    registry.create_version("greeting", "dummy-source", tags={PROMPT: "true", "odd": "1"}, now=NOW)
    return registry


def models(registry: Registry, filter: str = "", *order_by: str) -> list[str]:  # noqa: A002
    return [model.name for model in registry.search_models(filter, order_by=order_by).items]


def versions(registry: Registry, filter: str = "", *order_by: str) -> list[tuple[str, int]]:  # noqa: A002
    return [(found.name, found.version) for found in registry.search_versions(filter, order_by=order_by).items]


def test_a_model_comes_with_its_tags_and_aliases(registry: Registry) -> None:
    registry.set_alias("linear", "champion", 1)

    (found,) = registry.search_models("name = 'linear'").items

    assert found == registry.get_model("linear")
    assert found.aliases == {"champion": 1}


def test_models_are_found_by_name_and_tag(registry: Registry) -> None:
    for text, expected in {
        "": ["Forest", "forest", "linear"],
        "name LIKE 'f%'": ["forest"],
        "name ILIKE 'F%'": ["Forest", "forest"],
        "name IN ('linear', 'none')": ["linear"],
        "attribute.name NOT IN ('linear')": ["Forest", "forest"],
        "tags.team = 'red' AND name != 'linear'": ["forest"],
        "tag.team != 'red'": ["Forest"],
        "tags.team LIKE 'b%'": ["Forest"],
        "tags.none = 'x'": [],
    }.items():
        assert models(registry, text) == expected, text


def test_models_are_ordered(registry: Registry) -> None:
    registry.update_model("linear", description="x", now=NOW - 5)
    registry.update_model("forest", description="x", now=NOW + 50)
    registry.update_model("Forest", description="x", now=NOW + 50)

    assert models(registry, "", "name DESC") == ["linear", "forest", "Forest"]
    assert models(registry, "", "timestamp") == ["linear", "Forest", "forest"]
    assert models(registry, "", "last_updated_timestamp DESC") == ["Forest", "forest", "linear"]
    assert models(registry, "", "creation_timestamp DESC") == ["linear", "Forest", "forest"]


def test_prompts_are_seen_only_when_they_are_asked_for(registry: Registry) -> None:
    prompts_only = [f"tags.`{PROMPT}` = 'true'", f"tags.`{PROMPT}` != 'false'", f"tags.`{PROMPT}` = 'True'"]
    no_prompts = ["", f"tags.`{PROMPT}` != 'true'", f"tags.`{PROMPT}` = 'false'", f"tags.`{PROMPT}` LIKE 't%'"]

    assert [models(registry, text) for text in prompts_only] == [["greeting"], ["greeting"], []]
    assert models(registry, f"tags.`{PROMPT}` = 'true' AND tags.team = 'blue'") == []
    for text in no_prompts:
        assert models(registry, text) == ["Forest", "forest", "linear"]
        assert ("greeting", 1) not in versions(registry, text)
    assert models(registry, f"tags.`{PROMPT}` != 'true' AND tags.team = 'red'") == ["forest", "linear"]
    assert versions(registry, f"tags.`{PROMPT}` = 'true'") == [("greeting", 1)]


def test_a_version_comes_with_its_tags_and_aliases(registry: Registry) -> None:
    registry.set_alias("forest", "champion", 3)

    (found,) = registry.search_versions("name = 'forest' AND version_number = 3").items

    assert found == registry.get_version("forest", 3)
    assert (found.aliases, found.tags) == (("champion",), {"odd": "1"})


def test_versions_are_found_by_name_number_run_source_and_tag(registry: Registry) -> None:
    for text, expected in {
        "name = 'Forest'": [("Forest", 1)],
        "name IN ('Forest', 'linear')": [("Forest", 1), ("linear", 1)],
        "name LIKE '%o%' AND version_number > 9": [("forest", 11), ("forest", 10)],
        "version_number >= '11'": [("forest", 11)],
        f"version_number < {10**30} AND version_number > 10": [("forest", 11)],
        f"run_id = '{7:032}'": [("forest", 7)],
        f"run_id IN ('{7:032}', '{8:032}')": [("forest", 8), ("forest", 7)],
        f"run_id NOT IN ('{1:032}') AND version_number < 4": [("forest", 3), ("forest", 2)],
        "source_path = 's3://linear/1'": [("linear", 1)],
        "source_path LIKE 's3://f%/2'": [("forest", 2)],
        "tags.odd = '0' AND version_number < 5": [("forest", 4), ("forest", 2)],
        "tags.odd != '0' AND name != 'forest'": [("Forest", 1), ("linear", 1)],
    }.items():
        assert versions(registry, text) == expected, text


def test_versions_are_ordered_by_name_and_newest_first(registry: Registry) -> None:
    everything = versions(registry)

    assert everything == [("Forest", 1), *(("forest", number) for number in range(11, 0, -1)), ("linear", 1)]
    assert versions(registry, "", "name DESC")[0] == ("linear", 1)
    assert versions(registry, "", "version_number ASC")[:4] == [
        ("Forest", 1),
        ("forest", 1),
        ("linear", 1),
        ("forest", 2),
    ]
    registry.update_version("forest", 5, description="x", now=NOW + 1)
    assert versions(registry, "", "last_updated_timestamp DESC")[0] == ("forest", 5)
    assert versions(registry, "", "creation_timestamp DESC") == everything


@pytest.mark.parametrize("order", [(), ("name DESC",), ("version_number",), ("last_updated_timestamp DESC", "name")])
def test_pages_put_together_are_the_whole(registry: Registry, order: tuple[str, ...]) -> None:
    whole = versions(registry, "", *order)
    found: list[tuple[str, int]] = []
    token = None
    while True:
        page = registry.search_versions(order_by=order, max_results=4, page_token=token)
        found += [(item.name, item.version) for item in page.items]
        token = page.next_page_token
        if token is None:
            break
    assert found == whole

    names = []
    token = None
    while True:
        one = registry.search_models(order_by=["timestamp DESC"], max_results=1, page_token=token)
        names += [item.name for item in one.items]
        token = one.next_page_token
        if token is None:
            break
    assert names == models(registry, "", "timestamp DESC")


def test_thousands_of_versions_come_on_one_page(sqlite_store: Store) -> None:
    sqlite_store.registry.create_model("m", now=NOW)
    with sqlite_store.database.write() as conn:
        from headgate.store.registry import create_version

        for _ in range(300):
            create_version(conn, "default", "m", source="s3://x", now=NOW)

    assert [v.version for v in sqlite_store.registry.search_versions().items] == list(range(300, 0, -1))


def test_pages_have_limits(sqlite_store: Store) -> None:
    for act, most in ((sqlite_store.registry.search_models, 1000), (sqlite_store.registry.search_versions, 200_000)):
        act(max_results=most)
        for size in (0, most + 1):
            with pytest.raises(InvalidInput, match="max_results"):
                act(max_results=size)
        with pytest.raises(InvalidFilter):
            act("metrics.a > 1")
        with pytest.raises(InvalidFilter):
            act(order_by=["tags.a"])
        with pytest.raises(InvalidInput, match="does not belong"):
            act(page_token="x")
