"""Who holds what now, and why: for pages that show many models at once, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE, Guard, ModelVersion, Promotion, Verdict
from headgate.store.gates import read_guards
from headgate.store.promotion_rows import read_last_promotions, read_newest_promotions, read_promotions
from headgate.store.registry.versions import read_versions
from headgate.store.tables import ModelAliasRow, ModelVersionRow
from headgate.store.targets import PROMOTION_STAGES
from headgate.store.verdicts import read_verdicts

_ALIAS = ModelAliasRow.__table__
_VERSION = ModelVersionRow.__table__


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds an alias or a stage of a model, and what put it there.

    Args:
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        version: what holds it; None when nothing does any more.
        promotion: the last event of the target's history; None when there never was one.
        verdict: that permitted this event; None for a rollback, and where nothing was promoted.
        guard: the gate that guards the target; None when anybody may move it.
    """

    model_name: str
    target: str
    version: int | None
    promotion: Promotion | None = None
    verdict: Verdict | None = None
    guard: Guard | None = None

    @property
    def by_hand(self) -> bool:
        """Whether something else than a promotion or a rollback put the version there."""
        return self.version is not None and (self.promotion is None or self.promotion.to_version != self.version)


class Standings:
    """Who holds what in a workspace, and the events that led to it.

    Args:
        database: the store's.
        workspace: the workspace that model names belong to.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def of(self, names: Sequence[str]) -> Mapping[str, tuple[Standing, ...]]:
        """Return what holds each alias and stage of registered models, in seven queries however many they are.

        Args:
            names: registered models; those without an alias, a stage or a history have no entry.

        Returns:
            By name; aliases first, then stages, each by name. A guard alone makes no standing.
        """
        if not names:
            return {}
        with self._database.read() as conn:
            holders = self._holders(conn, names)
            promotions = {(p.model_name, p.target): p for p in read_last_promotions(conn, self._workspace, names)}
            ids = [promotion.verdict_id for promotion in promotions.values() if promotion.verdict_id is not None]
            verdicts = {each.verdict_id: each for each in read_verdicts(conn, self._workspace, verdict_ids=ids)}
            guards = {(each.model_name, each.target): each for each in read_guards(conn, self._workspace, names)}
        standings: dict[str, list[Standing]] = {}
        for key in sorted({*holders, *promotions}, key=lambda key: (key[0], not key[1].startswith("@"), key[1])):
            promotion = promotions.get(key)
            verdict = verdicts.get(promotion.verdict_id or "") if promotion is not None else None
            found = Standing(*key, holders.get(key), promotion, verdict, guards.get(key))
            standings.setdefault(key[0], []).append(found)
        return {name: tuple(each) for name, each in standings.items()}

    def newest_versions(self, name: str, *, limit: int) -> tuple[ModelVersion, ...]:
        """Return the newest versions of a registered model, the newest first. Any name will do, quotes in it too."""
        of_model = select(_VERSION.c.version).where(_VERSION.c.workspace == self._workspace, _VERSION.c.name == name)
        with self._database.read() as conn:
            numbers = conn.scalars(of_model.order_by(_VERSION.c.version.desc()).limit(limit)).all()
            found = read_versions(conn, self._workspace, [(name, number) for number in numbers])
        return tuple(found[name, number] for number in numbers)

    def newest_promotions(self, *, limit: int = 50, before: tuple[int, str] | None = None) -> tuple[Promotion, ...]:
        """Return the newest promotions and rollbacks of all models, the newest first.

        Args:
            limit: the most to return.
            before: the time (epoch ms) and id of the last promotion of the page before.
        """
        with self._database.read() as conn:
            return read_newest_promotions(conn, self._workspace, limit, before)

    def promotions(self, promotion_ids: Sequence[str]) -> tuple[Promotion, ...]:
        """Return promotions by id, the newest first; ids without one are passed over."""
        if not promotion_ids:
            return ()
        with self._database.read() as conn:
            return read_promotions(conn, self._workspace, promotion_ids)

    def verdicts(self, verdict_ids: Iterable[str]) -> Mapping[str, Verdict]:
        """Return verdicts with their checks by id; ids without one are passed over."""
        with self._database.read() as conn:
            found = read_verdicts(conn, self._workspace, verdict_ids=list(verdict_ids))
        return {each.verdict_id: each for each in found}

    def verdicts_of_work(
        self, run_ids: Sequence[str], model_ids: Sequence[str], *, limit: int = 50
    ) -> tuple[Verdict, ...]:
        """Return the verdicts that runs were part of or that are about models, the newest first."""
        with self._database.read() as conn:
            of_runs = read_verdicts(conn, self._workspace, run_ids=run_ids, limit=limit)
            of_models = read_verdicts(conn, self._workspace, model_ids=model_ids, limit=limit)
        found = {each.verdict_id: each for each in (*of_runs, *of_models)}
        newest_first = sorted(found.values(), key=lambda each: (each.decided_at, each.verdict_id), reverse=True)
        return tuple(newest_first[:limit])

    def _holders(self, conn: Connection, names: Sequence[str]) -> dict[tuple[str, str], int]:
        of_models = and_(_ALIAS.c.workspace == self._workspace, _ALIAS.c.name.in_(names))
        aliases = conn.execute(select(_ALIAS.c.name, _ALIAS.c.alias, _ALIAS.c.version).where(of_models))
        holders = {(row.name, f"@{row.alias}"): row.version for row in aliases}
        staged = and_(
            _VERSION.c.workspace == self._workspace,
            _VERSION.c.name.in_(names),
            _VERSION.c.current_stage.in_(PROMOTION_STAGES),
        )
        newest = select(_VERSION.c.name, _VERSION.c.current_stage, func.max(_VERSION.c.version).label("version"))
        stages = conn.execute(newest.where(staged).group_by(_VERSION.c.name, _VERSION.c.current_stage))
        return holders | {(row.name, f"stage:{row.current_stage}"): row.version for row in stages}
