"""Guards: the promise that a model's alias or stage moves only by a promotion through a gate.

Whatever else moves, deletes or renames something of a registered model asks :func:`require_unguarded` first, within
its own transaction. The model's row is locked meanwhile, so a guard that is set at the same time comes before or after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, and_, delete, select

from headgate.store.canonical import digest_of
from headgate.store.database import Database
from headgate.store.dialects import upsert
from headgate.store.entities import DEFAULT_WORKSPACE, Guard
from headgate.store.errors import InvalidGate, TargetGuarded
from headgate.store.guard_rules import checked_people, checked_quorum, require_may_override
from headgate.store.outbox import announce
from headgate.store.tables import GuardRow, RegisteredModelRow
from headgate.store.targets import checked_actor, parse_target

_GUARD = GuardRow.__table__
_MODEL = RegisteredModelRow.__table__
_COLUMNS = tuple(field.name for field in fields(Guard))
_PEOPLE = ("approvers", "quorum", "authenticated", "overriders")
_CHANGING = ("gate_name", "gate_digest", "gate_definition", "updated_at", "updated_by", *_PEOPLE)


@dataclass(frozen=True, slots=True)
class GuardTerms:
    """What shall guard a target, all of it said: see :meth:`Guards.set`."""

    model_name: str
    target: str
    definition: Mapping[str, Any]
    approvers: tuple[str, ...] = ()
    quorum: int = 0
    authenticated: bool = False
    overriders: tuple[str, ...] = ()


class Guards:
    """The guards of a workspace's registered models.

    Args:
        database: the store's.
        workspace: the workspace that model names belong to.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def set(
        self,
        model_name: str,
        target: str,
        definition: Mapping[str, Any],
        *,
        approvers: Iterable[str] | None = None,
        quorum: int | None = None,
        authenticated: bool | None = None,
        overriders: Iterable[str] | None = None,
        now: int,
        actor: str = "",
        actor_authenticated: bool = False,
    ) -> Guard:
        """Guard a target with a gate; a guard that is there already is replaced.

        What is None of the people stays as it is in the guard that is there; without one nobody is asked, and nobody
        overrides.

        Args:
            model_name: the registered model, which need not exist yet.
            target: ``@alias`` or ``stage:Name``.
            definition: the gate's canonical definition (``Gate.definition()``).
            approvers: whose approval counts; empty for anybody's. Naming some asks for one approval, unless ``quorum``
                says how many.
            quorum: how many people have to approve before a promotion.
            authenticated: only names that a door has authenticated count.
            overriders: who may override the gate; from then on only they change or remove the guard.
            now: UTC epoch ms.
            actor: who sets it, for the record.
            actor_authenticated: whether a door knows that it is they.

        Returns:
            The guard. Setting the same again changes nothing, not even its time; what it replaces is recorded beside it
            in the outbox.

        Raises:
            InvalidGate: the definition has no name, or holds what JSON can't.
            InvalidInput: ``target`` is neither an alias nor a stage, a name is too long, or the quorum is out of reach.
            NotPermitted: the guard that is there names overriders, and the actor is none of them.
        """
        guard = _guard(self._workspace, model_name, target, definition, now, actor)
        said = _said(approvers, quorum, authenticated, overriders)
        return self._database.transact(lambda conn: _replace(conn, guard, said, actor_authenticated))

    def set_all(
        self, terms: Sequence[GuardTerms], *, now: int, actor: str = "", actor_authenticated: bool = False
    ) -> tuple[Guard, ...]:
        """Guard several targets, all of them or none; raises as :meth:`set`.

        Returns:
            The guards, in the order of the terms.
        """
        wanted = [
            (
                _guard(self._workspace, each.model_name, each.target, each.definition, now, actor),
                _said(each.approvers, each.quorum, each.authenticated, each.overriders),
            )
            for each in terms
        ]

        def work(conn: Connection) -> tuple[Guard, ...]:
            # Models are locked in one order, so that no two of these wait for each other.
            in_order = sorted(wanted, key=lambda each: (each[0].model_name, each[0].target))
            made = {id(guard): _replace(conn, guard, said, actor_authenticated) for guard, said in in_order}
            return tuple(made[id(guard)] for guard, _ in wanted)

        return self._database.transact(work)

    def get(self, model_name: str, target: str) -> Guard | None:
        """Return the guard of a target; None when it is unguarded."""
        with self._database.read() as conn:
            return find_guard(conn, self._workspace, model_name, str(parse_target(target)))

    def list(self, model_name: str | None = None) -> tuple[Guard, ...]:
        """Return the guards of a model, or of every model of the workspace, by model name and target."""
        statement = select(_GUARD).where(_GUARD.c.workspace == self._workspace)
        if model_name is not None:
            statement = statement.where(_GUARD.c.model_name == model_name)
        with self._database.read() as conn:
            rows = conn.execute(statement.order_by(_GUARD.c.model_name, _GUARD.c.target))
            return tuple(_entity(row) for row in rows.mappings())

    def remove(
        self, model_name: str, target: str, *, now: int, actor: str = "", actor_authenticated: bool = False
    ) -> bool:
        """Take the guard off a target, which is recorded in the outbox.

        Returns:
            Whether there was one; removing it again is not an error.

        Raises:
            NotPermitted: the guard names overriders, and the actor is none of them.
        """
        wanted = str(parse_target(target))
        checked_actor(actor)

        def work(conn: Connection) -> bool:
            lock_registered_model(conn, self._workspace, model_name)
            standing = find_guard(conn, self._workspace, model_name, wanted)
            if standing is None:
                return False
            if standing.overriders:
                require_may_override(standing, actor, authenticated=actor_authenticated, what="remove its guard")
            _remove(conn, standing, now, actor)
            return True

        return self._database.transact(work)


def require_unguarded(conn: Connection, workspace: str, name: str, target: str | None = None) -> None:
    """Refuse to go on when a target of a registered model is guarded. Locks the model's row until the transaction ends.

    Args:
        conn: in a write transaction.
        workspace: the model's.
        name: the registered model.
        target: ``@alias`` or ``stage:Name``, in canonical form; None for any target of the model, as a deletion or a
            renaming of the whole model asks.

    Raises:
        TargetGuarded: names the gate. Nothing was written here.
    """
    lock_registered_model(conn, workspace, name)
    if target is not None:
        guard = find_guard(conn, workspace, name, target)
    else:
        first = select(_GUARD).where(_of_model(workspace, name)).order_by(_GUARD.c.target).limit(1)
        row = conn.execute(first).mappings().first()
        guard = _entity(row) if row is not None else None
    if guard is not None:
        raise TargetGuarded(
            f"{guard.target} of model {name!r} is guarded by the gate {guard.gate_name!r}: only a promotion with a "
            "passing verdict of that gate, or a rollback, moves it.",
            remedy=f"Promote through the gate (headgate models promote), or remove the guard of {guard.target} first.",
            model_name=name,
            target=guard.target,
            gate_name=guard.gate_name,
        )


def lock_registered_model(conn: Connection, workspace: str, name: str) -> bool:
    """Lock a registered model's row until the transaction ends; return whether it exists.

    Everything that moves an alias or a stage takes this lock first. SQLite needs none: there is one writer at a time.
    """
    statement = select(_MODEL.c.name).where(_MODEL.c.workspace == workspace, _MODEL.c.name == name).with_for_update()
    return conn.execute(statement).first() is not None


def find_guard(conn: Connection, workspace: str, name: str, target: str) -> Guard | None:
    """Return the guard of a target (in canonical form) within the caller's transaction."""
    row = conn.execute(select(_GUARD).where(_of_model(workspace, name), _GUARD.c.target == target)).mappings().first()
    return _entity(row) if row is not None else None


def read_guards(conn: Connection, workspace: str, names: Collection[str]) -> tuple[Guard, ...]:
    """Return the guards of several models, by model name and target, in one statement."""
    of_models = select(_GUARD).where(_GUARD.c.workspace == workspace, _GUARD.c.model_name.in_(names))
    rows = conn.execute(of_models.order_by(_GUARD.c.model_name, _GUARD.c.target))
    return tuple(_entity(row) for row in rows.mappings())


def keep_people(guard: Guard, standing: Guard | None) -> Guard:
    """Return a guard with the people of the one that stands: a newer definition of the gate changes none of them."""
    return guard if standing is None else replace(guard, **{name: getattr(standing, name) for name in _PEOPLE})


def set_guard(conn: Connection, guard: Guard, standing: Guard | None) -> Guard:
    """Write a guard over the one that stands, and its outbox row; return the one that stands then.

    Args:
        conn: in a write transaction that holds the lock of the model's row.
        guard: what is wanted.
        standing: what was found under the lock.
    """
    if standing is not None and _same(standing, guard):
        return standing
    plain: dict[str, Any] = {"gate_definition": dict(guard.gate_definition)}
    plain |= {name: list(getattr(guard, name)) for name in ("approvers", "overriders")}
    row = {name: getattr(guard, name) for name in _COLUMNS} | plain
    conn.execute(upsert(conn, _GUARD, update=_CHANGING), [row])
    payload = {**_who(guard, guard.updated_by), **_gate(guard), "replaces": _replaced(standing)}
    subject = f"{guard.model_name}{guard.target}"
    announce(conn, guard.workspace, "guard.set", subject, payload, guard.updated_at, model_name=guard.model_name)
    return guard


def _replace(conn: Connection, guard: Guard, said: Mapping[str, Any], authenticated: bool) -> Guard:
    """Set a guard with the people that were said, if whoever sets it may; see :meth:`Guards.set`."""
    lock_registered_model(conn, guard.workspace, guard.model_name)
    standing = find_guard(conn, guard.workspace, guard.model_name, guard.target)
    wanted = _with_people(guard, standing, said)
    if standing is not None and standing.overriders and not _same(standing, wanted):
        what = "change who and what guards it"
        require_may_override(standing, guard.updated_by, authenticated=authenticated, what=what)
    return set_guard(conn, wanted, standing)


def _said(
    approvers: Iterable[str] | None, quorum: int | None, authenticated: bool | None, overriders: Iterable[str] | None
) -> dict[str, Any]:
    return {
        "approvers": None if approvers is None else checked_people("approvers", approvers),
        "quorum": quorum,
        "authenticated": authenticated,
        "overriders": None if overriders is None else checked_people("overriders", overriders),
    }


def _remove(conn: Connection, standing: Guard, now: int, actor: str) -> None:
    workspace, name, target = standing.workspace, standing.model_name, standing.target
    conn.execute(delete(_GUARD).where(_of_model(workspace, name), _GUARD.c.target == target))
    payload = {**_who(standing, actor), "replaces": _replaced(standing)}
    announce(conn, workspace, "guard.removed", f"{name}{target}", payload, now, model_name=name)


def _with_people(guard: Guard, standing: Guard | None, said: Mapping[str, Any]) -> Guard:
    """Return a guard with the people that were said, or else those of the guard that stands.

    Raises:
        InvalidInput: the quorum can't be reached.
    """
    kept = keep_people(guard, standing)
    values = {name: getattr(kept, name) if value is None else value for name, value in said.items()}
    if said["quorum"] is None and said["approvers"] and values["quorum"] == 0:
        values["quorum"] = 1
    checked_quorum(values["quorum"], values["approvers"])
    return replace(kept, **values)


def _same(standing: Guard, guard: Guard) -> bool:
    return all(getattr(standing, name) == getattr(guard, name) for name in ("gate_digest", *_PEOPLE))


def _who(guard: Guard, actor: str) -> dict[str, Any]:
    return {"model_name": guard.model_name, "target": guard.target, "actor": actor}


def _replaced(guard: Guard | None) -> dict[str, Any] | None:
    return None if guard is None else _gate(guard)


def _gate(guard: Guard) -> dict[str, Any]:
    return {
        "gate_name": guard.gate_name,
        "gate_digest": guard.gate_digest,
        "gate_definition": dict(guard.gate_definition),
        "approvers": list(guard.approvers),
        "quorum": guard.quorum,
        "authenticated": guard.authenticated,
        "overriders": list(guard.overriders),
    }


def _of_model(workspace: str, name: str) -> Any:
    return and_(_GUARD.c.workspace == workspace, _GUARD.c.model_name == name)


def _guard(workspace: str, model_name: str, target: str, definition: Mapping[str, Any], now: int, actor: str) -> Guard:
    name = definition.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidGate("The gate's definition has no name.", remedy="Give the definition of a gate.")
    try:
        digest = digest_of(dict(definition))
    except (TypeError, ValueError) as error:
        raise InvalidGate(
            f"The definition of gate {name!r} can't be written as JSON: {error}.",
            remedy="Give the definition of a gate, with finite numbers.",
        ) from error
    return Guard(
        model_name=model_name,
        target=str(parse_target(target)),
        gate_name=name,
        gate_definition=dict(definition),
        gate_digest=digest,
        updated_at=now,
        updated_by=checked_actor(actor),
        workspace=workspace,
    )


def _entity(row: Mapping[Any, Any]) -> Guard:
    people = {name: tuple(row[name]) for name in ("approvers", "overriders")}
    return Guard(**{name: row[name] for name in _COLUMNS} | people)
