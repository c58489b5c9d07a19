"""Promotions and rollbacks: the only ways in which a guarded alias or stage moves, each in one transaction.

Every writer of a registered model holds the lock of the model's row, so two promotions of it come one after the other:
the second finds another champion than its verdict was decided against.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from sqlalchemy import Connection

from headgate.store.approvals import approval_to_use
from headgate.store.database import Database
from headgate.store.deliveries import Claim
from headgate.store.entities import (
    DEFAULT_WORKSPACE,
    Guard,
    Metric,
    ModelVersion,
    Promotion,
    PromotionKind,
    Verdict,
)
from headgate.store.errors import NotFound, VerdictUnusable
from headgate.store.gates import find_guard, keep_people, lock_registered_model, set_guard
from headgate.store.promotion_checks import (
    Candidate,
    Holder,
    is_source_of,
    require_guarded_by,
    require_may_replace,
    require_not_older,
    require_rests_on,
    require_same_candidate,
    require_same_champion,
    require_stands_for,
    require_still_stands,
    require_usable,
    unusable,
)
from headgate.store.promotion_evidence import Contest, read_contest, read_window
from headgate.store.promotion_override import Overriding, override
from headgate.store.promotion_roll_back import require_unchanged, rolled_back_before, use_verdict, version_to_restore
from headgate.store.promotion_rows import (
    append_promotion,
    give_target,
    last_promotion,
    promoted_targets,
    read_candidate,
    read_history,
    read_holder,
    read_promotion,
    standing_at,
    take_target,
)
from headgate.store.registry import create_version, read_version, versions_of_logged_model
from headgate.store.registry.models import ensure_model, no_such_model
from headgate.store.stage_rules import require_stage
from headgate.store.targets import checked_actor, parse_target
from headgate.store.verdicts import find_verdict, mark_used, model_of_verdict


class Promotions:
    """The promotions of a workspace's registered models. Timestamps (``now``) are UTC epoch milliseconds.

    Args:
        database: the store's.
        workspace: the workspace that model names belong to.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def promote(
        self,
        verdict_id: str,
        *,
        version: int | None = None,
        model_id: str | None = None,
        actor: str,
        authenticated: bool = False,
        reason: str = "",
        now: int,
        allow_older: bool = False,
        approval_id: str | None = None,
        require_approval: bool = False,
        claim: Claim | None = None,
    ) -> Promotion:
        """Let the candidate of a passing verdict hold the target that the verdict was decided for.

        In one transaction the verdict is verified, the champion it was decided against is compared and set, the
        candidate becomes a version of the registered model if it is none (the model too), the alias or stage moves, the
        holder of a stage is archived, the history and the outbox are appended to, the verdict is marked as used, and
        the verdict's gate becomes the guard of the target, in place of an older definition of the same gate if there
        was one. Asked again with the same verdict while its promotion is the last one and stands, the answer is that
        promotion, and nothing is written.

        Args:
            verdict_id: a recorded verdict.
            version: the version that is to be promoted, which must be the candidate's; None takes the candidate's
                newest one, or makes it.
            model_id: the LoggedModel that is to be promoted, for a caller that wants to be sure; None takes the
                verdict's.
            actor: who promotes, for the record.
            authenticated: whether a door knows that it is they.
            reason: why, for the record.
            now: the time of the promotion.
            allow_older: let a candidate of an earlier logical date than the champion's take its place.
            approval_id: the approval that the promotion rests on; None takes the latest that stands, if there is one.
            require_approval: refuse a verdict that nobody approved. A verdict that somebody rejected is refused anyway.
            claim: who tells the promotion's event into one of the outbox's channels; the claim is made in the same
                transaction, so that nobody else tells it meanwhile. None leaves it to whoever claims it.

        Raises:
            NotApproved: somebody rejected the promotion, or fewer people approved it than the guard asks for (or one,
                where that is required).
            StaleApproval: ``approval_id`` is not an approval of this verdict that stands.
            VerdictUnusable: missing, not passing, expired, used, about another candidate or about other files than the
                candidate has now, or decided before the gate was changed.
            ChampionChanged: somebody else holds the target now.
            OlderThanChampion: the candidate stands for older data, and ``allow_older`` was not said.
            TargetGuarded: the target is guarded by another gate than the verdict's, or by another definition of it
                that the actor may not replace.
            StageRefused: the model's stage rules don't lead from the candidate's stage to this one.
            NotFound: the registered model has no such ``version``.
        """
        checked_actor(actor)

        def work(conn: Connection) -> Promotion:
            verdict = self._locked_verdict(conn, verdict_id, now)
            target = parse_target(verdict.target)
            holder = read_holder(conn, self._workspace, verdict.model_name, target)
            candidate = read_candidate(conn, verdict.candidate_model_id)
            if verdict.used_by is not None:
                used = self._promoted_before(conn, verdict, holder, version, model_id)
                require_rests_on(verdict, used, approval_id, required=require_approval)
                return used
            require_usable(verdict, now)
            require_same_candidate(verdict, candidate, model_id)
            assert candidate is not None, "require_same_candidate saw to it"
            guard = self._guard_with(conn, verdict, actor, authenticated, now)
            require_same_champion(verdict, holder)
            if not allow_older:
                require_not_older(verdict, holder)
            approval = approval_to_use(conn, verdict, guard, approval_id, required=require_approval)
            promoted = self._version_of(conn, verdict, candidate, version, actor, now)
            if target.stage is not None:
                require_stage(conn, self._workspace, promoted.name, promoted.current_stage, target.stage)
            give_target(conn, self._workspace, verdict.model_name, target, promoted.version, now)
            promotion = Promotion(
                promotion_id=f"p-{uuid.uuid4().hex}",
                model_name=verdict.model_name,
                target=verdict.target,
                sequence=0,
                kind=PromotionKind.PROMOTE,
                to_version=promoted.version,
                from_version=holder.version if holder is not None else None,
                created_at=now,
                actor=actor,
                authenticated=authenticated,
                reason=reason,
                verdict_id=verdict.verdict_id,
                logical_date=verdict.candidate_logical_date,
                approval_id=approval.approval_id if approval is not None else None,
                approved_by=approval.actor if approval is not None else None,
                workspace=self._workspace,
            )
            if not mark_used(conn, verdict.verdict_id, promotion.promotion_id):
                raise unusable(verdict, "was used meanwhile", "A verdict promotes once: decide again.")
            told = {"gate_name": verdict.gate_name, "gate_digest": verdict.gate_digest}
            return append_promotion(conn, promotion, told, claim)

        return self._database.transact(work)

    def roll_back(
        self,
        model_name: str,
        target: str,
        *,
        actor: str,
        reason: str = "",
        now: int,
        to_version: int | None = None,
        from_version: int | None = None,
        from_nobody: bool = False,
        verdict_id: str | None = None,
        claim: Claim | None = None,
    ) -> Promotion:
        """Give a target back to whoever held it before: one event of the history, no verdict needed.

        Two rollbacks go back two promotions. Before a target's first promotion nobody may have held it; it is then left
        empty (an alias is removed, a stage's holder archived).

        Args:
            model_name: the registered model.
            target: ``@alias`` or ``stage:Name``.
            actor: who rolls back, for the record.
            reason: why, for the record.
            now: the time of the rollback.
            to_version: a version that held the target at some time; None takes the one before the present holder.
            from_version: the version that is to go. A retry that names it does not go back further: when the last event
                is already the rollback from it, that is the answer, and nothing is written.
            from_nobody: say in the same way that nobody holds the target.
            verdict_id: the verdict that it happens for, such as that of a watch, which says why; None for a person's.
            claim: as :meth:`promote` takes it.

        Raises:
            PromotionRefused: there is nobody to go back to, ``to_version`` holds the target now or never held it, or
                its files are not those that were promoted.
            ChampionChanged: somebody else than ``from_version``, or than nobody, holds the target.
            NotFound: no such model or verdict, or the version to go back to was deleted.
            VerdictUnusable: the verdict is about another target, or was used.
        """
        checked_actor(actor)
        wanted = parse_target(target)

        def work(conn: Connection) -> Promotion:
            if not lock_registered_model(conn, self._workspace, model_name):
                raise no_such_model(model_name)
            last = last_promotion(conn, self._workspace, model_name, str(wanted))
            holder = read_holder(conn, self._workspace, model_name, wanted)
            holding = holder.version if holder is not None else None
            if (from_nobody or from_version is not None) and from_version != holding:
                return rolled_back_before(last, model_name, str(wanted), from_version, to_version, holding)
            restored = version_to_restore(conn, self._workspace, last, holding, to_version, model_name, str(wanted))
            promotion_id = f"p-{uuid.uuid4().hex}"
            if verdict_id is not None:
                use_verdict(conn, self._workspace, verdict_id, promotion_id, model_name, str(wanted))
            logical_date = None
            if restored is None:
                take_target(conn, self._workspace, model_name, wanted, now)
            else:
                logical_date = require_unchanged(conn, self._workspace, model_name, wanted, restored)
                give_target(conn, self._workspace, model_name, wanted, restored, now)
            promotion = Promotion(
                promotion_id=promotion_id,
                model_name=model_name,
                target=str(wanted),
                sequence=0,
                kind=PromotionKind.ROLL_BACK,
                to_version=restored,
                from_version=holding,
                created_at=now,
                actor=actor,
                reason=reason,
                verdict_id=verdict_id,
                logical_date=logical_date,
                workspace=self._workspace,
            )
            return append_promotion(conn, promotion, {"gate_name": None, "gate_digest": None}, claim)

        return self._database.transact(work)

    def override(
        self,
        model_name: str,
        target: str,
        version: int,
        *,
        actor: str,
        reason: str,
        authenticated: bool = False,
        from_version: int | None = None,
        now: int,
        claim: Claim | None = None,
    ) -> Promotion:
        """Let a version hold a guarded target without a verdict: for emergencies, on the record.

        No gate, approval, stage order or logical date is asked. The guard has to name the actor as one who may. Asked
        again while the version holds the target by an override, the answer is that event, and nothing is written.

        Args:
            model_name: the registered model.
            target: ``@alias`` or ``stage:Name``, guarded.
            version: an existing, READY version.
            actor: who overrides, for the record.
            reason: why, for the record; must be said.
            authenticated: whether a door knows that it is they.
            from_version: the version that is to go, to be sure; None for whoever holds the target.
            now: the time of the override.
            claim: as :meth:`promote` takes it.

        Raises:
            NotPermitted: the guard does not name the actor, or asks for an authenticated one.
            PromotionRefused: nothing guards the target, the version holds it already, or it is not READY.
            ChampionChanged: somebody else than ``from_version`` holds the target.
            InvalidInput: no reason.
            NotFound: no such model or version.
        """
        overriding = Overriding(self._workspace, model_name, parse_target(target), version, from_version)
        return self._database.transact(
            lambda conn: override(
                conn, overriding, actor=actor, reason=reason, authenticated=authenticated, now=now, claim=claim
            )
        )

    def at(self, model_name: str, target: str, when: int) -> Promotion | None:
        """Return the event that stood at a time, whose ``to_version`` held the target then.

        None when the target had no history yet; whoever held it without a promotion is not on record.

        Args:
            when: UTC epoch ms.
        """
        with self._database.read() as conn:
            return standing_at(conn, self._workspace, model_name, str(parse_target(target)), when)

    def all_at(self, model_name: str, when: int) -> tuple[Promotion, ...]:
        """Return what :meth:`at` returns for every target of a model that had a history then, by target."""
        with self._database.read() as conn:
            known = promoted_targets(conn, self._workspace, model_name)
            found = (standing_at(conn, self._workspace, model_name, target, when) for target in known)
            return tuple(event for event in found if event is not None)

    def history(
        self, model_name: str, target: str | None = None, *, version: int | None = None, newest: int | None = None
    ) -> tuple[Promotion, ...]:
        """Return the promotions and rollbacks of a model, or of one target of it, oldest first.

        Args:
            model_name: the registered model; the history outlives its deletion.
            target: ``@alias`` or ``stage:Name``; None for all.
            version: only those that led to a version or away from it; None for all.
            newest: only that many of the latest; None for all.
        """
        wanted = str(parse_target(target)) if target is not None else None
        with self._database.read() as conn:
            return read_history(conn, self._workspace, model_name, wanted, version=version, newest=newest)

    def get(self, promotion_id: str) -> Promotion:
        """Return one promotion or rollback.

        Raises:
            NotFound: there is none with this id in the workspace.
        """
        with self._database.read() as conn:
            found = read_promotion(conn, promotion_id)
        if found is None or found.workspace != self._workspace:
            raise NotFound(
                f"There is no promotion {promotion_id!r}.",
                remedy="Look at the history of the model.",
                kind="promotion",
                key=promotion_id,
            )
        return found

    def current(self, model_name: str, target: str) -> Promotion | None:
        """Return the last event of a target, whose ``to_version`` holds it; None when there never was one."""
        with self._database.read() as conn:
            return last_promotion(conn, self._workspace, model_name, str(parse_target(target)))

    def holder(self, model_name: str, target: str) -> ModelVersion | None:
        """Return the version that holds a target now, promoted or put there by hand before it was guarded."""
        with self._database.read() as conn:
            found = read_holder(conn, self._workspace, model_name, parse_target(target))
            return read_version(conn, self._workspace, model_name, found.version) if found is not None else None

    def contest(
        self,
        model_name: str,
        target: str,
        candidate_model_id: str,
        metrics: Collection[str],
        *,
        run_ids: Collection[str] | None = None,
        prefixes: Collection[str] = (),
    ) -> Contest:
        """Return what a gate decides on: the candidate and whoever holds the target, with their newest measurements.

        Args:
            model_name: the registered model, which need not exist yet.
            target: ``@alias`` or ``stage:Name``.
            candidate_model_id: a LoggedModel.
            metrics: keys of the metrics that are wanted.
            run_ids: count only what these runs measured on the candidate; of the champion also what evaluations
                measured and what its promotion rested on. None for all.
            prefixes: metrics whose keys start with one of these are wanted too.

        Raises:
            NotFound: no such LoggedModel, or it was deleted.
        """
        wanted = parse_target(target)
        with self._database.read() as conn:
            return read_contest(
                conn, self._workspace, model_name, wanted, candidate_model_id, metrics, run_ids, prefixes
            )

    def measured_since(
        self, model_id: str, metrics: Collection[str], *, since: int, until: int, limit: int = 100_000
    ) -> tuple[Metric, ...]:
        """Return what was measured on a LoggedModel in a span of time (epoch ms), the oldest first.

        Args:
            limit: of more points than that, the newest.
        """
        with self._database.read() as conn:
            return read_window(conn, model_id, metrics, since=since, until=until, limit=limit)

    def _locked_verdict(self, conn: Connection, verdict_id: str, now: int) -> Verdict:
        """Return the verdict as it stands once its model's row, made if missing, is locked."""
        name = model_of_verdict(conn, self._workspace, verdict_id)
        said = None
        if name is not None:
            ensure_model(conn, self._workspace, name, now=now)
            lock_registered_model(conn, self._workspace, name)
            said = find_verdict(conn, self._workspace, verdict_id)
        if said is None:
            raise VerdictUnusable(
                f"There is no verdict {verdict_id!r}.",
                remedy="Decide by a gate first; a promotion takes the id of its verdict.",
                verdict_id=verdict_id,
            )
        return said

    def _promoted_before(
        self, conn: Connection, verdict: Verdict, holder: Holder | None, version: int | None, model_id: str | None
    ) -> Promotion:
        used = read_promotion(conn, str(verdict.used_by))
        last = last_promotion(conn, self._workspace, verdict.model_name, verdict.target)
        require_still_stands(verdict, used, last, holder)
        assert used is not None, "require_still_stands saw to it"
        if version not in (None, used.to_version) or model_id not in (None, verdict.candidate_model_id):
            raise unusable(verdict, f"was used by the promotion {used.promotion_id}", "Decide about this candidate.")
        return used

    def _guard_with(self, conn: Connection, verdict: Verdict, actor: str, authenticated: bool, now: int) -> Guard:
        standing = find_guard(conn, self._workspace, verdict.model_name, verdict.target)
        require_guarded_by(standing, verdict)
        require_may_replace(standing, verdict, actor, authenticated=authenticated)
        guard = Guard(
            model_name=verdict.model_name,
            target=verdict.target,
            gate_name=verdict.gate_name,
            gate_definition=verdict.gate_definition,
            gate_digest=verdict.gate_digest,
            updated_at=now,
            updated_by=actor,
            workspace=self._workspace,
        )
        return set_guard(conn, keep_people(guard, standing), standing)

    def _version_of(
        self, conn: Connection, verdict: Verdict, candidate: Candidate, version: int | None, actor: str, now: int
    ) -> ModelVersion:
        name = verdict.model_name
        if version is not None:
            found = read_version(conn, self._workspace, name, version)
            require_stands_for(found, verdict, candidate)
            return found
        registered = versions_of_logged_model(conn, self._workspace, candidate.model_id)
        of_model = [found for found in registered if found.name == name and is_source_of(found, candidate)]
        if of_model:
            require_stands_for(of_model[-1], verdict, candidate)
            return of_model[-1]
        return create_version(conn, self._workspace, name, model_id=candidate.model_id, user_id=actor, now=now)
