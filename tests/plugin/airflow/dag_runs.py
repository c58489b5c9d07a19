"""DAGs that a test makes, run in its own process: really scheduled, executed and recorded by Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG

BUNDLE = "testing"


@dataclass(frozen=True)
class DagRun:
    """A DAG run that has ended.

    Args:
        states: task id → state; of a mapped task ``id[0]``, ``id[1]`` …
    """

    dag_id: str
    run_id: str
    state: str
    states: dict[str, str | None]

    def xcom(self, task_id: str, *, map_index: int = -1, key: str = "return_value") -> Any:
        """Return what a task handed on; None when it handed on nothing."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            found = session.execute(
                XComModel.get_many(
                    run_id=self.run_id, key=key, task_ids=task_id, dag_ids=self.dag_id, map_indexes=map_index
                )
            ).first()
            return None if found is None else XComModel.deserialize_value(found[0])


def run_dag(dag: DAG, **options: Any) -> DagRun:
    """Serialise a DAG, and run it; options are those of ``dag.test()``."""
    serialize(dag)
    return dag_run_of(dag.test(**options))


def dag_run_of(run: Any) -> DagRun:
    """Return what is to be said of a DAG run of Airflow's own."""
    from airflow.utils.session import create_session

    with create_session() as session:
        instances = run.get_task_instances(session=session)
        states = {
            ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else ""): None if ti.state is None else str(ti.state)
            for ti in instances
        }
    return DagRun(run.dag_id, run.run_id, str(run.state), states)


def serialize(dag: DAG) -> None:
    """Write a DAG into Airflow's database, as the DAG processor does with what it finds in a bundle."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name=BUNDLE))
        session.flush()
        errors: dict[tuple[str, str], str] = {}
        update_dag_parsing_results_in_db(
            BUNDLE, None, [LazyDeserializedDAG.from_dag(dag)], errors, None, set(), session
        )
        assert not errors, errors


def create_dag_run(dag: DAG, run_id: str, **options: Any) -> None:
    """Make a DAG run of any kind; options are those of the scheduler's ``create_dagrun()``."""
    from airflow.models.dagbag import DBDagBag
    from airflow.sdk import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    serialize(dag)
    with create_session() as session:
        scheduled = DBDagBag().get_latest_version_of_dag(dag.dag_id, session=session)
        assert scheduled is not None
        given = {
            "run_after": timezone.utcnow(),
            "run_type": DagRunType.MANUAL,
            "triggered_by": DagRunTriggeredByType.TEST,
            **options,
        }
        scheduled.create_dagrun(run_id=run_id, state=DagRunState.RUNNING, session=session, **given)


def clear_dag_run(dag: DAG, run_id: str, *task_ids: str) -> None:
    """Clear the tasks of a DAG run, all of them or some, as the button in Airflow's UI does."""
    from airflow.models.dagbag import DBDagBag
    from airflow.utils.session import create_session

    with create_session() as session:
        scheduled = DBDagBag().get_latest_version_of_dag(dag.dag_id, session=session)
        assert scheduled is not None
        scheduled.clear(run_id=run_id, task_ids=task_ids or None, session=session)


def delete_dag_run(dag: DAG, run_id: str) -> None:
    """Delete a DAG run, as the button in Airflow's UI does."""
    from airflow.models.dagrun import DagRun as Model
    from airflow.utils.session import create_session

    with create_session() as session:
        session.delete(session.query(Model).filter_by(dag_id=dag.dag_id, run_id=run_id).one())


def finish_dag_run(dag: DAG, run_id: str) -> DagRun:
    """Do what is to be done of a DAG run, task by task, as ``dag.test()`` does with the DAG run that it makes."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun as Model
    from airflow.sdk import timezone
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState

    with create_session() as session:
        run = session.query(Model).filter_by(dag_id=dag.dag_id, run_id=run_id).one()
        run.dag = DBDagBag().get_latest_version_of_dag(dag.dag_id, session=session)
        run.state = DagRunState.RUNNING
        session.commit()
        while run.state == DagRunState.RUNNING:
            ready, _ = run.update_state(session=session)
            for instance in ready:
                instance.try_number += 1
                instance.state = TaskInstanceState.SCHEDULED
                instance.scheduled_dttm = timezone.utcnow()
            session.commit()
            for instance in ready:
                _run_task(ti=instance, task=dag.task_dict[instance.task_id])
            session.commit()
            session.expire_all()
        return dag_run_of(run)
