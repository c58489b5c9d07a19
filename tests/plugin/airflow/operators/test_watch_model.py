"""``WatchModelOperator``: a promotion is looked after, and rolled back when what is measured breaks the watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from headgate.airflow import PromoteModelOperator, WatchModelOperator
from headgate.store.entities import Metric
from headgate.store.store import Store
from headgate.tasks import promote_if_passing
from headgate.tasks.gates.definition import gate_from_definition
from tests.plugin.airflow.candidates import GATE, measured, new_name
from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., DagRun]

WATCH = {"name": "after-deploy", "window": "1s", "checks": [{"metric": "error_rate", "at_most": 0.1}]}


def promoted(store: Store, model: str, *figures: float) -> None:
    for f1 in figures:
        promote_if_passing(store, gate_from_definition(GATE), model, "@champion", measured(store, f1), actor="alice")


def watches(model: str, **options: Any) -> DAG:
    with DAG(new_name("watches"), schedule=None) as dag:
        WatchModelOperator(task_id="watch", watch=WATCH, model_name=model, poke_interval=0.2, mode="poke", **options)
    return dag


def log(store: Store, model: str, value: float) -> None:
    holder = store.promotions.holder(model, "@champion")
    assert holder is not None
    now = time.time_ns() // 1_000_000
    point = Metric(key="error_rate", value=value, timestamp=now, step=0, model_id=holder.model_id)
    store.logged_models.log_metrics(str(holder.model_id), [point])


@pytest.mark.parametrize(("on_reject", "state"), [("fail", "failed"), ("succeed", "success")])
def test_a_broken_watch_rolls_back_and_ends_as_it_was_told(
    store: Store, run_dag: RunDag, on_reject: str, state: str
) -> None:
    model = new_name()
    promoted(store, model, 0.6, 0.7)
    log(store, model, 0.9)
    ran = run_dag(watches(model, on_reject=on_reject))
    assert ran.states == {"watch": state}
    found = ran.xcom("watch")
    event = store.promotions.current(model, "@champion")
    assert event is not None
    assert (event.kind, event.to_version, event.promotion_id) == ("roll_back", 1, found["rollback_id"])
    assert (found["outcome"], found["verdict_id"]) == ("reject", event.verdict_id)
    assert "breaks the rule" in found["reasons"][0]


def test_a_sound_model_stays(store: Store, run_dag: RunDag) -> None:
    model = new_name()
    promoted(store, model, 0.6, 0.7)
    log(store, model, 0.01)
    ran = run_dag(watches(model, promotion=store.promotions.current(model, "@champion").promotion_id))  # type: ignore[union-attr]
    assert ran.states == {"watch": "success"}
    assert ran.xcom("watch")["outcome"] == "pass"
    assert store.promotions.holder(model, "@champion").version == 2  # type: ignore[union-attr]


def promotes_and_watches(model: str, candidate: str, on_reject: str) -> DAG:
    """A DAG that promotes by a gate, and looks after what it promoted."""
    with DAG(new_name("watches"), schedule=None) as dag:
        promote = PromoteModelOperator(
            task_id="promote", gate=GATE, model_name=model, candidate=candidate, on_reject=on_reject
        )
        WatchModelOperator(
            task_id="watch",
            watch=WATCH,
            model_name=model,
            promotion=promote.output,
            poke_interval=0.2,
            mode="poke",
            trigger_rule="all_done",
        )
    return dag


@pytest.mark.parametrize("on_reject", ["succeed", "skip", "fail"])
def test_without_a_promotion_of_its_own_it_looks_after_nobody_elses(
    store: Store, run_dag: RunDag, on_reject: str
) -> None:
    model = new_name()
    promoted(store, model, 0.6, 0.7)
    log(store, model, 0.9)
    ran = run_dag(promotes_and_watches(model, measured(store, 0.1), on_reject))
    assert ran.states["watch"] == "failed"
    assert store.promotions.holder(model, "@champion").version == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("said", ["None", "", "{{ none }}"])
def test_a_template_that_gives_no_promotion_is_refused(store: Store, run_dag: RunDag, said: str) -> None:
    model = new_name()
    promoted(store, model, 0.6)
    log(store, model, 0.01)
    assert run_dag(watches(model, promotion=said)).states == {"watch": "failed"}
