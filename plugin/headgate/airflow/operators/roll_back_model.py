"""``RollBackModelOperator``: give an alias or a stage back to whoever held it before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headgate.airflow.asset_events import hold_back, model_outlets
from headgate.airflow.operators.base import HeadgateOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RollBackModelOperator(HeadgateOperator):
    """Roll back the last promotion of a target: one event of its history, no verdict needed.

    Which version is to go is settled by the first try, and kept with the run of the DAG run: a retry, and a clear of
    the task, find the rollback that was made, and never go back further. When somebody else holds the target by then,
    the task fails.

    The asset of the target is an outlet of the task; its event comes once per rollback.

    Returns a reference to the rollback, as ``PromoteModelOperator`` does; its ``version`` is None when nobody held the
    target before.

    Args:
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        to_version: a version that held the target at some time; None takes the one before the present holder.
        from_version: the version that is to go, for a caller that wants to be sure; None takes the present holder.
        reason: why, for the record; None names the DAG run.
    """

    template_fields: Sequence[str] = (
        *HeadgateOperator.template_fields,
        *("model_name", "target", "to_version", "from_version", "reason"),
    )

    def __init__(
        self,
        *,
        model_name: str,
        target: str = "@champion",
        to_version: int | str | None = None,
        from_version: int | str | None = None,
        reason: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.target = target
        self.to_version = to_version
        self.from_version = from_version
        self.reason = reason
        self.outlets = model_outlets(self.outlets, model_name, target, self.headgate_conn_id)

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.asset_events import emit_promotion
        from headgate.airflow.channel import task_claim
        from headgate.airflow.identity import actor_of, open_parent_run, run_context
        from headgate.airflow.references import promotion_reference_in
        from headgate.tasks.handed_on import number_in
        from headgate.tasks.once import roll_back_once

        hold_back(context)
        this = run_context(context)
        with self.open_store() as store:
            promotion = roll_back_once(
                store,
                self.model_name,
                self.target,
                run_id=open_parent_run(store, context),
                task=str(this.task),
                map_index=this.map_index,
                actor=actor_of(context),
                reason=self.reason or f"Airflow DAG run {this.pipeline_run_id}",
                to_version=number_in("to_version", self.to_version),
                from_version=number_in("from_version", self.from_version),
                claim=task_claim(context),
            )
            self.log.info("Gave %s of %s back to version %s", promotion.target, self.model_name, promotion.to_version)
            emit_promotion(context, store, promotion, headgate_conn_id=self.headgate_conn_id)
            return promotion_reference_in(store, promotion)
