"""``watch_model``: a promotion is looked after, and rolled back when what is measured breaks the watch."""

from __future__ import annotations

from typing import Any

import pytest
from prefect import flow

from headgate.prefect import promote_model, watch_model
from headgate.store import Store
from headgate.store.clock import now_ms
from headgate.store.entities import Metric, Promotion
from headgate.store.errors import GateErrored, GateRejected
from tests.plugin.prefect.projects import GATE, measured

pytestmark = pytest.mark.usefixtures("prefect_server")
NAME = "screening"
WATCH = {"name": "after-deploy", "window": "1h", "checks": [{"metric": "error_rate", "at_most": 0.1}]}
SHORT = {**WATCH, "window": "1s"}


@flow
def watching(watch: dict[str, Any], promotion: Promotion | str | None = None, **options: Any):
    return watch_model(watch, model_name=NAME, promotion=promotion, **options)


@pytest.fixture
def promoted(store: Store) -> Promotion:
    """The second promotion of a model: there is something to roll back to."""

    @flow
    def promoting():
        return [promote_model(measured(store, value), gate=GATE, model_name=NAME) for value in (0.6, 0.8)][-1]

    return promoting()


def log(store: Store, value: float) -> None:
    holder = store.promotions.holder(NAME, "@champion")
    assert holder is not None
    point = Metric("error_rate", value, now_ms(), model_id=holder.model_id)
    store.logged_models.log_metrics(str(holder.model_id), [point])


def test_a_broken_watch_rolls_back_once_and_spends_no_retry(store: Store, promoted: Promotion) -> None:
    log(store, 0.9)
    for _ in range(2):
        with pytest.raises(GateRejected) as broken:
            watching(WATCH, promoted, every=0.2)
        event = store.promotions.current(NAME, "@champion")
        assert event is not None
        assert (event.kind, event.to_version) == ("roll_back", 1)
        assert broken.value.attributes["rollback_id"] == event.promotion_id
    assert len(store.promotions.history(NAME, "@champion")) == 3


def test_one_look_at_an_open_window_holds(store: Store, promoted: Promotion) -> None:
    log(store, 0.01)
    found = watching(WATCH, every=None)
    assert (found.outcome, found.verdict, found.promotion.promotion_id) == ("hold", None, promoted.promotion_id)


def test_a_sound_model_stays_and_silence_is_no_yes(store: Store, promoted: Promotion) -> None:
    with pytest.raises(GateErrored, match="in vain"):
        watching({**SHORT, "name": "nothing-measured"}, every=0.2)
    log(store, 0.01)
    found = watching(WATCH, promoted.promotion_id, every=None)
    assert found.superseded is False
    assert store.promotions.holder(NAME, "@champion").version == 2  # type: ignore[union-attr]
