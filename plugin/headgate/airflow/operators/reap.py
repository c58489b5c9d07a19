"""``ReapRunsOperator``: end the runs that nobody keeps alive any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from headgate.airflow.operators.base import HeadgateOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.entities import RunInfo
    from headgate.store.store import Store

_ENDS = {"success": "FINISHED", "failed": "FAILED"}


class ReapRunsOperator(HeadgateOperator):
    """End every run whose process gave no sign of life for longer than its lease, and every run of a DAG run that has
    ended; return their ids.

    Runs end by themselves in nearly every case, and Airflow tells of most others. This is for what is left: a machine
    that lost its power, a store that did not answer when it was told. May run at any time, as often as wanted, and in
    several DAGs at once.

    Args:
        unknown_after: how long the run of a DAG run that Airflow does not know is left alone. It was deleted, or
            belongs to another Airflow with the same store.
    """

    def __init__(self, *, unknown_after: timedelta = timedelta(days=7), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unknown_after = unknown_after

    def work(self, context: Context) -> list[str]:
        """Reap; returns the ids of the runs that this has ended."""
        from headgate.airflow.identity import ORIGIN
        from headgate.store.clock import now_ms
        from headgate.tasks.reap import reap

        now = now_ms()
        with self.open_store() as store:
            ended = [*reap(store, now)]
            for run in store.runs.open_pipeline_runs(ORIGIN):
                ended += self._settle(store, run, now)
        self.log.info("Ended %d runs that nobody kept alive", len(ended))
        return ended

    def _settle(self, store: Store, run: RunInfo, now: int) -> tuple[str, ...]:
        from headgate.airflow.versions import dag_run_state
        from headgate.store.entities import RunStatus
        from headgate.tasks.settle import settle_pipeline_run

        dag_id, run_id = run.context.pipeline or "", run.context.pipeline_run_id or ""
        state = dag_run_state(dag_id, run_id)
        if state is None and now - run.start_time >= self.unknown_after.total_seconds() * 1000:
            status, message = RunStatus.KILLED, "Airflow does not know this DAG run."
        elif state in _ENDS:
            status, message = RunStatus(_ENDS[state]), f"Airflow: the DAG run is {state}."
        else:
            return ()
        self.log.info("DAG run %s of %s is %s, its run %s was open", run_id, dag_id, state or "unknown", run.run_id)
        return settle_pipeline_run(store, run.context, status, message=message, now=now)
