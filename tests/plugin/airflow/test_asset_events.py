"""A task that promotes emits one event with its success, one that does not emits none; nothing is told twice."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import DAG, Asset, task

from headgate.airflow import PromoteModelOperator, RegisterModelOperator, RollBackModelOperator
from headgate.airflow.asset_events import ALIAS
from headgate.airflow.assets import model_asset
from headgate.airflow.channel import TaskKey, task_of_owner
from headgate.airflow.promoted import from_extra
from headgate.airflow.promotion_watch import has_emitted
from headgate.store.clock import now_ms
from headgate.store.entities import Outcome
from headgate.store.promotion_rows import PROMOTION_TOPIC
from headgate.store.store import Store
from headgate.store.tables import metadata
from tests.plugin.airflow.dag_runs import DagRun
from tests.plugin.airflow.promotions import PromotesOperator, delivery_of, events_of
from tests.store.promotion_cases import candidate, draft

DATE = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE = 60_000

RunDag = Callable[..., DagRun]


@pytest.fixture
def model() -> str:
    """The name of a model of this test's own: all tests of a process have one Airflow."""
    return f"screening-{uuid.uuid4().hex[:8]}"


def verdict_id(store: Store, model: str, target: str = "@champion", **changes: Any) -> str:
    now = now_ms()
    times = {"decided_at": now, "expires_at": now + 60 * MINUTE}
    verdict = draft(store, candidate(store), model_name=model, target=target, **times, **changes)
    return store.verdicts.record(verdict).verdict_id


def a_dag(model: str, **options: Any) -> DAG:
    with DAG(f"promote_{model}_{uuid.uuid4().hex[:6]}", schedule=None) as dag:
        PromotesOperator(task_id="promote", model_name=model, **options)
    return dag


def test_a_promotion_is_emitted_with_the_success_of_its_task(store: Store, run_dag: RunDag, model: str) -> None:
    dag = a_dag(model, verdict_id=verdict_id(store, model))
    run = run_dag(dag)

    assert run.state == "success"
    (promotion,) = store.promotions.history(model)
    (event,) = events_of(model)
    assert (event.uri, event.group) == (f"headgate://headgate_default/models/{model}@champion", "model")
    assert event.source == (dag.dag_id, "promote", -1)
    told = from_extra(event.extra)
    assert told is not None
    assert (told.promotion_id, told.kind, told.model_name, told.target) == (
        promotion.promotion_id,
        "promote",
        model,
        "@champion",
    )
    assert (told.version, told.previous_version, told.verdict_id, told.gate) == (
        1,
        None,
        promotion.verdict_id,
        "screening-gate",
    )
    version = store.registry.get_version(model, 1)
    assert (told.model_id, told.run_id, told.digest) == (version.model_id, version.run_id, "ab" * 32)
    assert told.model_uri == f"models:/{model}/1"
    delivery = delivery_of(store, promotion.promotion_id)
    assert task_of_owner(delivery.owner) == TaskKey(dag.dag_id, run.run_id, "promote", -1)
    assert delivery.delivered_at is not None


def test_a_task_that_succeeds_without_a_promotion_emits_only_what_the_user_added(
    store: Store, run_dag: RunDag, model: str
) -> None:
    report = Asset(f"report of {model}", f"x-report://{model}")
    run = run_dag(a_dag(model, verdict_id="", outlets=[report]))

    assert run.state == "success"
    assert [event.uri for event in events_of(model)] == [report.uri]


def test_the_users_outlets_are_emitted_beside_the_promotion(store: Store, run_dag: RunDag, model: str) -> None:
    report = Asset(f"report of {model}", f"x-report://{model}")
    run_dag(a_dag(model, verdict_id=verdict_id(store, model), outlets=[report]))

    champion, reported = sorted(events_of(model), key=lambda event: event.uri)
    assert (champion.uri, reported.uri) == (f"headgate://headgate_default/models/{model}@champion", report.uri)
    (promotion,) = store.promotions.history(model)
    assert reported.extra["promotion_id"] == champion.extra["promotion_id"] == promotion.promotion_id


def test_assets_of_other_models_are_emitted_with_a_promotion_and_not_without(
    store: Store, run_dag: RunDag, model: str
) -> None:
    also = model_asset(f"{model}-family")
    assert run_dag(a_dag(model, verdict_id="", outlets=[also])).state == "success"
    assert events_of(model) == []
    run_dag(a_dag(model, verdict_id=verdict_id(store, model), outlets=[also]))
    assert sorted(event.uri for event in events_of(model)) == [also.uri, also.uri.replace("-family", "@champion")]


def test_the_store_of_another_connection_has_assets_of_its_own(
    store: Store, run_dag: RunDag, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "headgate", "extra": {"store_url": store.url, "artifact_root": store.artifact_root}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    monkeypatch.delenv("HEADGATE_STORE_URL")
    run_dag(a_dag(model, verdict_id=verdict_id(store, model), headgate_conn_id="other"))

    (event,) = events_of(model)
    assert (event.uri, event.extra["headgate_conn_id"]) == (f"headgate://other/models/{model}@champion", "other")
    (promotion,) = store.promotions.history(model)
    assert delivery_of(store, promotion.promotion_id).delivered_at is not None


def test_a_stage_is_an_asset_too(store: Store, run_dag: RunDag, model: str) -> None:
    run_dag(a_dag(model, verdict_id=verdict_id(store, model, "stage:Production"), target="stage:Production"))
    assert [event.uri for event in events_of(model)] == [f"headgate://headgate_default/models/{model}/Production"]


@pytest.mark.parametrize("dies", ["before", "after", "refused"])
def test_a_task_that_dies_after_its_promotion_is_made_good_by_its_next_try(
    store: Store, run_dag: RunDag, model: str, dies: str
) -> None:
    verdict = verdict_id(store, model)
    dag = a_dag(model, verdict_id=verdict, dies="{{ dag_run.conf.get('dies', '') }}")
    first = run_dag(dag, logical_date=DATE, run_after=DATE, run_conf={"dies": dies})
    assert first.state == "failed"
    assert events_of(model) == []
    (promotion,) = store.promotions.history(model)
    assert delivery_of(store, promotion.promotion_id).delivered_at is None

    second = run_dag(dag, logical_date=DATE, run_after=DATE)
    assert (second.run_id, second.state) == (first.run_id, "success")
    assert store.promotions.history(model) == (promotion,)
    assert [event.extra["promotion_id"] for event in events_of(model)] == [promotion.promotion_id]
    assert delivery_of(store, promotion.promotion_id).delivered_at is not None


def test_a_cleared_task_emits_nothing_again(store: Store, run_dag: RunDag, model: str) -> None:
    dag = a_dag(model, verdict_id=verdict_id(store, model))
    for _ in range(2):
        assert run_dag(dag, logical_date=DATE, run_after=DATE).state == "success"
    assert len(events_of(model)) == 1


def test_a_cleared_task_whose_event_was_never_confirmed_finds_it_in_airflow(
    store: Store, run_dag: RunDag, model: str
) -> None:
    dag = a_dag(model, verdict_id=verdict_id(store, model))
    run_dag(dag, logical_date=DATE, run_after=DATE)
    (promotion,) = store.promotions.history(model)
    _forget_confirmation(store)

    assert run_dag(dag, logical_date=DATE, run_after=DATE).state == "success"
    assert len(events_of(model)) == 1
    assert delivery_of(store, promotion.promotion_id).delivered_at is not None


def _forget_confirmation(store: Store) -> None:
    delivery = metadata.tables["headgate_delivery"]
    with store.database.write() as conn:
        conn.execute(sa.update(delivery).values(delivered_at=None))


def test_another_task_with_the_same_verdict_leaves_the_event_to_the_one_that_claimed_it(
    store: Store, run_dag: RunDag, model: str
) -> None:
    verdict = verdict_id(store, model)
    run_dag(a_dag(model, verdict_id=verdict, dies="before"))
    assert run_dag(a_dag(model, verdict_id=verdict)).state == "success"
    assert events_of(model) == []


def test_what_a_watcher_has_told_no_task_tells_again(store: Store, run_dag: RunDag, model: str) -> None:
    from headgate.store.deliveries import Claim

    store.deliveries.subscribe("airflow", PROMOTION_TOPIC, now=0)
    verdict = verdict_id(store, model)
    promotion = store.promotions.promote(verdict, actor="shell", now=store.verdicts.get(verdict).decided_at)
    assert store.deliveries.claim(promotion.promotion_id, Claim("airflow", "watcher:x", 2**60), now=2**50)

    assert run_dag(a_dag(model, verdict_id=verdict)).state == "success"
    assert events_of(model) == []


def test_a_model_that_is_known_only_at_run_time_goes_through_the_alias(
    store: Store, run_dag: RunDag, model: str
) -> None:
    with DAG(f"promote_{model}", schedule=None) as dag:
        PromotesOperator(
            task_id="promote",
            model_name="{{ dag_run.conf['model'] }}",
            verdict_id="{{ dag_run.conf['verdict'] }}",
        )
    outlets = dag.get_task("promote").outlets
    assert [outlet.name for outlet in outlets] == [ALIAS]

    run = run_dag(dag, run_conf={"model": model, "verdict": verdict_id(store, model)})
    assert run.state == "success"
    (event,) = events_of(model)
    assert (event.uri, event.extra["version"]) == (f"headgate://headgate_default/models/{model}@champion", 1)
    rejected = run_dag(dag, run_conf={"model": model, "verdict": ""})
    assert (rejected.state, len(events_of(model))) == ("success", 1)


def test_mapped_tasks_emit_an_event_each(store: Store, run_dag: RunDag, model: str) -> None:
    names = [f"{model}-{letter}" for letter in "ab"]
    arguments = [{"model_name": name, "verdict_id": verdict_id(store, name)} for name in names]
    with DAG(f"promote_{model}", schedule=None) as dag:
        PromotesOperator.partial(task_id="promote").expand_kwargs(arguments)

    assert run_dag(dag).state == "success"
    assert sorted((event.uri, event.source[2]) for event in events_of(model)) == [
        (f"headgate://headgate_default/models/{name}@champion", index) for index, name in enumerate(names)
    ]


@pytest.mark.parametrize(("on_reject", "state"), [("succeed", "success"), ("skip", "skipped"), ("fail", "failed")])
def test_a_rejection_emits_nothing_however_its_task_ends(
    store: Store, run_dag: RunDag, model: str, on_reject: str, state: str
) -> None:
    rejected = verdict_id(store, model, outcome=Outcome.REJECT)
    with DAG(f"reject_{model}", schedule=None) as dag:
        PromoteModelOperator(task_id="promote", model_name=model, verdict=rejected, on_reject=on_reject)

    assert run_dag(dag).states["promote"] == state
    assert events_of(model) == []


def test_a_registration_is_emitted_and_a_rollback_too(store: Store, run_dag: RunDag, model: str) -> None:
    made = candidate(store)
    for _ in range(2):
        verdict = store.verdicts.get(verdict_id(store, model))
        store.promotions.promote(verdict.verdict_id, actor="shell", now=verdict.decided_at)
    with DAG(f"register_{model}", schedule=None) as dag:
        RegisterModelOperator(task_id="register", model=made.model_id, model_name=model)
        RollBackModelOperator(task_id="roll_back", model_name=model)

    assert run_dag(dag).state == "success"
    registered, restored = sorted(events_of(model), key=lambda event: event.uri)
    assert registered.uri == f"headgate://headgate_default/models/{model}"
    assert (registered.extra["version"], registered.extra["model_id"], registered.extra["run_id"]) == (
        3,
        made.model_id,
        made.source_run_id,
    )
    assert (restored.extra["kind"], restored.extra["version"], restored.extra["previous_version"]) == (
        "roll_back",
        1,
        2,
    )


def test_what_became_of_a_task_is_read_from_airflow(store: Store, run_dag: RunDag, model: str) -> None:
    """What the watcher asks about a task whose claim ran out, and what it makes of the answers."""
    dag = a_dag(model, verdict_id=verdict_id(store, model))
    emitted = run_dag(dag)
    (promotion,) = store.promotions.history(model)
    other = run_dag(a_dag(f"{model}-b", verdict_id=verdict_id(store, f"{model}-b"), dies="after"))

    with DAG(f"ask_{model}", schedule=None) as asking:

        @task
        def marked_by_hand() -> None:
            """A success that emitted nothing."""

        @task
        def ask(ti: Any = None) -> list[bool | None]:
            keys = [
                TaskKey(emitted.dag_id, emitted.run_id, "promote"),
                TaskKey(other.dag_id, other.run_id, "promote"),
                TaskKey(ti.dag_id, ti.run_id, "marked_by_hand"),
                TaskKey(emitted.dag_id, "deleted", "promote"),
                TaskKey(ti.dag_id, ti.run_id, "ask"),
                TaskKey(ti.dag_id, ti.run_id, "to_come"),
            ]
            return [has_emitted(key, promotion.promotion_id) for key in keys]

        @task
        def to_come() -> None:
            """Has no state yet when it is asked about."""

        marked_by_hand() >> ask() >> to_come()
    assert run_dag(asking).xcom("ask") == [True, False, False, False, None, None]
