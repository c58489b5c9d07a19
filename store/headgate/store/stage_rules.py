"""Stage rules: the order in which a model's versions go from stage to stage, where somebody has set one.

Without rules a model's stages are as free as in MLflow. With them a version moves forward one stage at a time; it may
go back, to any stage before its own; and it may be archived from anywhere, but starts at the beginning when it comes
back from there. A rollback and an override are exempt: they are on record, and lead where versions were before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, and_, delete, select

from headgate.store.database import Database
from headgate.store.dialects import upsert
from headgate.store.entities import DEFAULT_WORKSPACE, StageRules
from headgate.store.errors import InvalidInput, NotFound, StageRefused
from headgate.store.gates import lock_registered_model
from headgate.store.outbox import announce
from headgate.store.registry.stages import ARCHIVED, NO_STAGE, STAGES, canonical_stage, stage_holders
from headgate.store.tables import StageRulesRow
from headgate.store.targets import checked_actor

DEFAULT_ORDER = STAGES
DEFAULT_SINGLE = ("Production",)

_RULES = StageRulesRow.__table__


class ModelStages:
    """The stage rules of a workspace's registered models.

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
        *,
        order: Iterable[str] = DEFAULT_ORDER,
        single: Iterable[str] | None = None,
        now: int,
        actor: str = "",
    ) -> StageRules:
        """Give a model stage rules, in place of those it has. Setting the same again changes nothing.

        Args:
            model_name: an existing registered model.
            order: the stages that its versions may be in, in the order in which they are entered; ``None`` first, and
                ``Archived`` last if it is among them.
            single: stages of the order that hold one version at a time; None is Production, where it is among them.
            now: UTC epoch ms.
            actor: who sets them, for the record.

        Raises:
            NotFound: no such model.
            InvalidInput: not stages, ``None`` is not first or ``Archived`` not last, or ``single`` is not of it.
            StageRefused: several versions are in a stage that is to hold one, or one is in a stage that is left out.
        """
        stages = _checked_order(order)
        alone = _checked_single(single, stages)
        rules = StageRules(model_name, stages, alone, now, checked_actor(actor), self._workspace)

        def work(conn: Connection) -> StageRules:
            if not lock_registered_model(conn, self._workspace, model_name):
                raise NotFound(
                    f"Registered Model with name={model_name} not found.",
                    remedy="Create the model first; its stage rules are its own.",
                    kind="registered model",
                    key=model_name,
                )
            standing = find_stage_rules(conn, self._workspace, model_name)
            if standing is not None and (standing.order, standing.single) == (stages, alone):
                return standing
            _require_kept(conn, rules)
            row = {_column(field.name): _plain(getattr(rules, field.name)) for field in fields(StageRules)}
            changing = ("stage_order", "single", "updated_at", "updated_by")
            conn.execute(upsert(conn, _RULES, update=changing), [row])
            payload = {"model_name": model_name, "order": list(stages), "single": list(alone), "actor": actor}
            announce(conn, self._workspace, "stages.set", model_name, payload, now, model_name=model_name)
            return rules

        return self._database.transact(work)

    def get(self, model_name: str) -> StageRules | None:
        """Return a model's stage rules; None when its stages are as free as in MLflow."""
        with self._database.read() as conn:
            return find_stage_rules(conn, self._workspace, model_name)

    def remove(self, model_name: str, *, now: int, actor: str = "") -> bool:
        """Free a model's stages; return whether it had rules."""
        checked_actor(actor)

        def work(conn: Connection) -> bool:
            lock_registered_model(conn, self._workspace, model_name)
            gone = delete(_RULES).where(_of_model(self._workspace, model_name))
            if conn.execute(gone).rowcount == 0:
                return False
            payload = {"model_name": model_name, "actor": actor}
            announce(conn, self._workspace, "stages.removed", model_name, payload, now, model_name=model_name)
            return True

        return self._database.transact(work)


def find_stage_rules(conn: Connection, workspace: str, name: str) -> StageRules | None:
    """Return a model's stage rules within the caller's transaction."""
    row = conn.execute(select(_RULES).where(_of_model(workspace, name))).mappings().first()
    if row is None:
        return None
    values = {field.name: row[_column(field.name)] for field in fields(StageRules)}
    return StageRules(**values | {"order": tuple(values["order"]), "single": tuple(values["single"])})


def require_stage(
    conn: Connection,
    workspace: str,
    name: str,
    left: str,
    entered: str,
    *,
    version: int | None = None,
    archive_existing: bool = True,
) -> None:
    """Refuse to go on when a model's stage rules don't lead a version from one stage to another.

    Args:
        conn: in a write transaction that holds the lock of the model's row.
        left: the stage that the version is in, canonical.
        entered: where it is to go, canonical.
        version: its number, where others in the stage are not archived with the move.
        archive_existing: the others in the stage are archived with the move.

    Raises:
        StageRefused: it would jump a stage or enter one that is not in the order; or another version holds the stage.
    """
    rules = find_stage_rules(conn, workspace, name)
    if rules is None or left == entered:
        return
    if not leads(rules.order, left, entered):
        raise _refused(
            name,
            f"a version in {left} can't go to {entered}",
            f"The order of its stages is {' → '.join(rules.order)}; go one stage at a time.",
            left=left,
            entered=entered,
        )
    if entered in rules.single and not archive_existing:
        others = [held for held in stage_holders(conn, workspace, name, entered) if held != version]
        if others:
            raise _refused(
                name,
                f"version {others[0]} is in {entered}, which holds one version",
                "Say archive_existing_versions, which archives it with the same move.",
                left=left,
                entered=entered,
            )


def leads(order: tuple[str, ...], left: str, entered: str) -> bool:
    """Say whether an order lets a version go from one stage to another: a pure function of three values."""
    if entered not in order:
        return False
    if entered == ARCHIVED or left not in order:
        return entered in (ARCHIVED, order[0])
    if left == ARCHIVED:
        return entered == order[0]
    return order.index(entered) <= order.index(left) + 1


def _checked_order(order: Iterable[str]) -> tuple[str, ...]:
    stages = tuple(canonical_stage(stage) for stage in order)
    faults = {
        "names a stage twice": len(set(stages)) < len(stages),
        f"does not begin with {NO_STAGE}, where every version begins": stages[:1] != (NO_STAGE,),
        f"goes on behind {ARCHIVED}": ARCHIVED in stages[:-1],
        "has no stage to go to": len(stages) < 2,
    }
    for fault, found in faults.items():
        if found:
            raise InvalidInput(
                f"The order {', '.join(stages) or '()'} {fault}.", remedy=f"Write it as {', '.join(DEFAULT_ORDER)}."
            )
    return stages


def _checked_single(single: Iterable[str] | None, order: tuple[str, ...]) -> tuple[str, ...]:
    if single is None:
        return tuple(stage for stage in DEFAULT_SINGLE if stage in order)
    alone = tuple(dict.fromkeys(canonical_stage(stage) for stage in single))
    if NO_STAGE in alone or ARCHIVED in alone:
        raise InvalidInput(
            f"{NO_STAGE} and {ARCHIVED} are where versions wait and rest: they hold as many as there are.",
            remedy="Name Staging or Production.",
        )
    for stage in alone:
        if stage not in order:
            raise InvalidInput(
                f"{stage} is to hold one version at a time, and is not in the order {', '.join(order)}.",
                remedy="Name stages of the order.",
            )
    return alone


def _require_kept(conn: Connection, rules: StageRules) -> None:
    """Refuse rules that the model's versions break already."""
    for stage in STAGES:
        holders = stage_holders(conn, rules.workspace, rules.model_name, stage)
        if holders and stage not in rules.order:
            why = f"version {holders[0]} is in {stage}, which the order leaves out"
        elif stage in rules.single and len(holders) > 1:
            why = f"versions {', '.join(str(held) for held in sorted(holders))} are in {stage}, which is to hold one"
        else:
            continue
        raise _refused(rules.model_name, why, "Move them first, then set the rules.", entered=stage)


def _refused(name: str, why: str, remedy: str, **facts: Any) -> StageRefused:
    return StageRefused(f"The stage rules of model {name!r} refuse: {why}.", remedy=remedy, model_name=name, **facts)


def _column(field: str) -> str:
    return "stage_order" if field == "order" else field


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _of_model(workspace: str, name: str) -> Any:
    return and_(_RULES.c.workspace == workspace, _RULES.c.model_name == name)
