"""``RegisterModelOperator``: a model is one version of a name, however often its task runs."""

from __future__ import annotations

from collections.abc import Callable

from airflow.sdk import DAG

from headgate.airflow import RegisterModelOperator
from headgate.store.clock import now_ms
from headgate.store.store import Store
from tests.plugin.airflow.candidates import measured, new_name
from tests.plugin.airflow.dag_runs import DagRun
from tests.plugin.airflow.promotions import events_of

RunDag = Callable[..., DagRun]


def test_a_model_is_registered_once(store: Store, run_dag: RunDag) -> None:
    name, model_id = new_name(), measured(store, 0.9)
    with DAG(new_name("registers"), schedule=None) as dag:
        RegisterModelOperator(
            task_id="register",
            model={"run_id": "a" * 32, "model_ids": [model_id]},
            model_name=name,
            tags={"dag": "{{ dag.dag_id }}"},
            description="weekly",
        )
    ran = run_dag(dag)
    version = store.registry.get_version(name, 1)
    assert (version.model_id, version.tags, version.description) == (model_id, {"dag": ran.dag_id}, "weekly")
    assert version.user_id == f"airflow:{ran.dag_id} (dag_test)"
    assert ran.xcom("register") == {
        "model_name": name,
        "version": 1,
        "model_id": model_id,
        "run_id": version.run_id,
        "digest": "ab" * 32,
    }
    assert run_dag(dag).xcom("register")["version"] == 1
    (first, _) = events_of(name)
    assert (first.uri, first.extra["version"]) == (f"headgate://headgate_default/models/{name}", 1)


def test_what_is_no_finished_model_fails_at_once(store: Store, run_dag: RunDag) -> None:
    pending, name = store.logged_models.create("0", now=now_ms()).model_id, new_name()
    with DAG(new_name("registers"), schedule=None) as dag:
        for task_id, model in [
            ("pending", pending),
            ("none", ""),
            ("several", {"run_id": "r", "model_ids": ["a", "b"]}),
        ]:
            RegisterModelOperator(task_id=task_id, model=model, model_name=name, retries=1)
    ran = run_dag(dag)
    assert ran.states == {"pending": "failed", "none": "failed", "several": "failed"}
    assert (store.registry.search_models().items, events_of(name)) == ((), [])
