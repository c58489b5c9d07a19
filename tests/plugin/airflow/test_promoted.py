"""A DAG that a promotion triggers reads what was promoted: once, the newest, and not what another run of it had."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from airflow.sdk import DAG, get_current_context, task

from headgate.airflow.assets import model_asset
from headgate.airflow.promoted import PromotedModel, from_extra, promoted_model, promoted_models
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


@pytest.mark.parametrize("extra", [None, {}, {"promotion_id": None}, {"from_trigger": True, "payload": "x"}, {"a": 1}])
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


def told(name: str, number: int, **changes: Any) -> dict[str, Any]:
    model = replace(PROMOTED, model_name=name, promotion_id=f"p-{name}-{number}", sequence=number, version=number)
    return replace(model, promoted_at=PROMOTED.promoted_at + number, **changes).as_extra()


def test_the_newest_of_several_promotions_is_read_and_each_is_counted_once(
    store: Store, run_dag: RunDag, model: str
) -> None:
    watched = {"from_trigger": True, "payload": told(model, 3)}
    run = run_dag(consumer(model), run_conf={"events": [told(model, 2), watched, told(model, 1), told(model, 2)]})

    assert run.state == "success"
    assert from_extra(run.xcom("read")) == from_extra(told(model, 3))
    assert run.xcom("of_the_model") == run.xcom("read")
    assert run.xcom("count") == [f"p-{model}-{number}" for number in (1, 2, 3)]


def test_a_promotion_that_another_run_of_the_dag_had_is_skipped(store: Store, run_dag: RunDag, model: str) -> None:
    dag = consumer(model)
    first = run_dag(dag, run_conf={"events": [told(model, 1)]})
    again = run_dag(dag, run_conf={"events": [told(model, 1)]})
    after = run_dag(dag, run_conf={"events": [told(model, 2)]})

    assert (first.states["read"], again.states["read"], after.states["read"]) == ("success", "skipped", "success")
    assert again.states["of_the_model"] == "skipped"


def test_a_promotion_that_another_dag_had_is_read(store: Store, run_dag: RunDag, model: str) -> None:
    run_dag(consumer(model), run_conf={"events": [told(model, 1)]})
    other = consumer(model)
    other.dag_id = f"also_{other.dag_id}"
    assert run_dag(other, run_conf={"events": [told(model, 1)]}).state == "success"


def test_a_promotion_that_was_told_late_is_skipped(store: Store, run_dag: RunDag, model: str) -> None:
    run = run_dag(consumer(model), run_conf={"events": [told(model, 1, late=True, superseded_by=2)]})
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
