"""The guards file: which gate guards which aliases and stages, and who approves and overrides, reviewed like code.

It is a file of its own, not a part of a pipeline: whoever may edit the code that trains a model must not thereby choose
who approves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from headgate.store.clock import now_ms
from headgate.store.errors import InvalidGate, InvalidInput
from headgate.store.gates import GuardTerms
from headgate.store.guard_rules import checked_people, checked_quorum
from headgate.store.model_names import check_registered_model_name
from headgate.store.targets import parse_target
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.gates.file import load_gate, read_definition, read_file
from headgate.tasks.gates.origin import Origin
from headgate.tasks.places import Place

if TYPE_CHECKING:
    from headgate.store.entities import Guard
    from headgate.store.store import Store
    from headgate.tasks.gates.model import Gate

GUARD_KEYS = ("model", "alias", "stage", "gate", "approvers", "quorum", "authenticated", "overriders")

_Checked = TypeVar("_Checked")


def load_guards(path: str | Path) -> tuple[GuardTerms, ...]:
    """Read a guards file; gates that it names by their file are relative to it.

    Raises:
        InvalidGate: the file or a gate's is not there, is not YAML, or says something that a guard can't mean; with
            ``file`` and ``line``.
    """
    return parse_guards(read_file(path, "guards"), file=str(path), folder=Path(path).absolute().parent)


def parse_guards(content: str | bytes, *, file: str = "guards.yaml", folder: Path) -> tuple[GuardTerms, ...]:
    """Read guards from the content of a guards file; ``file`` is what errors call it. Raises as :func:`load_guards`."""
    value, origin = read_definition(content, file=file, what="guards")
    if not isinstance(value, Mapping) or list(value) != ["guards"] or not isinstance(value["guards"], list):
        raise origin.mistake((), "a guards file is a list under `guards`.", "Write guards: and - model: … below it.")
    reading = _Reading(origin, folder)
    terms = tuple(reading.guard(said, ("guards", number)) for number, said in enumerate(value["guards"]))
    seen: set[tuple[str, str]] = set()
    for number, each in enumerate(terms):
        if (each.model_name, each.target) in seen:
            what = f"{each.target} of {each.model_name!r} is guarded twice."
            raise origin.mistake(("guards", number), what, "Keep one of them.")
        seen.add((each.model_name, each.target))
    return terms


def set_guards(
    store: Store,
    guards: str | Path | Sequence[GuardTerms],
    *,
    actor: str = "",
    actor_authenticated: bool = False,
    now: int | None = None,
) -> tuple[Guard, ...]:
    """Let the guards of a file stand, all of them or none; those of other targets stay as they are.

    What a guard of the file does not say is nobody: no approvals, no overriders. Doing it again changes nothing.

    Args:
        store: where the guards are.
        guards: a guards file, or what was read from one.
        actor: who sets them, for the record.
        actor_authenticated: whether a door knows that it is they.
        now: epoch ms; None is the present.

    Raises:
        InvalidGate: as :func:`load_guards`.
        NotPermitted: a guard that stands names overriders, would change, and the actor is none of them.
    """
    terms = load_guards(guards) if isinstance(guards, str | Path) else guards
    moment = now_ms() if now is None else now
    return store.gates.set_all(terms, now=moment, actor=actor, actor_authenticated=actor_authenticated)


class _Reading:
    def __init__(self, origin: Origin, folder: Path) -> None:
        self._origin = origin
        self._folder = folder

    def guard(self, said: object, where: Place) -> GuardTerms:
        if not isinstance(said, Mapping):
            raise self._mistake(where, "a guard must be `key: value` lines.", f"Its keys are {', '.join(GUARD_KEYS)}.")
        for key in said:
            if key not in GUARD_KEYS:
                raise self._mistake((*where, key), f"unknown key `{key}`.", f"Use {', '.join(GUARD_KEYS)}.")
        for needed in ("model", "gate"):
            if needed not in said:
                raise self._mistake(where, f"the guard has no `{needed}`.", f"Add `{needed}:`.")
        model = self._text(said["model"], (*where, "model"))
        self._checked((*where, "model"), lambda: check_registered_model_name(model))
        approvers = self._people(said, "approvers", where)
        quorum = self._quorum(said.get("quorum", 1 if approvers else 0), approvers, (*where, "quorum"))
        authenticated = said.get("authenticated", False)
        if not isinstance(authenticated, bool):
            raise self._mistake((*where, "authenticated"), "`authenticated` must be true or false.", "Write true.")
        return GuardTerms(
            model_name=model,
            target=self._target(said, where),
            definition=self._gate(said["gate"], (*where, "gate")).definition(),
            approvers=approvers,
            quorum=quorum,
            authenticated=authenticated,
            overriders=self._people(said, "overriders", where),
        )

    def _target(self, said: Mapping[str, Any], where: Place) -> str:
        named = [key for key in ("alias", "stage") if key in said]
        if len(named) != 1:
            raise self._mistake(where, "a guard is of one `alias` or one `stage`.", "Write alias: champion.")
        place = (*where, named[0])
        name = self._text(said[named[0]], place)
        text = f"@{name.removeprefix('@')}" if named == ["alias"] else f"stage:{name}"
        return str(self._checked(place, lambda: parse_target(text)))

    def _gate(self, said: object, where: Place) -> Gate:
        if isinstance(said, Mapping):
            return gate_from_definition(said, self._origin.below(where))
        path = self._folder / Path(self._text(said, where)).expanduser()
        if not path.is_file():
            raise self._mistake(
                where, f"there is no gate file {str(path)!r}.", "Give its path, from this file's folder."
            )
        return load_gate(path)

    def _people(self, said: Mapping[str, Any], key: str, where: Place) -> tuple[str, ...]:
        place = (*where, key)
        names = said.get(key, [])
        if not isinstance(names, list):
            raise self._mistake(place, f"`{key}` must be a list of people.", f"Write {key}: [alice, bob].")
        people = [self._text(name, (*place, number)) for number, name in enumerate(names)]
        return self._checked(place, lambda: checked_people(key, people))

    def _quorum(self, said: object, approvers: tuple[str, ...], where: Place) -> int:
        if not isinstance(said, int) or isinstance(said, bool):
            raise self._mistake(where, "`quorum` must be a whole number.", "Write quorum: 2.")
        self._checked(where, lambda: checked_quorum(said, approvers))
        return said

    def _text(self, said: object, where: Place) -> str:
        if not isinstance(said, str):
            written = self._origin.texts.get(where, said)
            raise self._mistake(where, f"{written!r} must be a text.", "Put it in quotes.")
        return said

    def _checked(self, where: Place, check: Callable[[], _Checked]) -> _Checked:
        """Return what a check of the store's returns; what it refuses gets the place where it stands."""
        try:
            return check()
        except InvalidInput as error:
            raise self._mistake(where, error.message, error.remedy) from error

    def _mistake(self, where: Place, message: str, remedy: str) -> InvalidGate:
        return self._origin.mistake(where, message, remedy)
