"""Guards: set, read, replaced on the record, removed; and targets in their two forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.store.canonical import digest_of
from headgate.store.errors import InvalidGate, InvalidInput, TargetGuarded
from headgate.store.gates import require_unguarded
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.store.tables import metadata
from headgate.store.targets import Target, parse_target
from tests.store.promotion_cases import CHAMPION, DEFINITION, MODEL, NOW

STRICTER = {**DEFINITION, "expires_after": "1h"}


def outbox(store: Store) -> list[tuple[str, str, Any]]:
    table = metadata.tables["headgate_outbox"]
    with store.database.read() as conn:
        rows = conn.execute(sa.select(table).order_by(table.c.outbox_id))
        return [
            (row.topic, row.subject, row.payload["replaces"] and row.payload["replaces"]["gate_digest"]) for row in rows
        ]


def test_a_guard_is_set_and_read(store: Store) -> None:
    guard = store.gates.set(MODEL, "stage:production", DEFINITION, now=NOW, actor="alice")
    assert guard == store.gates.get(MODEL, "stage:Production")
    assert (guard.target, guard.gate_name, guard.gate_digest) == (
        "stage:Production",
        "screening-gate",
        digest_of(DEFINITION),
    )
    assert (guard.gate_definition, guard.updated_at, guard.updated_by) == (DEFINITION, NOW, "alice")
    assert store.gates.get(MODEL, CHAMPION) is None


def test_the_same_guard_again_changes_nothing(store: Store) -> None:
    guard = store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW, actor="alice")
    assert store.gates.set(MODEL, CHAMPION, dict(reversed(DEFINITION.items())), now=NOW + 1, actor="bob") == guard
    assert store.gates.get(MODEL, CHAMPION) == guard
    assert outbox(store) == [("guard.set", f"{MODEL}{CHAMPION}", None)]


def test_a_changed_and_a_removed_guard_are_on_the_record(store: Store) -> None:
    store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW)
    changed = store.gates.set(MODEL, CHAMPION, STRICTER, now=NOW + 1, actor="bob")
    assert store.gates.get(MODEL, CHAMPION) == changed
    assert store.gates.remove(MODEL, CHAMPION, now=NOW + 2, actor="carol")
    assert not store.gates.remove(MODEL, CHAMPION, now=NOW + 3)
    assert store.gates.get(MODEL, CHAMPION) is None
    subject = f"{MODEL}{CHAMPION}"
    assert outbox(store) == [
        ("guard.set", subject, None),
        ("guard.set", subject, digest_of(DEFINITION)),
        ("guard.removed", subject, digest_of(STRICTER)),
    ]


def test_guards_are_listed_by_model_and_target(store: Store) -> None:
    places = [("b", "@x"), ("a", "stage:Staging"), ("a", "@y")]
    guards = {place: store.gates.set(*place, DEFINITION, now=NOW) for place in places}
    assert store.gates.list() == tuple(guards[place] for place in sorted(places))
    assert store.gates.list("b") == (guards["b", "@x"],)
    assert store.gates.list("c") == ()


def test_a_workspace_has_guards_of_its_own(sqlite_store: Store) -> None:
    sqlite_store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW)
    with open_store(sqlite_store.url, settings=Settings(workspace="other")) as other:
        assert other.gates.get(MODEL, CHAMPION) is None
        assert other.gates.list() == ()


def test_what_is_no_gate_guards_nothing(sqlite_store: Store) -> None:
    for definition in ({}, {"name": ""}, {"name": 3}, {"name": "g", "x": math.nan}, {"name": "g", "x": object()}):
        with pytest.raises(InvalidGate):
            sqlite_store.gates.set(MODEL, CHAMPION, definition, now=NOW)
    with pytest.raises(InvalidInput, match="257 characters"):
        sqlite_store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW, actor="x" * 257)
    assert sqlite_store.gates.list() == ()


def test_what_is_guarded_names_its_gate_and_the_remedy(store: Store) -> None:
    store.gates.set(MODEL, CHAMPION, DEFINITION, now=NOW)
    with store.database.write() as conn:
        require_unguarded(conn, "default", MODEL, "@challenger")
        require_unguarded(conn, "default", "another")
        for target in (CHAMPION, None):
            with pytest.raises(TargetGuarded, match="guarded by the gate 'screening-gate'") as caught:
                require_unguarded(conn, "default", MODEL, target)
            assert caught.value.attributes == {"model_name": MODEL, "target": CHAMPION, "gate_name": "screening-gate"}
            assert "headgate models promote" in caught.value.remedy


def test_a_guard_on_the_longest_names_is_announced(store: Store) -> None:
    name, alias = "n" * 256, "@" + "a" * 255
    assert store.gates.set(name, alias, DEFINITION, now=NOW) == store.gates.get(name, alias)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("@champion", Target(alias="champion")),
        ("@größe-2_x", Target(alias="größe-2_x")),
        ("stage:Production", Target(stage="Production")),
        ("STAGE:staging", Target(stage="Staging")),
    ],
)
def test_targets_are_read_in_both_forms(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", "champion", "@", "@a b", "@a/b", "@a\n", "@latest", "@Latest", "@v1", "@V12", "@" + "a" * 256),
        *("stage:", "stage:None", "stage:Archived", "stage:prod"),
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_target(text)
    assert caught.value.remedy
