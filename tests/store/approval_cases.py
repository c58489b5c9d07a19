"""What people say of a verdict, for the tests of approvals."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import sqlalchemy as sa

from headgate.store.entities import Approval, ApprovalDecision, Verdict
from headgate.store.errors import HeadgateError
from headgate.store.store import Store
from headgate.store.tables import metadata
from tests.store.promotion_cases import NOW

APPROVE, REJECT, TIMED_OUT = ApprovalDecision
SIGNED_ALICE = {"actor": "alice", "authenticated": True, "source": "airflow-hitl"}


def say(store: Store, verdict: Verdict, decision: ApprovalDecision = APPROVE, **changes: Any) -> Approval:
    said = {"actor": "alice", "authenticated": False, "source": "cli", "now": NOW, **changes}
    return store.approvals.record(verdict.verdict_id, decision, **said)


def promote(store: Store, verdict: Verdict, **asked: Any) -> Any:
    return store.promotions.promote(verdict.verdict_id, actor="bob", now=NOW, **asked)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do everything at the same time; return what came of each, refusals included."""
    ready = Barrier(len(acts))

    def done(act: Callable[[], Any]) -> Any:
        ready.wait(60)
        try:
            return act()
        except HeadgateError as refusal:
            return refusal

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(done, acts))


def change_files(store: Store, model_id: str) -> None:
    """Give a model other files than it had, as nothing in Headgate does."""
    table = metadata.tables["headgate_logged_model"]
    with store.database.write() as conn:
        conn.execute(sa.update(table).where(table.c.model_id == model_id).values(artifact_digest="cd" * 32))
