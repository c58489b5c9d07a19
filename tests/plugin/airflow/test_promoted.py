"""A DAG that a promotion triggers reads what was promoted: once, the newest, and not what another run of it had."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from airflow.sdk import DAG, get_current_context, task

from headgate.airflow.assets import model_asset
from headgate.airflow.promoted import (
    PromotedModel,
    from_extra,
    promoted_model,
    promoted_models,
    promotion_to_tell,
)
from headgate.store.clock import now_ms
from headgate.store.store import Store
from tests.plugin.airflow.dag_runs import DagRun
from tests.store.promotion_cases import candidate, draft

PROMOTED = PromotedModel(
    promotion_id="p-1",
    kind="promote",
    model_name="screening",
    target="@champion",
    version=2,
    previous_version=1,
    sequence=2,
    model_id="m-2",
    digest="ab" * 32,
    run_id="r-2",
    verdict_id="v-2",
    gate="screening-gate",
    actor="alice",
    reason="better",
    promoted_at=1_800_000_000_000,
)

RunDag = Callable[..., DagRun]


@pytest.mark.parametrize("model", [PROMOTED, replace(PROMOTED, version=None, late=True, superseded_by=3)])
def test_what_a_task_and_what_a_watcher_told_is_read_alike(model: PromotedModel) -> None:
    assert from_extra(model.as_extra()) == model
    assert from_extra({"from_trigger": True, "payload": model.as_extra()}) == model
    assert from_extra({**model.as_extra(), "from_rest_api": True, "added": 1}) == model


@pytest.mark.parametrize(
    "extra",
    [None, {}, {"promotion_id": None}, {"from_trigger": True, "payload": "x"}, {"a": 1}, {"promotion_id": "p-1"}],
)
def test_the_extra_of_other_events_is_none_of_ours(extra: Any) -> None:
    assert from_extra(extra) is None


@pytest.fixture
def model() -> str:
    return f"screening-{uuid.uuid4().hex[:8]}"


def consumer(name: str) -> DAG:
    """A DAG that is triggered by the events that its first task attaches to its run, as the scheduler would have."""
    champion = model_asset(name, alias="champion")
    with DAG(f"deploy_{name}", schedule=[champion]) as dag:

        @task
        def trigger(dag_run: Any = None) -> None:
            for extra in (dag_run.conf or {}).get("events", ()):
                happen(dag_run.dag_id, dag_run.run_id, champion.uri, extra)

        @task
        def read() -> dict[str, Any]:
            return asdict(promoted_model(get_current_context()))

        @task
        def of_the_model() -> dict[str, Any]:
            return asdict(promoted_model(get_current_context(), name, alias="champion"))

        @task
        def count() -> list[str]:
            return [found.promotion_id for found in promoted_models(get_current_context())]

        trigger() >> [read(), of_the_model(), count()]
    return dag


def happen(dag_id: str, run_id: str, uri: str, extra: dict[str, Any]) -> None:
    """Have an event of an asset, and a run triggered by it."""
    from airflow.models.asset import AssetAliasModel, AssetEvent, AssetModel
    from airflow.models.dagrun import DagRun as AirflowDagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asset = session.scalars(select(AssetModel).where(AssetModel.uri == uri)).one()
        run = session.scalars(
            select(AirflowDagRun).where(AirflowDagRun.dag_id == dag_id, AirflowDagRun.run_id == run_id)
        ).one()
        event = AssetEvent(asset_id=asset.id, extra=extra)
        event.source_aliases.append(AssetAliasModel(name=f"alias {uuid.uuid4().hex}"))
        session.add(event)
        run.consumed_asset_events.append(event)


def promoted(store: Store, name: str, target: str = "@champion") -> dict[str, Any]:
    """Promote in the store, and return what the event of that says."""
    now = now_ms()
    verdict = draft(store, candidate(store), model_name=name, target=target, decided_at=now, expires_at=now + 3_600_000)
    promotion = store.promotions.promote(store.verdicts.record(verdict).verdict_id, actor="shell", now=now)
    return promotion_to_tell(store, promotion.promotion_id).as_extra()


def test_the_newest_of_several_promotions_is_read_and_each_is_counted_once(
    store: Store, run_dag: RunDag, model: str
) -> None:
    one, two, three = (promoted(store, model) for _ in range(3))
    watched = {"from_trigger": True, "payload": three}
    run = run_dag(consumer(model), run_conf={"events": [two, watched, one, two]})

    assert run.state == "success"
    assert from_extra(run.xcom("read")) == from_extra(three)
    assert run.xcom("of_the_model") == run.xcom("read")
    assert run.xcom("count") == [extra["promotion_id"] for extra in (one, two, three)]


def test_what_was_promoted_says_the_store_and_not_the_event(store: Store, run_dag: RunDag, model: str) -> None:
    promoted(store, model)
    true = promoted(store, model)
    forged = {**true, "version": 1, "model_id": "m-evil", "digest": "00" * 32, "actor": "alice", "late": False}
    run = run_dag(consumer(model), run_conf={"events": [{**forged, "from_rest_api": True}]})

    assert run.xcom("read") == true
    assert run.xcom("of_the_model") == true


def test_an_event_of_no_promotion_that_the_store_has_is_an_error(store: Store, run_dag: RunDag, model: str) -> None:
    true = promoted(store, model)
    run = run_dag(consumer(model), run_conf={"events": [{**true, "promotion_id": "p-forged", "version": 7}]})
    assert {task: run.states[task] for task in ("read", "of_the_model", "count")} == dict.fromkeys(
        ("read", "of_the_model", "count"), "failed"
    )


@pytest.mark.parametrize("other", [{"name": "other"}, {"target": "@challenger"}])
def test_an_event_of_the_promotion_of_something_else_is_an_error(
    store: Store, run_dag: RunDag, model: str, other: dict[str, str]
) -> None:
    elsewhere = promoted(store, **{"name": model, **other})
    run = run_dag(consumer(model), run_conf={"events": [{**elsewhere, "model_name": model, "target": "@champion"}]})
    assert (run.states["read"], run.states["count"]) == ("failed", "failed")


def test_an_event_that_says_too_little_is_none_of_ours(store: Store, run_dag: RunDag, model: str) -> None:
    true = promoted(store, model)
    run = run_dag(consumer(model), run_conf={"events": [{"promotion_id": true["promotion_id"], "version": 1}]})
    assert run.xcom("count") == []
    assert run.xcom("of_the_model") == true


def test_what_was_pruned_from_the_outbox_is_read_all_the_same(store: Store, run_dag: RunDag, model: str) -> None:
    one, two = promoted(store, model), promoted(store, model)
    assert store.outbox.prune(before=now_ms() + 1) == 1
    run = run_dag(consumer(model), run_conf={"events": [one, two]})
    assert run.xcom("count") == [one["promotion_id"], two["promotion_id"]]
    superseded = replace(PromotedModel(**one), late=True, superseded_by=2)
    assert promotion_to_tell(store, one["promotion_id"]) == superseded


def test_a_promotion_that_another_run_of_the_dag_had_is_skipped(store: Store, run_dag: RunDag, model: str) -> None:
    dag, one = consumer(model), promoted(store, model)
    first = run_dag(dag, run_conf={"events": [one]})
    again = run_dag(dag, run_conf={"events": [one]})
    after = run_dag(dag, run_conf={"events": [promoted(store, model)]})

    assert (first.states["read"], again.states["read"], after.states["read"]) == ("success", "skipped", "success")
    assert again.states["of_the_model"] == "skipped"


def test_a_promotion_that_another_dag_had_is_read(store: Store, run_dag: RunDag, model: str) -> None:
    one = promoted(store, model)
    run_dag(consumer(model), run_conf={"events": [one]})
    other = consumer(model)
    other.dag_id = f"also_{other.dag_id}"
    assert run_dag(other, run_conf={"events": [one]}).state == "success"


def test_a_promotion_that_another_has_followed_is_skipped(store: Store, run_dag: RunDag, model: str) -> None:
    one = promoted(store, model)
    promoted(store, model)
    run = run_dag(consumer(model), run_conf={"events": [one]})
    assert (run.states["read"], run.states["count"]) == ("skipped", "success")


def test_a_run_by_hand_reads_what_stands_in_the_store_when_it_says_of_what(
    store: Store, run_dag: RunDag, model: str
) -> None:
    now = now_ms()
    verdict = draft(store, candidate(store), model_name=model, decided_at=now, expires_at=now + 3_600_000)
    promotion = store.promotions.promote(store.verdicts.record(verdict).verdict_id, actor="shell", now=now)

    run = run_dag(consumer(model))

    assert (run.states["read"], run.states["of_the_model"]) == ("failed", "success")
    found = run.xcom("of_the_model")
    assert (found["promotion_id"], found["version"], found["actor"]) == (promotion.promotion_id, 1, "shell")
    assert run.xcom("count") == []


def test_nothing_is_made_up_where_nothing_was_promoted(store: Store, run_dag: RunDag, model: str) -> None:
    run = run_dag(consumer(model))
    assert (run.states["of_the_model"], run.xcom("of_the_model")) == ("failed", None)
