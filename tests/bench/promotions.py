"""Promoting, one transaction each, on PostgreSQL with a million events in the history

Beside the same promotion in a store without any history, in turns. Half of the events are of the very target that is
promoted to, the others of a thousand models. Each promotion has a verdict, a candidate and a version of its own, so
what is measured is the whole of it: verifying, comparing and setting the champion, history, guard and outbox.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from headgate.store import open_store
from headgate.store.store import Store
from tests.bench.figures import Figure, alone, durations, share_of
from tests.databases import database_of_its_own
from tests.services import POSTGRESQL, bring_postgresql
from tests.store.promotion_cases import CHAMPION, MODEL, NOW, candidate, verdict_on

EVENTS = 1_000_000
AT_MOST_MS = 20.0
EACH = 20

# Half of the events are the target's own; the versions that they moved are those of a model that long ago had them.
_HISTORY = """
INSERT INTO headgate_promotion (promotion_id, workspace, model_name, target, sequence, kind, from_version, to_version,
authenticated, actor, reason, created_at)
SELECT 'p-' || md5(n::text), 'default',
CASE WHEN n % 2 = 0 THEN :model ELSE 'model-' || (n % 2000) END, :target,
CASE WHEN n % 2 = 0 THEN n / 2 ELSE n / 2000 + 1 END,
CASE WHEN n % 10 = 0 THEN 'roll_back' ELSE 'promote' END, n % 500 + 1, (n + 2) % 500 + 1, false, 'bench', 'a reason', n
FROM generate_series(2, :events) AS n
"""
_OUTBOX = """
INSERT INTO headgate_outbox (event_id, position, workspace, topic, subject, model_name, payload, created_at)
SELECT promotion_id, row_number() OVER (), workspace, 'promotion', model_name || target, model_name, '{}', created_at
FROM headgate_promotion
"""


def measure(repeats: int) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory() as folder,
        database_of_its_own(_server(folder)) as full,
        database_of_its_own(_server(folder)) as empty,
        open_store(full, artifact_root=folder) as with_history,
        open_store(empty, artifact_root=folder) as without,
    ):
        _write_history(with_history)
        promoted, baseline, rolled_back, then = durations(
            repeats,
            ("promote", lambda: _promotions(with_history)),
            ("without a history", lambda: _promotions(without)),
            ("roll back", lambda: _rollback(with_history)),
            ("what held the target then", lambda: _then(with_history)),
        )
    return [
        alone("promote among 1,000,000 events", promoted, at_most=AT_MOST_MS),
        share_of("promote among 1,000,000 events", promoted, baseline),
        alone("roll back among 1,000,000 events", rolled_back, at_most=AT_MOST_MS),
        alone("what held a target at a time", then, at_most=AT_MOST_MS),
    ]


def _server(folder: str) -> str:
    if POSTGRESQL.reachable():
        return POSTGRESQL.url().render_as_string(hide_password=False)
    return bring_postgresql(Path(folder) / "postgresql")


def _promotions(store: Store) -> float:
    """Return the median seconds of a promotion; what comes before it is not counted."""
    taken = []
    for _ in range(EACH):
        verdict = verdict_on(store, candidate(store))
        start = time.perf_counter()
        store.promotions.promote(verdict.verdict_id, actor="bench", now=NOW)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]


def _rollback(store: Store) -> float:
    start = time.perf_counter()
    store.promotions.roll_back(MODEL, CHAMPION, actor="bench", now=NOW)
    taken = time.perf_counter() - start
    _promotions(store)  # so that the next rollback begins where this one did
    return taken


def _then(store: Store) -> float:
    start = time.perf_counter()
    found = store.promotions.at(MODEL, CHAMPION, EVENTS // 2)
    taken = time.perf_counter() - start
    assert found is not None
    return taken


def _write_history(store: Store) -> None:
    said = {"model": MODEL, "target": CHAMPION, "events": EVENTS + 1}
    with store.database.write() as connection:
        connection.execute(sa.text(_HISTORY), said)
        connection.execute(sa.text(_OUTBOX))
        connection.execute(
            sa.text("INSERT INTO headgate_outbox_head (name, position) VALUES ('outbox', :n)"), {"n": EVENTS}
        )
    store.registry.create_model(MODEL, now=NOW)
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))  # as its autovacuum does a minute later
