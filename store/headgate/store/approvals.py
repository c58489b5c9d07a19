"""Approvals: what people said of the promotion that a verdict permits. Only ever added to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select

from headgate.store.approval_checks import asks_people, last_words, stale, standing_approval
from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE, Approval, ApprovalDecision, Guard, Outcome, Verdict
from headgate.store.errors import InvalidInput, NotFound, PromotionRefused
from headgate.store.gates import find_guard
from headgate.store.guard_rules import require_may_approve
from headgate.store.id_sets import is_one_of
from headgate.store.promotion_checks import (
    require_guarded_by,
    require_same_candidate,
    require_same_champion,
    require_usable,
    unusable,
)
from headgate.store.promotion_rows import read_candidate, read_holder
from headgate.store.tables import ApprovalRow, VerdictRow
from headgate.store.targets import parse_target
from headgate.store.validation import check_text
from headgate.store.verdicts import find_verdict, no_such_verdict

_APPROVAL = ApprovalRow.__table__
_VERDICT = VerdictRow.__table__
_COLUMNS = tuple(field.name for field in fields(Approval))
_ABOUT = (
    *("workspace", "model_name", "target", "candidate_model_id", "candidate_digest", "gate_digest"),
    "champion_version",
)
_MAX_ACTOR = 256
_MAX_SOURCE = 64
_MAX_REASON = 60_000


class Approvals:
    """The approvals of a workspace's verdicts. Timestamps (``now``) are UTC epoch milliseconds.

    Args:
        database: the store's.
        workspace: the workspace of the registered models that verdicts are about.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def record(
        self,
        verdict_id: str,
        decision: ApprovalDecision,
        *,
        actor: str,
        authenticated: bool,
        source: str,
        reason: str = "",
        now: int,
    ) -> Approval:
        """Write what somebody said of a verdict. Said again by the same person, it is that word: nothing is written.

        What is approved must be what would be promoted now: the verdict passes, or is held until people agree, and is
        neither expired nor used; the candidate's files, the champion and the gate are those that it was decided on.

        Args:
            verdict_id: a recorded verdict.
            decision: what was said.
            actor: who said it; empty for TIMED_OUT only.
            authenticated: whether ``source`` knows that it is they. A claimed name is False.
            source: where it was said, such as ``cli``.
            reason: why, for the record.
            now: when.

        Raises:
            NotFound: no such verdict.
            VerdictUnusable: it was used already, or the gate held it and what it decided after was used; or it is
                approved and permits nothing now.
            ChampionChanged, TargetGuarded: it is approved, and the champion or the gate is another one now.
            NotPermitted: it is approved, and the guard of the target does not count an approval of this actor.
            InvalidInput: nobody is named, or a text is too long.
        """
        _require_storable(decision, actor, source, reason)

        def work(conn: Connection) -> Approval:
            verdict = _locked_verdict(conn, self._workspace, verdict_id)
            said = read_approvals(conn, verdict_id)
            latest = (*last_words(said), *said[-1:])
            same = next((word for word in latest if _says(word, decision, actor, authenticated)), None)
            if same is not None:
                return same
            if verdict.used_by is not None:
                raise unusable(
                    verdict, f"was used by the promotion {verdict.used_by}", "Roll that back, if it is wrong."
                )
            if (promotion_id := _promoted_since(conn, verdict)) is not None:
                raise unusable(
                    verdict, f"was followed by the promotion {promotion_id}", "Roll that back, if it is wrong."
                )
            if decision is ApprovalDecision.APPROVE:
                require_permits(conn, self._workspace, verdict, now, or_awaited=True)
                guard = find_guard(conn, self._workspace, verdict.model_name, verdict.target)
                require_may_approve(guard, actor, authenticated=authenticated)
            approval = Approval(
                approval_id=f"a-{uuid.uuid4().hex}",
                verdict_id=verdict_id,
                sequence=len(said) + 1,
                decision=decision,
                actor=actor,
                authenticated=authenticated,
                source=source,
                created_at=now,
                model_name=verdict.model_name,
                target=verdict.target,
                candidate_model_id=verdict.candidate_model_id,
                candidate_digest=verdict.candidate_digest,
                gate_digest=verdict.gate_digest,
                reason=reason,
                workspace=self._workspace,
            )
            conn.execute(insert(_APPROVAL).values(**{name: getattr(approval, name) for name in _COLUMNS}))
            return approval

        return self._database.transact(work)

    def get(self, approval_id: str) -> Approval:
        """Return an approval.

        Raises:
            NotFound: there is none with this id in the workspace.
        """
        one = select(_APPROVAL).where(_APPROVAL.c.approval_id == approval_id, _APPROVAL.c.workspace == self._workspace)
        with self._database.read() as conn:
            row = conn.execute(one).mappings().first()
        if row is None:
            raise NotFound(
                f"There is no approval {approval_id!r}.",
                remedy="Give the id that headgate gate approve printed.",
                kind="approval",
                key=approval_id,
            )
        return _entity(row)

    def of_verdict(self, verdict_id: str) -> tuple[Approval, ...]:
        """Return everything that was said of a verdict, in the order in which it was said."""
        with self._database.read() as conn:
            return tuple(word for word in read_approvals(conn, verdict_id) if word.workspace == self._workspace)

    def of_held(
        self,
        model_name: str,
        target: str,
        *,
        candidate_model_id: str,
        candidate_digest: str | None,
        gate_digest: str,
        champion_version: int | None,
    ) -> tuple[Approval, ...]:
        """Return everything that was said of the verdicts that were held on this candidate's files.

        Args:
            model_name: the registered model.
            target: ``@alias`` or ``stage:Name``.
            candidate_model_id: the LoggedModel that was decided about.
            candidate_digest: of its files; None for an external model.
            gate_digest: of the definition of the gate that decided.
            champion_version: that held the target then; None for nobody.
        """
        about = {
            "workspace": self._workspace,
            "model_name": model_name,
            "target": str(parse_target(target)),
            "candidate_model_id": candidate_model_id,
            "candidate_digest": candidate_digest,
            "gate_digest": gate_digest,
            "champion_version": champion_version,
        }
        with self._database.read() as conn:
            held = select(_VERDICT.c.verdict_id).where(*_held(about))
            said = select(_APPROVAL).where(_APPROVAL.c.verdict_id.in_(held))
            rows = conn.execute(said.order_by(_APPROVAL.c.verdict_id, _APPROVAL.c.sequence))
            return tuple(_entity(row) for row in rows.mappings())

    def require_permits(self, verdict_id: str, *, now: int) -> None:
        """Raise unless a promotion by this verdict would go through now, but for what people say of it. Only reads.

        Raises:
            NotFound: no such verdict.
            PromotionRefused: the verdict was used, does not pass or expired, or what it was decided on has changed.
        """
        with self._database.read() as conn:
            require_permits(
                conn, self._workspace, _required_verdict(conn, self._workspace, verdict_id), now, or_awaited=True
            )

    def require(self, verdict_id: str, *, approval_id: str | None = None, alone: bool = False, now: int) -> Approval:
        """Return the approval that a promotion by this verdict would rest on, now.

        A promotion checks the same again, in its own transaction.

        Args:
            verdict_id: a recorded verdict, not used yet.
            approval_id: the approval that it has to be; None takes the latest that stands.
            alone: be content with one approval where the guard asks for several.
            now: the time to check for.

        Raises:
            NotFound: no such verdict.
            NotApproved: too few approved it, or somebody rejected it.
            StaleApproval: the candidate's files, the champion or the gate changed since, the verdict expired or was
                used, or ``approval_id`` is of another one.
        """
        with self._database.read() as conn:
            verdict = _required_verdict(conn, self._workspace, verdict_id)
            about = _about_the_same(conn, verdict)
            approval = standing_approval(
                verdict,
                read_approvals(conn, *about),
                held=about,
                guard=find_guard(conn, self._workspace, verdict.model_name, verdict.target),
                approval_id=approval_id,
                required=True,
                alone=alone,
            )
            assert approval is not None, "it was required"
            try:
                require_permits(conn, self._workspace, verdict, now)
            except PromotionRefused as refusal:
                why = f"The approval {approval.approval_id} is stale. {refusal.message.removesuffix('.')}"
                raise stale(verdict, why, approval_id=approval.approval_id) from refusal
            return approval


def require_permits(conn: Connection, workspace: str, verdict: Verdict, now: int, *, or_awaited: bool = False) -> None:
    """Raise PromotionRefused unless the verdict would permit its promotion now. Only reads.

    ``or_awaited`` lets one be whose gate waits for an approval; the gate then decides again. Whether a backfill may
    displace newer data is for the promotion to say.
    """
    candidate = read_candidate(conn, verdict.candidate_model_id)
    holder = read_holder(conn, workspace, verdict.model_name, parse_target(verdict.target))
    if verdict.used_by is not None:
        raise unusable(verdict, f"was used by the promotion {verdict.used_by}", "Decide again.")
    require_usable(verdict, now, or_awaited=or_awaited)
    require_same_candidate(verdict, candidate, None)
    require_guarded_by(find_guard(conn, workspace, verdict.model_name, verdict.target), verdict)
    require_same_champion(verdict, holder)


def approval_to_use(
    conn: Connection, verdict: Verdict, guard: Guard, approval_id: str | None, *, required: bool
) -> Approval | None:
    """Return the approval that a promotion rests on, within its transaction; see :func:`standing_approval`.

    The rows of the verdicts are locked, so a rejection that comes at the same time comes before the promotion, or finds
    that the verdict was used.
    """
    about = _about_the_same(conn, verdict, lock=True)
    return standing_approval(
        verdict, read_approvals(conn, *about), held=about, guard=guard, approval_id=approval_id, required=required
    )


def read_approvals(conn: Connection, *verdict_ids: str) -> tuple[Approval, ...]:
    """Return everything that was said of verdicts, of each in order, within the caller's transaction."""
    statement = select(_APPROVAL).where(is_one_of(conn, _APPROVAL.c.verdict_id, verdict_ids))
    rows = conn.execute(statement.order_by(_APPROVAL.c.verdict_id, _APPROVAL.c.sequence))
    return tuple(_entity(row) for row in rows.mappings())


def _about_the_same(conn: Connection, verdict: Verdict, *, lock: bool = False) -> tuple[str, ...]:
    """Return the ids of a verdict and, where its gate asks for approvals, of the held ones that are about the same."""
    one = _VERDICT.c.verdict_id == verdict.verdict_id
    if asks_people(verdict):
        # The candidate first, outside the alternative: it is what the index finds, and all that MariaDB locks.
        held = _held({name: getattr(verdict, name) for name in _ABOUT})
        one = and_(_VERDICT.c.candidate_model_id == verdict.candidate_model_id, or_(one, and_(*held)))
    statement = select(_VERDICT.c.verdict_id).where(one).order_by(_VERDICT.c.verdict_id)
    return tuple(conn.execute(statement.with_for_update() if lock else statement).scalars())


def _promoted_since(conn: Connection, verdict: Verdict) -> str | None:
    """Return the promotion by a verdict that passed after this one was held for people; None when there is none."""
    if verdict.outcome is not Outcome.HOLD or not asks_people(verdict):
        return None
    same = [_VERDICT.c[name] == getattr(verdict, name) for name in _ABOUT]
    later = [_VERDICT.c.decided_at >= verdict.decided_at, _VERDICT.c.used_by.is_not(None)]
    return conn.execute(select(_VERDICT.c.used_by).where(*same, *later).limit(1)).scalar()


def _held(about: Mapping[str, Any]) -> list[Any]:
    """Return the conditions of the verdicts that are about something, and held."""
    same = [_VERDICT.c[name] == value for name, value in about.items()]
    return [*same, _VERDICT.c.outcome == str(Outcome.HOLD), _VERDICT.c.shadow.is_(False)]


def _locked_verdict(conn: Connection, workspace: str, verdict_id: str) -> Verdict:
    conn.execute(select(_VERDICT.c.verdict_id).where(_VERDICT.c.verdict_id == verdict_id).with_for_update())
    return _required_verdict(conn, workspace, verdict_id)


def _required_verdict(conn: Connection, workspace: str, verdict_id: str) -> Verdict:
    verdict = find_verdict(conn, workspace, verdict_id)
    if verdict is None:
        raise no_such_verdict(verdict_id)
    return verdict


def _says(word: Approval, decision: ApprovalDecision, actor: str, authenticated: bool) -> bool:
    return (word.decision, word.actor, word.authenticated) == (decision, actor, authenticated)


def _require_storable(decision: ApprovalDecision, actor: str, source: str, reason: str) -> None:
    if bool(actor) == (decision is ApprovalDecision.TIMED_OUT):
        raise InvalidInput(
            "An approval or rejection names nobody." if not actor else f"{actor!r} can't have let the time run out.",
            remedy="Say who approves or rejects; only an answer that never came is nobody's.",
        )
    check_text("name of who approves", actor, _MAX_ACTOR)
    check_text("source of the approval", source, _MAX_SOURCE)
    check_text("reason of the approval", reason, _MAX_REASON)


def _entity(row: Mapping[Any, Any]) -> Approval:
    values = {name: row[name] for name in _COLUMNS}
    return Approval(**{**values, "decision": ApprovalDecision(row["decision"])})
