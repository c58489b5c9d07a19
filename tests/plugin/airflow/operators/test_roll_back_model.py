"""``RollBackModelOperator``: back once, however often the task runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from headgate.airflow import RollBackModelOperator
from headgate.store.store import Store
from headgate.tasks import promote_if_passing
from headgate.tasks.gates.definition import gate_from_definition
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.dag_runs import DagRun
from tests.plugin.airflow.promotions import events_of

RunDag = Callable[..., DagRun]

WHEN = {"logical_date": datetime(2026, 11, 2, tzinfo=UTC), "run_after": datetime(2026, 11, 2, tzinfo=UTC)}


def promoted(store: Store, model: str, *figures: float) -> None:
    for f1 in figures:
        promote_if_passing(store, gate_from_definition(GATE), model, "@champion", measured(store, f1), actor="alice")


def rolls_back(model: str, **options: Any) -> DAG:
    with DAG(new_name("rolls-back"), schedule=None) as dag:
        RollBackModelOperator(task_id="roll_back", model_name=model, **options)
    return dag


def held(store: Store, model: str) -> int | None:
    holder = store.promotions.holder(model, "@champion")
    return None if holder is None else holder.version


def test_a_target_goes_back_once_however_often_the_task_runs(store: Store, run_dag: RunDag) -> None:
    model = new_name()
    promoted(store, model, 0.6, 0.7, 0.8)
    dag = rolls_back(model, reason="{{ 'it was slow' }}")
    first = run_dag(dag, **WHEN)
    assert (first.states, held(store, model)) == ({"roll_back": "success"}, 2)
    event = store.promotions.current(model, "@champion")
    assert event is not None
    assert (event.kind, event.from_version, event.to_version, event.reason) == ("roll_back", 3, 2, "it was slow")
    version = store.registry.get_version(model, 2)
    assert first.xcom("roll_back") == {
        "promotion_id": event.promotion_id,
        "model_name": model,
        "target": "@champion",
        "version": 2,
        "model_id": version.model_id,
        "verdict_id": None,
        "run_id": version.run_id,
        "digest": "ab" * 32,
    }
    assert run_dag(dag, **WHEN).xcom("roll_back") == first.xcom("roll_back")
    assert held(store, model) == 2
    assert [told.extra["kind"] for told in events_of(model)] == ["roll_back"]

    promoted(store, model, 0.9)
    assert run_dag(dag, **WHEN).states == {"roll_back": "failed"}, "somebody else holds the target by now"
    assert held(store, model) == 4
    assert run_dag(dag).states == {"roll_back": "success"}, "another DAG run is another rollback"
    assert held(store, model) == 2


def test_versions_may_be_named_by_templates(store: Store, run_dag: RunDag) -> None:
    model = new_name()
    promoted(store, model, 0.6, 0.7, 0.8)
    assert run_dag(rolls_back(model, from_version="{{ 1 + 1 }}", retries=1)).states == {"roll_back": "failed"}
    assert held(store, model) == 3
    assert run_dag(rolls_back(model, to_version="{{ 0 + 1 }}", from_version=3)).xcom("roll_back")["version"] == 1
    assert run_dag(rolls_back(model, to_version="one")).states == {"roll_back": "failed"}


def test_before_the_first_promotion_nobody_held_the_target(store: Store, run_dag: RunDag) -> None:
    model = new_name()
    promoted(store, model, 0.6)
    ran = run_dag(rolls_back(model))
    assert (ran.xcom("roll_back")["version"], ran.xcom("roll_back")["model_id"]) == (None, None)
    assert held(store, model) is None
    assert run_dag(rolls_back(model)).states == {"roll_back": "failed"}
    assert run_dag(rolls_back(new_name())).states == {"roll_back": "failed"}


@pytest.mark.parametrize("map_index", [0, 1])
def test_mapped_rollbacks_keep_what_each_was_to_do(store: Store, run_dag: RunDag, map_index: int) -> None:
    models = [new_name(), new_name()]
    promoted(store, models[0], 0.6, 0.7)
    promoted(store, models[1], 0.6, 0.7, 0.8)
    with DAG(new_name("rolls-back"), schedule=None) as dag:
        RollBackModelOperator.partial(task_id="roll_back").expand(model_name=models)
    for _ in range(2):
        assert run_dag(dag, **WHEN).xcom("roll_back", map_index=map_index)["version"] == map_index + 1
    assert [held(store, model) for model in models] == [1, 2]
