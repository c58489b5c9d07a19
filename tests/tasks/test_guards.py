"""The guards file: what it declares stands, all of it or none; every mistake with file, line and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.errors import InvalidGate, NotPermitted
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import load_gate, load_guards, set_guards

NOW = 1_800_000_000_000
GATE = "name: screening\nchecks: {all_of: [{metric: recall, at_least: 0.9}]}\n"
GUARDS = """\
guards:
  - model: tumor
    alias: champion
    gate: gates/gate.yaml
    approvers: [alice, bob]
    quorum: 2
    authenticated: true
    overriders: [root]
  - model: lung
    stage: production
    gate: {name: inline, checks: {all_of: [{metric: f1, above: 0.5}]}}
    approvers: [carol]
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=Settings()) as opened:
        yield opened


def write(folder: Path, text: str) -> Path:
    (folder / "gates").mkdir(exist_ok=True)
    (folder / "gates" / "gate.yaml").write_text(GATE)
    (folder / "guards.yaml").write_text(text)
    return folder / "guards.yaml"


def test_what_the_file_declares_stands(store: Store, tmp_path: Path) -> None:
    store.gates.set("other", "@champion", {"name": "another"}, now=1)
    file = write(tmp_path, GUARDS)
    champion, production = set_guards(store, file, actor="root", actor_authenticated=True, now=NOW)
    assert champion == store.gates.get("tumor", "@champion")
    assert champion.gate_digest == load_gate(tmp_path / "gates/gate.yaml").digest
    assert (champion.approvers, champion.quorum, champion.authenticated) == (("alice", "bob"), 2, True)
    assert (champion.overriders, champion.updated_by, champion.updated_at) == (("root",), "root", NOW)
    assert (production.target, production.gate_name, production.quorum) == ("stage:Production", "inline", 1)
    assert set_guards(store, file, actor="anybody", now=NOW + 1) == (champion, production)
    write(tmp_path, GUARDS.replace("    quorum: 2\n", "").replace("    overriders: [root]\n", ""))
    changed, _ = set_guards(store, file, actor="root", actor_authenticated=True, now=NOW)
    assert (changed.quorum, changed.overriders) == (1, ())
    assert len(store.gates.list()) == 3


def test_all_of_the_file_stands_or_nothing(store: Store, tmp_path: Path) -> None:
    set_guards(store, write(tmp_path, GUARDS), actor="root", actor_authenticated=True, now=NOW)
    before = store.gates.list()
    file = write(tmp_path, GUARDS.replace("quorum: 2", "quorum: 1").replace("[carol]", "[dave]"))
    for actor, authenticated in (("mallory", True), ("root", False)):
        with pytest.raises(NotPermitted):
            set_guards(store, file, actor=actor, actor_authenticated=authenticated, now=NOW)
        assert store.gates.list() == before


@pytest.mark.parametrize(
    ("wrong", "line", "message"),
    [
        (("guards:", "guard:"), 1, "a guards file is a list under `guards`"),
        (("  - model: tumor\n    alias", "  - alias"), 2, "the guard has no `model`"),
        (("    gate: gates/gate.yaml\n", ""), 2, "the guard has no `gate`"),
        (("alias: champion", "alias: champion\n    stage: Production"), 2, "one `alias` or one `stage`"),
        (("alias: champion", "alias: latest"), 3, "'@latest' is not an alias"),
        (("stage: production", "stage: Moon"), 10, "'stage:Moon' is not a stage"),
        (("gates/gate.yaml", "gates/none.yaml"), 4, "there is no gate file"),
        (("above: 0.5", "above: high"), 11, "high"),
        (("[alice, bob]", "[007, bob]"), 5, "'007' must be a text"),
        (("[alice, bob]", "alice"), 5, "`approvers` must be a list of people"),
        (("[alice, bob]", '[alice, ""]'), 5, "The approvers can't be"),
        (("quorum: 2", "quorum: 3"), 6, "quorum"),
        (("quorum: 2", "quorum: two"), 6, "`quorum` must be a whole number"),
        (("authenticated: true", "authenticated: perhaps"), 7, "`authenticated` must be true or false"),
        (("overriders", "overrides"), 8, "unknown key `overrides`"),
        (("model: lung\n    stage: production", "model: tumor\n    alias: '@champion'"), 9, "is guarded twice"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_remedy(
    tmp_path: Path, wrong: tuple[str, str], line: int, message: str
) -> None:
    assert wrong[0] in GUARDS
    file = write(tmp_path, GUARDS.replace(*wrong, 1))
    with pytest.raises(InvalidGate) as raised:
        load_guards(file)
    assert message in raised.value.message
    assert (raised.value.attributes["file"], raised.value.attributes["line"]) == (str(file), line)
    assert raised.value.remedy


def test_a_mistake_in_a_gate_file_is_told_there(tmp_path: Path) -> None:
    file = write(tmp_path, GUARDS)
    (tmp_path / "gates/gate.yaml").write_text("name: screening\n")
    with pytest.raises(InvalidGate, match=r"gate\.yaml:1: the gate has no `checks`"):
        load_guards(file)
