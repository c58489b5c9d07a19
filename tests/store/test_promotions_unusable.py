"""A verdict that expired, or comes from the future, or was used, promotes nothing: at any time, however it is asked."""

from __future__ import annotations

import itertools
import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from headgate.store.entities import Promotion
from headgate.store.errors import PromotionRefused, VerdictUnusable
from headgate.store.promotion_checks import CLOCK_SKEW_MS
from headgate.store.store import Store
from tests.store.promotion_cases import DAY, NOW, candidate, draft

TARGET = "@champion"
asked = st.fixed_dictionaries(
    {"allow_older": st.booleans(), "require_approval": st.booleans()},
    optional={"actor": st.sampled_from(["alice", "mallory"]), "reason": st.text(max_size=5)},
)
many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def promote(store: Store, verdict_id: str, now: int, options: dict[str, Any]) -> Promotion:
    return store.promotions.promote(verdict_id, **{"actor": "alice", **options}, now=now)


@many
@given(valid_for=st.integers(0, 30 * DAY), late=st.integers(1, 400 * DAY), options=asked)
def test_an_expired_verdict_never_promotes(
    sqlite_store: Store, valid_for: int, late: int, options: dict[str, Any]
) -> None:
    name = f"model-{uuid.uuid4().hex}"
    verdict = draft(sqlite_store, candidate(sqlite_store), model_name=name, expires_at=NOW + valid_for)
    sqlite_store.verdicts.record(verdict)
    with pytest.raises(VerdictUnusable, match="expired"):
        promote(sqlite_store, verdict.verdict_id, verdict.expires_at + late, options)
    assert sqlite_store.promotions.history(name) == ()
    assert sqlite_store.promotions.holder(name, TARGET) is None


@many
@given(early=st.integers(1, 400 * DAY), options=asked)
def test_a_verdict_of_the_future_never_promotes(sqlite_store: Store, early: int, options: dict[str, Any]) -> None:
    name = f"model-{uuid.uuid4().hex}"
    verdict = sqlite_store.verdicts.record(draft(sqlite_store, candidate(sqlite_store), model_name=name))
    with pytest.raises(VerdictUnusable, match="in the future"):
        promote(sqlite_store, verdict.verdict_id, NOW - CLOCK_SKEW_MS - early, options)
    assert sqlite_store.promotions.history(name) == ()


steps = st.lists(st.sampled_from(["another", "back", "by hand", "again", "later"]), max_size=6)


@many
@given(steps=steps, options=asked)
def test_a_used_verdict_never_promotes_again(sqlite_store: Store, steps: list[str], options: dict[str, Any]) -> None:
    """It answers with what it did while that stands, and is refused after; the history gets no event of it."""
    store, name, clock = sqlite_store, f"model-{uuid.uuid4().hex}", itertools.count(NOW)
    verdict = store.verdicts.record(draft(store, candidate(store), model_name=name))
    first = promote(store, verdict.verdict_id, next(clock), {})
    for step in (*steps, "again"):
        before = store.promotions.history(name)
        if step == "another":
            other = store.verdicts.record(draft(store, candidate(store), model_name=name))
            promote(store, other.verdict_id, next(clock), {})
        elif step in ("back", "by hand"):
            try:
                store.promotions.roll_back(name, TARGET, actor="bob", now=next(clock))
                if step == "by hand":  # the same version again, without a promotion
                    store.gates.remove(name, TARGET, now=next(clock))
                    store.registry.set_alias(name, "champion", first.to_version or 0)
            except PromotionRefused as refusal:
                event(type(refusal).__name__)
        else:
            now = next(clock) + (DAY if step == "later" else 0)
            if before[-1] == first:
                with suppress(VerdictUnusable):  # that is not what was asked for, with an approval
                    assert promote(store, verdict.verdict_id, now, options) == first
            else:
                with pytest.raises(VerdictUnusable, match="was used"):
                    promote(store, verdict.verdict_id, now, options)
            assert store.promotions.history(name) == before
    assert [each.verdict_id for each in store.promotions.history(name)].count(verdict.verdict_id) == 1
