"""No way around a guard: whatever would move, end or rename a guarded target is refused and writes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headgate.store.errors import PromotionRefused, TargetGuarded
from headgate.store.registry import Registry, create_version
from headgate.store.store import Store
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW, candidate, promote

STAGE = "stage:Production"

MOVES: dict[str, tuple[str, Callable[[Registry], object]]] = {
    "set the alias": (CHAMPION, lambda registry: registry.set_alias("m", "champion", 2)),
    "set it where it is": (CHAMPION, lambda registry: registry.set_alias("m", "champion", 1)),
    "delete the alias": (CHAMPION, lambda registry: registry.delete_alias("m", "champion")),
    "delete its version": (CHAMPION, lambda registry: registry.delete_version("m", 1, now=NOW)),
    "delete the model": (CHAMPION, lambda registry: registry.delete_model("m")),
    "rename the model": (CHAMPION, lambda registry: registry.rename_model("m", "n", now=NOW)),
    "enter the stage": (STAGE, lambda registry: registry.transition_stage("m", 2, "production", now=NOW)),
    "leave the stage": (STAGE, lambda registry: registry.transition_stage("m", 1, "None", now=NOW)),
    "archive from the stage": (STAGE, lambda registry: registry.transition_stage("m", 1, "Archived", now=NOW)),
    "archive the others": (
        STAGE,
        lambda registry: registry.transition_stage("m", 2, "Production", archive_existing_versions=True, now=NOW),
    ),
    "delete the version in the stage": (STAGE, lambda registry: registry.delete_version("m", 1, now=NOW)),
    "delete the model with the stage": (STAGE, lambda registry: registry.delete_model("m")),
}


def a_model(store: Store) -> None:
    """Version 1 holds the alias and the stage; version 2 holds nothing."""
    store.registry.create_model("m", now=NOW)
    for _ in range(2):
        store.registry.create_version("m", "s3://x", now=NOW)
    store.registry.set_alias("m", "champion", 1)
    store.registry.transition_stage("m", 1, "Production", now=NOW)


@pytest.mark.parametrize("move", MOVES)
def test_a_guarded_target_stays(store: Store, move: str) -> None:
    target, act = MOVES[move]
    a_model(store)
    store.gates.set("m", target, DEFINITION, now=NOW)
    before = store.registry.get_model("m"), store.registry.search_versions().items

    with pytest.raises(TargetGuarded) as refused:
        act(store.registry)

    assert (refused.value.model_name, refused.value.target) == ("m", target)
    assert refused.value.gate_name == DEFINITION["name"]
    assert (store.registry.get_model("m"), store.registry.search_versions().items) == before


@pytest.mark.parametrize("move", MOVES)
def test_without_a_guard_it_moves(store: Store, move: str) -> None:
    target, act = MOVES[move]
    a_model(store)
    store.gates.set("m", target, DEFINITION, now=NOW)
    store.gates.remove("m", target, now=NOW)

    act(store.registry)


def test_what_is_not_guarded_moves_beside_what_is(store: Store) -> None:
    a_model(store)
    store.gates.set("m", CHAMPION, DEFINITION, now=NOW)

    store.registry.set_alias("m", "challenger", 2)
    store.registry.transition_stage("m", 2, "Staging", now=NOW)
    store.registry.create_version("m", "s3://y", now=NOW)
    store.registry.delete_version("m", 2, now=NOW)

    assert store.registry.get_model("m").aliases == {"champion": 1}


def test_a_guarded_name_is_not_taken_over(store: Store) -> None:
    store.registry.create_model("other", now=NOW)
    store.gates.set("m", CHAMPION, DEFINITION, now=NOW)

    with pytest.raises(TargetGuarded):
        store.registry.rename_model("other", "m", now=NOW)


def test_a_model_with_promotions_keeps_its_name(store: Store) -> None:
    model = candidate(store)
    promote(store, model)
    store.gates.remove(MODEL, CHAMPION, now=NOW)

    with pytest.raises(PromotionRefused):
        store.registry.rename_model(MODEL, "other", now=NOW)
    store.registry.create_model("third", now=NOW)
    store.registry.delete_model(MODEL)
    with pytest.raises(PromotionRefused):
        store.registry.rename_model("third", MODEL, now=NOW)


def test_the_number_of_a_promoted_version_is_never_given_to_another(store: Store) -> None:
    model = candidate(store)
    promoted = promote(store, model).to_version
    assert promoted == 1
    store.gates.remove(MODEL, CHAMPION, now=NOW)
    store.registry.delete_model(MODEL)
    store.registry.create_model(MODEL, now=NOW)

    assert store.registry.create_version(MODEL, "s3://another", now=NOW).version == 2


def test_a_move_that_fails_leaves_no_version_behind(store: Store) -> None:
    a_model(store)

    def make_a_version_and_fail() -> None:
        with store.database.write() as conn:
            create_version(conn, store.workspace, "m", source="s3://z", now=NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_a_version_and_fail()

    assert len(store.registry.search_versions().items) == 2
